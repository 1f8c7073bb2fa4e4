// The command line of a command: its usage, and how the command ends when its arguments are wrong.

/** A command that a person runs. Its argument --help, or -h, prints how it is used. */
export class Command {
	private readonly name: string;
	private readonly usage: string;

	/** Names it as its messages do; `usage` is a text of one or more lines. */
	constructor(name: string, usage: string) {
		this.name = name;
		this.usage = usage;
	}

	/**
	 * Parses the arguments of this process. With --help ends it with status 0; when `parse` throws,
	 * with status 2 and what the error says.
	 */
	parse<T>(parse: (args: string[]) => T): T {
		const args = process.argv.slice(2);
		if (asksForHelp(args)) {
			console.log(this.usage);
			process.exit(0);
		}
		try {
			return parse(args);
		} catch (error) {
			return this.refuse(messageOf(error));
		}
	}

	/** An argument is wrong: ends the process with status 2, and prints the usage. */
	refuse(message: string): never {
		return this.abort(`${message}\n${this.usage}`);
	}

	/** The command cannot do what it was asked for: ends the process with status 2. */
	abort(message: string): never {
		console.error(`${this.name}: ${message}`);
		process.exit(2);
	}
}

/** What was thrown, as a message. */
export function messageOf(thrown: unknown): string {
	return thrown instanceof Error ? thrown.message : String(thrown);
}

function asksForHelp(args: readonly string[]): boolean {
	const end = args.indexOf("--");
	const options = end < 0 ? args : args.slice(0, end);
	return options.includes("--help") || options.includes("-h");
}
