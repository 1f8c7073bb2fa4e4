// A C program whose poll loop waits for a day, in virtual time: it takes milliseconds, and prints the
// same every time. Others write to its standard input at times of that day.
import { readFile } from "node:fs/promises";
import { pipe } from "@kqpoll/files";
import { close, Kernel, read, waitpid, writeNow } from "@kqpoll/kqueue";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { spawn } from "@kqpoll/wasi";
import { Module } from "./webassembly.ts";

const PROGRAM = new URL("../packages/wasi/test/guests/hours.wasm", import.meta.url);
const HOUR = 3600e9;

/** What happens in that day: when, in hours, and what is written then. */
const VISITS: readonly (readonly [hour: number, line: string])[] = [
	[7.5, "the milk is here"],
	[8.25, "post: two letters"],
	[8.251, "post: and a parcel"],
	[19, "guests for dinner"],
];

/** Lets the program have its day. Returns what it printed, and how many hours went by. */
async function liveThrough(module: Module): Promise<[output: string, hours: number]> {
	const host = new VirtualHost({ epoch: Date.UTC(2026, 0, 1) });
	const { main } = new Kernel({ host }).spawn();
	const [door, street] = pipe(main);
	const [log, paper] = pipe(main);
	const say = (line: string): void => void writeNow(main, street, Buffer.from(`${line}\n`));
	for (const [hour, line] of VISITS) host.setTimer(hour * HOUR, () => say(line));
	host.setTimer(22 * HOUR, () => close(main, street));

	const pid = spawn(main, module, { args: ["hours"], stdio: [door, paper, paper], mode: "sync" });
	close(main, paper);
	const output = await host.run(async () => {
		const { status } = await waitpid(main, pid);
		if (status !== 0) throw new Error(`the program ended with wait status ${status}`);
		const buffer = new Uint8Array(16_384);
		return Buffer.from(buffer.subarray(0, await read(main, log, buffer))).toString();
	});
	return [output, host.now() / HOUR];
}

/** Runs the program twice. */
export async function run(print: (line: string) => void): Promise<void> {
	const module = new Module(await readFile(PROGRAM));
	const [output, hours] = await liveThrough(module);
	print(output.trimEnd());
	const [again] = await liveThrough(module);
	if (again !== output) throw new Error("the second day differs from the first");
	print(`${Math.round(hours)} hours went by, twice, and both days are equal.`);
}
