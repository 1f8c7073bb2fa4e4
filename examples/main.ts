// npm start: runs an example by name, by default the chat servers, or keeps one of those running.
import { type Command, EXAMPLES, parseCommand, USAGE } from "./command-line.ts";

function parse(): Command {
	try {
		return parseCommand(process.argv.slice(2));
	} catch (error) {
		console.error(`start: ${(error as Error).message}\n${USAGE}`);
		process.exit(2);
	}
}

async function execute(command: Command): Promise<void> {
	if ("list" in command) {
		console.log(Object.keys(EXAMPLES).join("\n"));
	} else if ("serve" in command) {
		const { serveChat } = await import("./chat-serve.ts");
		await serveChat(command.serve, command.version);
	} else {
		const example = await EXAMPLES[command.run]?.();
		await example?.run((line) => console.log(line));
	}
}

const command = parse();
try {
	await execute(command);
} catch (error) {
	console.error(`start: ${error instanceof Error ? error.message : error}`);
	process.exit(1);
}
