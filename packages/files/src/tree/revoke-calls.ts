// revoke: takes open files away.
import type { Thread } from "@kqpoll/kqueue";
import { attempt, type Failure, rethrow } from "@kqpoll/kqueue/kernel";
import type { FileSystem, OpenFile } from "./file-system.ts";
import { find } from "./namei.ts";
import { fromRoot } from "./start.ts";
import type { Tree } from "./tree.ts";
import type { Vnode } from "./vnode.ts";

/**
 * Takes a file, directory or fifo away from all that have it open. Their reads and writes fail with
 * EIO, also those that sleep in a fifo; so do opens that sleep in it. Watchers get NOTE_REVOKE and
 * end of file, poll a hang-up. It can be opened again. OpenBSD does this to terminals only, and to
 * others when it unmounts. Errors: those of a path. Source: revoke(2).
 */
export function revoke(thread: Thread, tree: Tree, path: string): void {
	fromRoot(thread, tree, "revoke", (start) => {
		const vnode = find(start, path);
		revokeVnode(
			vnode,
			[...vnode.fs.opens].filter((file) => file.vnode === vnode),
		);
	});
}

/** Revokes everything that is open in a file system, one file after the other. */
export function revokeAll(fs: FileSystem): void {
	const files: Map<Vnode, OpenFile[]> = new Map();
	for (const file of fs.opens) {
		const others = files.get(file.vnode);
		if (others === undefined) files.set(file.vnode, [file]);
		else others.push(file);
	}
	let failure: Failure = null;
	for (const [vnode, open] of files) failure = attempt(failure, () => revokeVnode(vnode, open));
	rethrow(failure);
}

/** First its open files are revoked; then watchers and sleepers are told. */
function revokeVnode(vnode: Vnode, files: readonly OpenFile[]): void {
	for (const file of files) {
		file.revoked = true;
		vnode.fs.closed(file);
	}
	vnode.revoke();
}
