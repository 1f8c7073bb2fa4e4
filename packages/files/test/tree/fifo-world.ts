// A machine with a tree that has a fifo, for the tests of fifos.
import {
	EV_ADD,
	EV_RECEIPT,
	eventList,
	keventNow,
	kqueue,
	readNow,
	type Thread,
} from "@kqpoll/kqueue";
import { mkfifo } from "../../src/tree/name-calls.ts";
import { openNow } from "../../src/tree/open-calls.ts";
import { Tree } from "../../src/tree/tree.ts";
import { type Machine, machine } from "../machine.ts";

/** The machine, and the tree with the fifo "p". */
export interface World extends Machine {
	readonly tree: Tree;
	readonly kq: number;
	/** Opens the fifo without sleeping. */
	readonly open: (flags: number) => number;
}

/** Makes one. The fifo is not open. */
export function world(): World {
	const m = machine();
	const tree = new Tree();
	mkfifo(m.thread, tree, "p");
	const open = (flags: number): number => openNow(m.thread, tree, "p", flags);
	return { ...m, tree, kq: kqueue(m.thread), open };
}

/** Whether the tree has open files, and whether the fifo is open. */
export function traces({ tree }: World): [opens: number, fifo: boolean] {
	return [tree.opens.size, tree.root.entries?.get("p")?.fifo !== null];
}

/** `n` bytes, each one larger by one than the one before. */
export function bytes(n: number, first = 0): Uint8Array {
	return Uint8Array.from({ length: n }, (_, i) => (first + i) & 0xff);
}

/** Reads at most n bytes from a descriptor. */
export function drain(thread: Thread, fd: number, n: number): number[] {
	const buffer = new Uint8Array(n);
	return [...buffer.subarray(0, readNow(thread, fd, buffer))];
}

/** Adds a knote; returns its errno or 0. */
export function add({ thread, kq }: World, ident: number, filter: number, flags = EV_ADD): number {
	const events = eventList(1);
	keventNow(thread, kq, [{ ident, filter, flags: flags | EV_RECEIPT }], events);
	return events[0]?.data ?? -1;
}
