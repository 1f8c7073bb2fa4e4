// System calls that take open files away: revoke, and unmount by force.
import type { Thread } from "@kqpoll/kqueue";
import { attempt, type Failure, rethrow } from "@kqpoll/kqueue/kernel";
import { find } from "./namei.ts";
import { fromRoot } from "./start.ts";
import type { Tree } from "./tree.ts";
import type { TreeFile } from "./tree-file.ts";
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
			tree,
			vnode,
			[...tree.opens].filter((file) => file.vnode === vnode),
		);
	});
}

/**
 * Unmounts a tree by force: calls on its paths fail with ENOENT, and everything that is open in it
 * is revoked, one file after the other in the order in which they were opened. Source: unmount(2)
 * with MNT_FORCE.
 */
export function unmount(thread: Thread, tree: Tree): void {
	fromRoot(thread, tree, "unmount", () => {
		tree.mounted = false;
		const files: Map<Vnode, TreeFile[]> = new Map();
		for (const file of tree.opens) {
			const others = files.get(file.vnode);
			if (others === undefined) files.set(file.vnode, [file]);
			else others.push(file);
		}
		let failure: Failure = null;
		for (const [vnode, open] of files)
			failure = attempt(failure, () => revokeVnode(tree, vnode, open));
		rethrow(failure);
	});
}

/** First its open files are revoked; then watchers and sleepers are told. */
function revokeVnode(tree: Tree, vnode: Vnode, files: readonly TreeFile[]): void {
	for (const file of files) {
		file.revoked = true;
		tree.closed(file);
	}
	vnode.revoke();
}
