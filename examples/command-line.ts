// The command line of npm start.
import { parseArgs } from "node:util";

/** What an example exports. */
interface Example {
	/** Runs it; passes each line that it prints to `print`. */
	run(print: (line: string) => void): Promise<void>;
}

/** The examples by name. The first one runs by default. */
export const EXAMPLES: Readonly<Record<string, () => Promise<Example>>> = {
	chat: () => import("./chat.ts"),
	"chat-select": () => import("./chat-select.ts"),
	"chat-poll": () => import("./chat-poll.ts"),
	"chat-kevent": () => import("./chat-kevent.ts"),
	"chat-rxjs": () => import("./chat-rxjs.ts"),
	"config-watcher": () => import("./config-watcher.ts"),
	"first-device": () => import("./first-device.ts"),
	hello: () => import("./hello.ts"),
	pager: () => import("./pager.ts"),
	pipeline: () => import("./pipeline.ts"),
	"proc-open": () => import("./proc-open.ts"),
	"reactor-kevent": () => import("./reactor-kevent.ts"),
	"reactor-select": () => import("./reactor-select.ts"),
	"wasi-chat": () => import("./wasi-chat.ts"),
	"wasi-virtual": () => import("./wasi-virtual.ts"),
};

/** The versions of the chat server. */
const VERSIONS: readonly string[] = ["select", "poll", "kevent", "rxjs"];

/** The usage. */
export const USAGE: string = `usage: npm start -- [NAME]
       npm start -- --list
       npm start -- --serve PORT [--with ${VERSIONS.join("|")}]`;

/** What to do: run an example, name them all, or keep a chat server running. */
export type Request =
	| { readonly run: string }
	| { readonly list: true }
	| { readonly serve: number; readonly version: string };

/** Parses the arguments. Throws an error that says what is wrong with them. */
export function parseRequest(args: readonly string[]): Request {
	const { values, positionals } = parseArgs({
		args: [...args],
		allowPositionals: true,
		options: {
			list: { type: "boolean" },
			serve: { type: "string" },
			with: { type: "string" },
		},
	});
	const { list, serve, with: version } = values;
	if ([...positionals, list, serve].filter((mode) => mode !== undefined).length > 1)
		throw new Error("NAME, --list and --serve exclude each other");
	if (serve !== undefined) return parseServe(serve, version);
	if (version !== undefined) throw new Error("--with goes with --serve");
	if (list) return { list };
	const [name = "chat"] = positionals;
	if (!Object.hasOwn(EXAMPLES, name)) throw new Error(`there is no example ${name}`);
	return { run: name };
}

function parseServe(port: string, version = "kevent"): Request {
	if (!/^\d+$/.test(port) || Number(port) > 65535)
		throw new Error(`--serve ${port} is not a port from 0 to 65535`);
	if (!VERSIONS.includes(version)) throw new Error(`--with ${version} is not a version`);
	return { serve: Number(port), version };
}
