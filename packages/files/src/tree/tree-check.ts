// What must hold of a tree between calls.
import { type File, FREAD, FWRITE, kassert } from "@kqpoll/kqueue/kernel";
import { S_IFIFO, S_IFLNK, S_IFREG } from "@kqpoll/kqueue/stat";
import type { MemoryVnode } from "./memory-vnode.ts";
import { PATH_MAX, utf8Length } from "./path.ts";
import type { Share } from "./share.ts";

/** An open file of the tree. */
interface OpenFile extends File {
	readonly vnode: unknown;
}

/** What is checked: a tree. */
interface Checked {
	readonly root: MemoryVnode;
	readonly opens: ReadonlySet<OpenFile>;
	readonly usage: Share;
}

/** How many open files of a fifo read, and how many write. */
interface Opens {
	readers: number;
	writers: number;
}

const CLOSED: Opens = { readers: 0, writers: 0 };

/**
 * For diagnostics: throws a Panic unless each file counts the names that lead to it, each fifo its
 * open files, the tree its names and bytes, and directories and symbolic links hold what they may.
 * Returns how much there was to look at.
 */
export function treeCheck({ root, opens: files, usage }: Checked): number {
	const links = linksOf(root);
	let looks = files.size;
	for (const [vnode, nlink] of links) {
		kassert(vnode.nlink === nlink, "a file counts its names");
		looks += nlink;
	}
	const opens: Map<MemoryVnode, Opens> = new Map();
	const counts: Map<MemoryVnode, number> = new Map();
	for (const file of files) {
		const { revoked, refs, flags } = file;
		const vnode = file.vnode as MemoryVnode;
		kassert(!revoked && refs > 0, "the tree's open files are open");
		if (!links.has(vnode)) removedCheck(vnode);
		const count = opens.get(vnode) ?? { readers: 0, writers: 0 };
		if ((flags & FREAD) !== 0) count.readers++;
		if ((flags & FWRITE) !== 0) count.writers++;
		opens.set(vnode, count);
		counts.set(vnode, (counts.get(vnode) ?? 0) + 1);
	}
	let names = 0;
	let bytes = 0;
	for (const vnode of new Set([...links.keys(), ...opens.keys()])) {
		vnodeCheck(vnode, opens.get(vnode) ?? CLOSED);
		kassert(vnode.opens === (counts.get(vnode) ?? 0), "a file counts its open files");
		names += vnode.entries?.count ?? 0;
		bytes += vnode.bytes.size;
	}
	kassert(usage.names.used === names, "a tree counts its names");
	kassert(usage.bytes.used === bytes, "a tree counts its bytes");
	return looks;
}

/** How many links each file and directory has that names lead to, with "." and "..". */
function linksOf(root: MemoryVnode): Map<MemoryVnode, number> {
	const links: Map<MemoryVnode, number> = new Map([[root, 2]]);
	const directories = [root];
	kassert(root.parent === root, "the root is in itself");
	for (let at = directories.pop(); at !== undefined; at = directories.pop()) {
		for (const [name, vnode] of at.entries ?? []) {
			kassert(name !== "" && !name.includes("/"), "a name is one step of a path");
			const others = links.get(vnode) ?? 0;
			links.set(vnode, others + 1);
			if (!vnode.isDirectory) continue;
			kassert(others === 0, "a directory has one name");
			kassert(vnode.parent === at, "a directory knows where it is");
			kassert(at.height > vnode.height, "a directory is higher than what is in it");
			links.set(vnode, 2);
			links.set(at, (links.get(at) as number) + 1);
			directories.push(vnode);
		}
	}
	return links;
}

/** Of a file that has no name any more, and is still open. */
function removedCheck({ nlink, entries }: MemoryVnode): void {
	kassert(nlink === 0, "what has no name has no links");
	kassert(entries === null || entries.count === 0, "a directory without a name is empty");
}

function vnodeCheck(vnode: MemoryVnode, opens: Opens): void {
	const { type, entries, isDirectory, bytes, target, fifo } = vnode;
	kassert(isDirectory === (entries !== null), "directories alone have entries");
	kassert(type === S_IFREG || bytes.size === 0, "regular files alone have bytes");
	kassert(target === "" || type === S_IFLNK, "symbolic links alone lead on");
	kassert(utf8Length(target) < PATH_MAX, "a symbolic link leads along a path");
	kassert(type !== S_IFLNK || opens === CLOSED, "a symbolic link is not open");
	bytes.check();
	entries?.check();
	if (fifo === null) {
		kassert(type !== S_IFIFO || opens.readers + opens.writers === 0, "an open fifo is under way");
		return;
	}
	kassert(type === S_IFIFO, "fifos alone are under way");
	kassert(fifo.reading.opens === opens.readers, "a fifo counts its readers");
	kassert(fifo.writing.opens === opens.writers, "a fifo counts its writers");
	fifo.check();
}
