// Both ends of a pipe keep the contract of all filters.
import { EVFILT_READ, EVFILT_WRITE, readNow, type Thread, writeNow } from "@kqpoll/kqueue";
import { type FilterSubject, filterContract } from "@kqpoll/kqueue/testing";
import { test } from "uvu";
import { pipe } from "../../src/pipe/pipe.ts";
import { codeOf } from "../machine.ts";

const FULL = new Uint8Array(16384);

function fill(thread: Thread, fd: number): void {
	codeOf(() => writeNow(thread, fd, FULL));
}

function empty(thread: Thread, fd: number): void {
	codeOf(() => readNow(thread, fd, FULL));
}

const SUBJECTS: readonly FilterSubject[] = [
	{
		name: "pipe read",
		filter: EVFILT_READ,
		kind: "level",
		setup: ({ thread }) => {
			const [r, w] = pipe(thread);
			return { ident: r, trigger: () => fill(thread, w), untrigger: () => empty(thread, r) };
		},
	},
	{
		name: "pipe write",
		filter: EVFILT_WRITE,
		kind: "level",
		setup: ({ thread }) => {
			const [r, w] = pipe(thread);
			fill(thread, w);
			return { ident: w, trigger: () => empty(thread, r), untrigger: () => fill(thread, w) };
		},
	},
	{
		name: "pipe write, the other way",
		filter: EVFILT_WRITE,
		kind: "level",
		setup: ({ thread }) => {
			const [r, w] = pipe(thread);
			fill(thread, r);
			return { ident: r, trigger: () => empty(thread, w), untrigger: () => fill(thread, r) };
		},
	},
];

for (const subject of SUBJECTS) {
	for (const { number, name, run } of filterContract(subject)) {
		test(`${subject.name}, ${number}: ${name}`, run);
	}
}

test.run();
