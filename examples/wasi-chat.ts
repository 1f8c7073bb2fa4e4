// The chat server in C, as it was compiled for WASI: a select loop on a listener that it finds at
// descriptor 3. It serves the scene on real TCP connections; what the clients receive must be what
// the servers in TypeScript send. Where guests cannot be suspended it runs in a worker.
import { readFile } from "node:fs/promises";
import { openDevice } from "@kqpoll/files";
import { close, kill, waitpid } from "@kqpoll/kqueue";
import { SIGTERM } from "@kqpoll/kqueue/signal";
import { spawn } from "@kqpoll/wasi";
import { workerRunner } from "@kqpoll/worker";
import { recordedTranscript } from "./chat.ts";
import type { Serve } from "./chat-protocol.ts";
import { play } from "./chat-script.ts";
import { serveTcp } from "./chat-tcp.ts";
import { canSuspend, Module } from "./webassembly.ts";

const PROGRAM = new URL("../packages/wasi/test/guests/chat.wasm", import.meta.url);

/** Serves the clients of a listener by the program in C, until it is aborted. */
export const serve: Serve = async (thread, listener, { signal }) => {
	const module = new Module(await readFile(PROGRAM));
	const nothing = openDevice(thread, "null");
	const pid = spawn(thread, module, {
		args: ["chat"],
		stdio: [nothing, nothing, nothing],
		descriptors: [listener],
		mode: canSuspend ? "jspi" : workerRunner(),
	});
	close(thread, nothing);
	const stop = (): void => kill(thread, pid, SIGTERM);
	if (signal?.aborted) stop();
	signal?.addEventListener("abort", stop, { once: true });
	await waitpid(thread, pid);
};

/** Plays the scene, and compares what the clients received. */
export async function run(print: (line: string) => void): Promise<void> {
	print(
		"A chat server in C serves six clients on TCP: it was compiled for WASI, and waits in select.",
	);
	const { dial, stop } = await serveTcp(serve, 0);
	const transcript = await play(dial);
	await stop();
	const recorded = recordedTranscript().split("\n");
	const received = transcript.join("\n").split("\n");
	const at = received.findIndex((line, i) => line !== recorded[i]);
	if (at >= 0 || received.length !== recorded.length)
		throw new Error(`line ${at + 1} differs: ${received[at]} instead of ${recorded[at]}`);
	for (const line of recorded.slice(0, 8)) print(`  ${line}`);
	print("  ...");
	print(`The transcript has ${recorded.length} lines, as that of the servers in TypeScript.`);
}
