// npm start: runs an example by name, by default the chat servers, or keeps one of those running.
import { Command, messageOf } from "../packages/tools/command.ts";
import { EXAMPLES, parseRequest, type Request, USAGE } from "./command-line.ts";

async function execute(request: Request): Promise<void> {
	if ("list" in request) {
		console.log(Object.keys(EXAMPLES).join("\n"));
	} else if ("serve" in request) {
		const { serveChat } = await import("./chat-serve.ts");
		await serveChat(request.serve, request.version);
	} else {
		const example = await EXAMPLES[request.run]?.();
		await example?.run((line) => console.log(line));
	}
}

const request = new Command("start", USAGE).parse(parseRequest);
try {
	await execute(request);
} catch (error) {
	console.error(`start: ${messageOf(error)}`);
	process.exit(1);
}
