// A machine with a tree, an open file and an open directory, for the tests of vnodes.
import {
	EV_ADD,
	EV_RECEIPT,
	EVFILT_DEVICE,
	EVFILT_EXCEPT,
	EVFILT_READ,
	EVFILT_VNODE,
	EVFILT_WRITE,
	eventList,
	keventNow,
	kqueue,
	lseek,
	writeNow,
} from "@kqpoll/kqueue";
import { SEEK_SET } from "@kqpoll/kqueue/unistd";
import { O_CREAT, O_RDONLY, O_RDWR } from "../../src/shared/vnode-flags.ts";
import { mkdir } from "../../src/tree/name-calls.ts";
import { openNow } from "../../src/tree/open-calls.ts";
import { Tree } from "../../src/tree/tree.ts";
import { type Machine, machine } from "../machine.ts";

/** Every filter of descriptors. */
export const FILTERS: readonly number[] = [
	EVFILT_READ,
	EVFILT_WRITE,
	EVFILT_EXCEPT,
	EVFILT_VNODE,
	EVFILT_DEVICE,
];

/** The machine and its open files. */
export interface World extends Machine {
	readonly tree: Tree;
	/** A file of ten bytes, open for reading and writing, at offset 0. */
	readonly file: number;
	/** A directory. */
	readonly directory: number;
	readonly kq: number;
}

/** Makes one. */
export function world(): World {
	const m = machine();
	const tree = new Tree();
	mkdir(m.thread, tree, "d");
	const file = openNow(m.thread, tree, "f", O_CREAT | O_RDWR);
	writeNow(m.thread, file, new Uint8Array(10));
	lseek(m.thread, file, 0, SEEK_SET);
	const directory = openNow(m.thread, tree, "d", O_RDONLY);
	return { ...m, tree, file, directory, kq: kqueue(m.thread) };
}

/** Adds a knote; returns its errno or 0. */
export function add(
	{ thread, kq }: World,
	ident: number,
	filter: number,
	fflags = 0,
	flags = EV_ADD,
): number {
	const events = eventList(1);
	keventNow(thread, kq, [{ ident, filter, flags: flags | EV_RECEIPT, fflags }], events);
	return events[0]?.data ?? -1;
}
