// Operations on fifos, and the fifos that every machine has.
import { mkfifo, open, Tree } from "@kqpoll/files";
import { O_RDONLY, O_RDWR, O_WRONLY } from "@kqpoll/files/fcntl";
import type { Thread } from "@kqpoll/kqueue";
import { O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { ifNonblocking } from "./argument.ts";
import type { Operations } from "./operation.ts";

/** How many fifos there are; they are called f0, f1 and so on. */
const COUNT = 8;

/** Makes a tree that has the fifos. */
export function fifoTree(thread: Thread): Tree {
	const tree = new Tree();
	for (let i = 0; i < COUNT; i++) mkfifo(thread, tree, `f${i}`);
	return tree;
}

export const FIFOS: Operations = {
	open: (thread, [name = "", access = ""], { tree }) =>
		open(thread, tree, name, accessMode(access) | ifNonblocking(access.slice(1), O_NONBLOCK)),
};

/** An access begins with r, w, or b for both. */
function accessMode(access: string): number {
	if (access.startsWith("r")) return O_RDONLY;
	return access.startsWith("w") ? O_WRONLY : O_RDWR;
}
