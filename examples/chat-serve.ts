// A chat server that stays up, for nc and telnet.
import { once } from "node:events";
import { SERVERS } from "./chat.ts";
import { serveTcp } from "./chat-tcp.ts";

/** Serves a port of this machine until Ctrl-C. */
export async function serveChat(port: number, version: string): Promise<void> {
	const serve = SERVERS[version];
	if (serve === undefined) throw new RangeError(`no version ${version}`);
	const chat = await serveTcp(serve, port);
	console.log(`chat by ${version} at 127.0.0.1 port ${chat.port}: try nc 127.0.0.1 ${chat.port}`);
	console.log("Ctrl-C ends it.");
	await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
	await chat.stop();
	console.log("closed");
	// A client may never read what was still on its way.
	process.exit(0);
}
