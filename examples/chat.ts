// A chat server four ways, by select, poll, kevent and RxJS: each serves the same scene on real TCP
// connections. What the clients receive must be the same, and equal to the recorded transcript.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { TraceEvent, Transition } from "@kqpoll/kqueue/kernel";
import { serve as kevent } from "./chat-kevent.ts";
import { serve as poll } from "./chat-poll.ts";
import type { Serve } from "./chat-protocol.ts";
import { serve as rxjs } from "./chat-rxjs.ts";
import { type Dial, play } from "./chat-script.ts";
import { serve as select } from "./chat-select.ts";
import { serveTcp } from "./chat-tcp.ts";

/** The four versions by name, in the order of the migration. */
export const SERVERS: Readonly<Record<string, Serve>> = { select, poll, kevent, rxjs };

/** For how long the processor time of an idle version is measured, in milliseconds. */
const IDLE = 1000;
/** How long a scene may take, in milliseconds. */
const PATIENCE = 30_000;

/** The result of a version. */
interface Result {
	/** What each client received. */
	readonly transcript: string;
	/** How often each transition happened in the engine. */
	readonly counts: Readonly<Partial<Record<Transition, number>>>;
	/** How long the scene took, in milliseconds. */
	readonly wall: number;
	/** How much processor time the process took while it was idle, in milliseconds. */
	readonly idle: number;
}

async function measure(serve: Serve): Promise<Result> {
	const counts: Partial<Record<Transition, number>> = {};
	const sink = ({ event }: TraceEvent): void => {
		counts[event] = (counts[event] ?? 0) + 1;
	};
	const { dial, stop } = await serveTcp(serve, 0, { sink });
	const begin = performance.now();
	const transcript = await Promise.race([play(dial), tooLong()]);
	const wall = performance.now() - begin;
	const scene = { ...counts };
	const idle = await idleTime(dial);
	await stop();
	return { transcript: transcript.join("\n"), counts: scene, wall, idle };
}

async function tooLong(): Promise<never> {
	await sleep(PATIENCE, undefined, { ref: false });
	throw new Error(`the scene did not end in ${PATIENCE / 1000} s`);
}

/** The processor time, in milliseconds, while two clients are connected and say nothing. */
async function idleTime(dial: Dial): Promise<number> {
	const clients = await Promise.all([dial(), dial()]);
	for (const client of clients) await client.line();
	await sleep(50);
	const before = process.cpuUsage();
	await sleep(IDLE);
	const { user, system } = process.cpuUsage(before);
	for (const client of clients) client.reset();
	return (user + system) / 1000;
}

/** The transcript that every version must produce. */
export function recordedTranscript(): string {
	return readFileSync(new URL("expected/chat.txt", import.meta.url), "utf8").trimEnd();
}

/** Names the first line in which a transcript differs from the recorded one. */
function difference(name: string, transcript: string, recorded: string): string {
	const lines = transcript.split("\n");
	const wanted = recorded.split("\n");
	const i = lines.findIndex((line, at) => line !== wanted[at]);
	const at = i < 0 ? lines.length : i;
	return `${name} differs in line ${at + 1}: ${lines[at] ?? "(none)"} instead of ${wanted[at] ?? "(none)"}`;
}

/** Runs the four versions, and prints their results; throws if a transcript differs. */
export async function run(
	print: (line: string) => void,
	servers: Readonly<Record<string, Serve>> = SERVERS,
	recorded: string = recordedTranscript(),
): Promise<void> {
	print("One chat server, four ways to wait. Each serves the same scene to six clients on TCP:");
	print(
		"they talk, stall, reset, half-close and leave; then two are connected and idle for a second.",
	);
	print("");
	print("         transcript   sleeps  changes   events   the scene   idle processor time");
	const differences: string[] = [];
	for (const [name, serve] of Object.entries(servers)) {
		const { transcript, counts, wall, idle } = await measure(serve);
		const equal = transcript === recorded;
		if (!equal) differences.push(difference(name, transcript, recorded));
		const { sleep = 0, register = 0, deliver = 0 } = counts;
		const numbers = [sleep, register, deliver].map((n) => String(n).padStart(9)).join("");
		const times = `${wall.toFixed(0).padStart(9)} ms${idle.toFixed(1).padStart(19)} ms`;
		print(`${name.padEnd(9)}${equal ? "as recorded" : "DIFFERS    "}${numbers}${times}`);
	}
	print("");
	print(
		"sleeps: how often it waited; changes: what it asked the engine to watch; events: what was reported.",
	);
	if (differences.length > 0) throw new Error(differences.join("\n"));
	const lines = recorded.split("\n").length;
	print(`The transcripts are equal to each other and to the recorded one of ${lines} lines.`);
}
