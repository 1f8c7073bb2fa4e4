// open(2) and ftruncate(2).
import { errno, NOTE_WRITE, type SleepOptions, SystemError, type Thread } from "@kqpoll/kqueue";
import {
	type BlockingCall,
	callAsync,
	FWRITE,
	getFile,
	isInt32,
	show,
	syscall,
	unwrap,
} from "@kqpoll/kqueue/kernel";
import { S_IFIFO, S_IFREG } from "@kqpoll/kqueue/stat";
import { openWith } from "../shared/open-file.ts";
import { fileFlags, O_CREAT, O_DIRECTORY, O_EXCL, O_TRUNC } from "../shared/vnode-flags.ts";
import { FifoFile } from "./fifo-file.ts";
import { FifoOpen, mustWait } from "./fifo-open.ts";
import { lookup, lookupName, type Place, type Tree } from "./tree.ts";
import { TreeFile } from "./tree-file.ts";
import type { Vnode } from "./vnode.ts";
import { VnodeFile } from "./vnode-file.ts";

/**
 * Opens a file, directory or fifo of a tree and returns its descriptor. With O_CREAT a file that
 * does not exist is made, with the permission bits of `mode`, and watchers of its directory get
 * NOTE_WRITE. With O_TRUNC a regular file is cut to size 0, and its watchers get NOTE_ATTRIB, and
 * NOTE_TRUNCATE if it was not empty. Unknown flags are ignored.
 *
 * An open of a fifo for reading counts as a reader at once, and sleeps until there is a writer; for
 * writing, the other way round. It does not sleep for both, or with O_NONBLOCK. When it fails after
 * a sleep, the fifo was opened and closed again.
 *
 * Rejects, with nothing changed, with: those of a path; EEXIST with O_CREAT and O_EXCL; EISDIR for
 * a directory that is opened for writing, and for the root with O_CREAT; ENOTDIR with O_DIRECTORY;
 * EINVAL for an access mode that does not exist, O_TRUNC without write access, a file that would be
 * made with O_DIRECTORY, or a mode that is not an int; EMFILE; ENXIO for a fifo without readers
 * that is opened for writing with O_NONBLOCK. After a sleep also with EINTR, EMFILE, and EIO when
 * the fifo was revoked; as for kevent EBUSY, EDEADLK, ESRCH and the reason of `options.signal`.
 * Source: open(2).
 */
export function open(
	thread: Thread,
	tree: Tree,
	path: string,
	flags: number,
	mode: number = 0o666,
	options: SleepOptions = {},
): Promise<number> {
	return callAsync(thread, "open", options, openCall, tree, path, flags, mode);
}

/** Begins an {@link open}, for any driver. */
export function openCall(
	thread: Thread,
	tree: Tree,
	path: string,
	flags: number,
	mode: number = 0o666,
): BlockingCall | number {
	const opening = prepare(thread, tree, path, flags, mode);
	if (!opening.waits) return finish(thread, tree, opening, flags);
	const file = new FifoFile(tree, opening.vnode, opening.kept);
	const call = new FifoOpen(thread, file, path, flags);
	if (thread.kernel.diagnostics) tree.check();
	return call;
}

/** As {@link open}, without sleeping: throws EAGAIN, with nothing changed, where that would sleep. */
export function openNow(
	thread: Thread,
	tree: Tree,
	path: string,
	flags: number,
	mode: number = 0o666,
): number {
	return syscall(thread, "open", () => {
		const opening = prepare(thread, tree, path, flags, mode);
		if (opening.waits)
			throw new SystemError(errno.EAGAIN, "open", `${path} is not open at its other end`);
		return finish(thread, tree, opening, flags);
	});
}

/** What is to be opened, and how. */
interface Opening {
	readonly vnode: Vnode;
	/** What the open file keeps of the flags. */
	readonly kept: number;
	/** Whether it has to wait for the other end of a fifo. */
	readonly waits: boolean;
}

