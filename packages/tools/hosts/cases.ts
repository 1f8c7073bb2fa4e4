// The 17 plain cases of poll_oneoff, and the hosts that are asked for them.

/** What standard input is: a pipe without bytes, with 5 bytes, at its end, or a file of 5 bytes. */
export type Input = "idle" | "five" | "ended" | "file";

/** A case: the guest knows it by its number. */
export interface Case {
	/** What it asks, and what is correct. */
	readonly title: string;
	/** What standard input has to be. */
	readonly input: Input;
}

/** The cases; the first one has the number 1. */
export const CASES: readonly Case[] = [
	{ title: "no subscriptions: INVAL", input: "idle" },
	{ title: "monotonic clock, 50 ms from now", input: "idle" },
	{ title: "monotonic clock, absolute", input: "idle" },
	{ title: "real-time clock, absolute", input: "idle" },
	{ title: "0.5 ms from now: never early", input: "idle" },
	{ title: "two clocks of the same time: two events", input: "idle" },
	{ title: "a closed descriptor: one event, BADF", input: "idle" },
	{ title: "the same and a clock: at once", input: "idle" },
	{ title: "the same and stdout for writing: two events", input: "idle" },
	{ title: "idle stdin and a clock: the clock", input: "idle" },
	{ title: "stdin with 5 bytes and a clock: `nbytes` 5", input: "five" },
	{ title: "the same with a clock of 0 (FIONREAD)", input: "five" },
	{ title: "stdin twice: both", input: "five" },
	{ title: "stdout and a clock: stdout", input: "idle" },
	{ title: "stdin at its end: hangup", input: "ended" },
	{ title: "stdout, and stdin with 5 bytes: both", input: "five" },
	{ title: "stdin a regular file: ready", input: "file" },
];

/** A host that is asked. */
export type HostName =
	| "@kqpoll/wasi"
	| "node:wasi"
	| "@tybys/wasm-util"
	| "@bjorn3/browser_wasi_shim"
	| "uwasi"
	| "@runno/wasi";

/** The hosts that npm has, in the versions that are asked. */
export const INSTALLED: Readonly<Partial<Record<HostName, string>>> = {
	"@tybys/wasm-util": "0.10.5",
	"@bjorn3/browser_wasi_shim": "0.4.2",
	uwasi: "1.1.0",
	"@runno/wasi": "0.10.0",
};

/** All hosts, in the order of the table. */
export const HOST_NAMES: readonly HostName[] = [
	"@kqpoll/wasi",
	"node:wasi",
	...(Object.keys(INSTALLED) as HostName[]),
];
