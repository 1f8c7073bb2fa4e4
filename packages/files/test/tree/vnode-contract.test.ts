import {
	EVFILT_READ,
	EVFILT_VNODE,
	EVFILT_WRITE,
	lseek,
	NOTE_WRITE,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { O_APPEND } from "@kqpoll/kqueue/fcntl";
import { type FilterSubject, filterContract } from "@kqpoll/kqueue/testing";
import { SEEK_END } from "@kqpoll/kqueue/unistd";
import { test } from "uvu";
import { O_CREAT, O_RDWR } from "../../src/shared/vnode-flags.ts";
import { openNow } from "../../src/tree/open-calls.ts";
import { Tree } from "../../src/tree/tree.ts";

/** Something to watch, whose file is changed through another descriptor. */
function fixture(thread: Thread): { ident: number; trigger: () => void; untrigger: () => void } {
	const tree = new Tree();
	const ident = openNow(thread, tree, "f", O_CREAT | O_RDWR);
	const other = openNow(thread, tree, "f", O_RDWR | O_APPEND);
	return {
		ident,
		trigger: () => {
			writeNow(thread, other, new Uint8Array(3));
		},
		untrigger: () => {
			lseek(thread, ident, 0, SEEK_END);
		},
	};
}

const SUBJECTS: readonly FilterSubject[] = [
	{
		name: "file READ",
		filter: EVFILT_READ,
		kind: "level",
		setup: ({ thread }) => fixture(thread),
	},
	{
		name: "file WRITE",
		filter: EVFILT_WRITE,
		kind: "always",
		setup: ({ thread }) => fixture(thread),
	},
	{
		name: "file VNODE",
		filter: EVFILT_VNODE,
		kind: "sticky",
		setup: ({ thread }) => ({ ...fixture(thread), fflags: NOTE_WRITE }),
	},
];

for (const subject of SUBJECTS) {
	for (const { number, name, run } of filterContract(subject)) {
		test(`${subject.name}, ${number}: ${name}`, run);
	}
}

test.run();
