// Fifos keep the contract of all filters, in each open mode.
import { EVFILT_READ, EVFILT_WRITE, ioctl, readNow, writeNow } from "@kqpoll/kqueue";
import { O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { FIONREAD } from "@kqpoll/kqueue/ioctl";
import { type FilterSubject, filterContract } from "@kqpoll/kqueue/testing";
import { test } from "uvu";
import { O_RDONLY, O_RDWR, O_WRONLY } from "../../src/shared/vnode-flags.ts";
import { mkfifo } from "../../src/tree/name-calls.ts";
import { openNow } from "../../src/tree/open-calls.ts";
import { Tree } from "../../src/tree/tree.ts";

/** A fifo that is watched by one descriptor and used through another. */
function subject(name: string, filter: number, flags: number): FilterSubject {
	const reads = filter === EVFILT_READ;
	return {
		name: `fifo ${name}`,
		filter,
		kind: "level",
		setup: ({ thread }) => {
			const tree = new Tree();
			mkfifo(thread, tree, "p");
			const other = openNow(thread, tree, "p", O_RDWR | O_NONBLOCK);
			const ident = openNow(thread, tree, "p", flags);
			const fill = (n: number) => () => {
				const room = 8192 - ioctl(thread, other, FIONREAD);
				writeNow(thread, other, new Uint8Array(Math.min(n, room)));
			};
			const drain = () => {
				readNow(thread, other, new Uint8Array(ioctl(thread, other, FIONREAD)));
			};
			if (!reads) fill(8192)();
			return { ident, trigger: reads ? fill(3) : drain, untrigger: reads ? drain : fill(8192) };
		},
	};
}

const SUBJECTS: readonly FilterSubject[] = [
	subject("READ", EVFILT_READ, O_RDONLY),
	subject("READ, open for both", EVFILT_READ, O_RDWR),
	subject("WRITE", EVFILT_WRITE, O_WRONLY),
	subject("WRITE, open for both", EVFILT_WRITE, O_RDWR),
];

for (const subject of SUBJECTS) {
	for (const { number, name, run } of filterContract(subject)) {
		test(`${subject.name}, ${number}: ${name}`, run);
	}
}

test.run();
