// The command line.
import { parseArgs } from "node:util";
import { messageOf, Refusal } from "./refusal.ts";

/** What `--help` prints. */
export const HELP = `usage: kqpoll run [OPTION]… PROGRAM.wasm [ARG…]

Runs a program that was compiled for WASI preview1. All that follows PROGRAM is the program's.

  --dir HOST[::GUEST]  a directory that the program may use, by the name GUEST (by default HOST)
  --ro HOST[::GUEST]   the same, but nothing in it can be changed
  --tmp GUEST          an empty directory in memory
  --env NAME=VALUE     a variable of its environment, which has no others
  --listen PORT        a listening socket on 127.0.0.1: descriptor 3, or the next one;
                       with port 0 the system chooses one, which is printed
  --mode sync|jspi     how the program waits: it blocks in a thread of its own, or is suspended;
                       by default it is suspended if the platform can do that
  --virtual            in virtual time: no wait takes any time, and each run is the same
  --trace FILE         write what happens on the emulated machine, one JSON object a line
  --help               print this

Standard input, output and error are the real ones. The exit status is the program's, and 128 + n if
signal n has ended it; 2 if the command line is wrong, 126 if PROGRAM cannot run, 127 if it is not there.
`;

/** A directory that the guest may use. */
export interface DirectoryOption {
	/** Its name for the guest. */
	readonly guest: string;
	/** Its path on the host; null for one in memory. */
	readonly host: string | null;
	/** Whether nothing in it can be changed. */
	readonly readOnly: boolean;
}

/** What the command line asks for. */
export interface RunOptions {
	/** The path of the module. */
	readonly program: string;
	/** The program's own arguments. */
	readonly args: readonly string[];
	/** Its environment. */
	readonly env: Readonly<Record<string, string>>;
	/** Its directories: each name once. */
	readonly directories: readonly DirectoryOption[];
	/** The ports to listen on. */
	readonly ports: readonly number[];
	/** How it waits; undefined for the best there is. */
	readonly mode: "sync" | "jspi" | undefined;
	/** Whether in virtual time. */
	readonly virtual: boolean;
	/** Where to write what happens. */
	readonly trace: string | undefined;
}

const OPTIONS = {
	dir: { type: "string", multiple: true },
	ro: { type: "string", multiple: true },
	tmp: { type: "string", multiple: true },
	env: { type: "string", multiple: true },
	listen: { type: "string", multiple: true },
	mode: { type: "string" },
	virtual: { type: "boolean" },
	trace: { type: "string" },
	help: { type: "boolean", short: "h" },
} as const;

/** Parses what follows the name of the command; null if it asks for help. */
export function parse(args: readonly string[]): RunOptions | null {
	const [command, ...rest] = args;
	if (command === "--help" || command === "-h") return null;
	if (command !== "run")
		throw new Refusal(
			command === undefined
				? "no command: kqpoll run PROGRAM.wasm (see kqpoll --help)"
				: `unknown command '${command}': there is run (see kqpoll --help)`,
		);
	return parseRun(rest);
}

function parseRun(args: readonly string[]): RunOptions | null {
	const end = programAt(args);
	const { values, tokens } = parseStrictly(args.slice(0, end));
	if (values.help) return null;
	const [program, ...own] = args.slice(end);
	if (program === undefined) throw new Refusal("no program: kqpoll run PROGRAM.wasm");
	const ports = (values.listen ?? []).map(portOf);
	if (values.virtual && ports.length > 0)
		throw new Refusal("--virtual excludes --listen: connections come in real time");
	const mode = modeOf(values.mode);
	if (values.virtual && mode === "jspi") throw new Refusal("--virtual excludes --mode jspi");
	return {
		program,
		args: own,
		env: Object.fromEntries((values.env ?? []).map(variableOf)),
		directories: directoriesOf(tokens),
		ports,
		mode,
		virtual: values.virtual ?? false,
		trace: values.trace,
	};
}

/** Where the options end, and the program stands. */
function programAt(args: readonly string[]): number {
	const { tokens } = parseArgs({
		args: [...args],
		options: OPTIONS,
		allowPositionals: true,
		strict: false,
		tokens: true,
	});
	return tokens.find(({ kind }) => kind === "positional")?.index ?? args.length;
}

type Parsed = ReturnType<typeof parseStrictly>;

function parseStrictly(args: string[]) {
	try {
		return parseArgs({ args, options: OPTIONS, allowPositionals: false, tokens: true });
	} catch (error) {
		throw new Refusal(messageOf(error));
	}
}

function portOf(text: string): number {
	const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : Number.NaN;
	if (port <= 65_535) return port;
	throw new Refusal(`--listen ${text}: a port is a number from 0 to 65535`);
}

function modeOf(text: string | undefined): "sync" | "jspi" | undefined {
	if (text === undefined || text === "sync" || text === "jspi") return text;
	throw new Refusal(`--mode ${text}: there are sync and jspi`);
}

function variableOf(text: string): [name: string, value: string] {
	const at = text.indexOf("=");
	if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
	throw new Refusal(`--env ${text}: write NAME=VALUE`);
}

/** The directories in the order of their names; of several with one name the last. */
function directoriesOf(tokens: Parsed["tokens"]): DirectoryOption[] {
	const found = new Map<string, DirectoryOption>();
	for (const token of tokens) {
		if (token.kind !== "option") continue;
		const { name, value = "" } = token;
		if (name !== "dir" && name !== "ro" && name !== "tmp") continue;
		const directory = directoryOf(name, value);
		found.set(directory.guest, directory);
	}
	return [...found.values()];
}

function directoryOf(option: "dir" | "ro" | "tmp", value: string): DirectoryOption {
	const at = option === "tmp" ? -1 : value.indexOf("::");
	const host = option === "tmp" ? null : at < 0 ? value : value.slice(0, at);
	const guest = at < 0 ? value : value.slice(at + 2);
	if (host === "" || guest === "") throw new Refusal(`--${option} ${value}: a name is empty`);
	return { guest, host, readOnly: option === "ro" };
}