/** Finds or makes what is to be opened, and cuts it if asked to. */
function prepare(thread: Thread, tree: Tree, path: string, flags: number, mode: number): Opening {
	const kept = fileFlags(flags, "open");
	if ((flags & O_TRUNC) !== 0 && (kept & FWRITE) === 0)
		throw new SystemError(errno.EINVAL, "open", "O_TRUNC needs write access");
	const creates = (flags & O_CREAT) !== 0;
	if (creates && !isInt32(mode)) throw new SystemError(errno.EINVAL, "open", `mode ${show(mode)}`);
	const { fdp } = thread.process;
	unwrap(fdp.findFree(), "open", `the limit is ${fdp.limit}`);
	const place = (creates ? lookupName : lookup)(tree, path, "open");
	const vnode = place.vnode === null ? create(thread, tree, place, flags, mode) : place.vnode;
	if (place.vnode !== null) checkOpen(thread, tree, vnode, place, flags);
	return { vnode, kept, waits: vnode.type === S_IFIFO && mustWait(vnode, kept, path) };
}

/** Opens what does not have to wait. */
function finish(thread: Thread, tree: Tree, { vnode, kept }: Opening, flags: number): number {
	const file =
		vnode.type === S_IFIFO ? new FifoFile(tree, vnode, kept) : new VnodeFile(tree, vnode, kept);
	const fd = openWith(thread, file, flags);
	if (thread.kernel.diagnostics) tree.check();
	return fd;
}

function create(thread: Thread, tree: Tree, place: Place, flags: number, mode: number): Vnode {
	const { directory, name, path } = place;
	if ((flags & O_CREAT) === 0) throw new SystemError(errno.ENOENT, "open", path);
	if ((flags & O_DIRECTORY) !== 0)
		throw new SystemError(errno.EINVAL, "open", "O_CREAT does not make directories: use mkdir");
	const now = thread.kernel.host.now();
	const vnode = tree.makeVnode(S_IFREG, mode & 0o7777, now);
	directory.enter(name, vnode, now);
	directory.post(NOTE_WRITE);
	return vnode;
}

/** Throws unless a file that exists can be opened with these flags; cuts it if asked to. */
function checkOpen(thread: Thread, tree: Tree, vnode: Vnode, place: Place, flags: number): void {
	const exclusive = O_CREAT | O_EXCL;
	if ((flags & exclusive) === exclusive) throw new SystemError(errno.EEXIST, "open", place.path);
	if ((flags & O_DIRECTORY) !== 0 && !vnode.isDirectory)
		throw new SystemError(errno.ENOTDIR, "open", place.path);
	if (vnode.isDirectory && (fileFlags(flags, "open") & FWRITE) !== 0)
		throw new SystemError(errno.EISDIR, "open", place.path);
	if ((flags & O_TRUNC) !== 0)
		unwrap(vnode.truncate(0, tree.maxFileSize, thread.kernel.host.now()), "open", place.path);
}

/**
 * Cuts an open file to a size in bytes, or adds zeros; the offset stays, and nothing happens to a
 * fifo. Watchers get NOTE_ATTRIB, and NOTE_TRUNCATE if it became smaller. Errors: EBADF, also for a
 * revoked file; EINVAL for what is not a size, for a descriptor that is not of a tree's file or not
 * open for writing; EFBIG; ENOSPC. Source: ftruncate(2).
 */
export function ftruncate(thread: Thread, fd: number, size: number): void {
	syscall(thread, "ftruncate", () => {
		const file = getFile(thread, fd, "ftruncate");
		if (!(file instanceof TreeFile) || (file.flags & FWRITE) === 0)
			throw new SystemError(
				errno.EINVAL,
				"ftruncate",
				`descriptor ${fd} is not a file of a tree that is open for writing`,
			);
		unwrap(file.truncate(thread, size), "ftruncate", `size ${show(size)}`);
	});
}
