// System calls that open a file of a tree, and those on open files that only vnodes have.
import { errno, NOTE_WRITE, SystemError, type Thread } from "@kqpoll/kqueue";
import { FWRITE, getFile, isInt32, show, syscall, unwrap } from "@kqpoll/kqueue/kernel";
import { openWith } from "./open-file.ts";
import { lookup, lookupName, type Place, type Tree } from "./tree.ts";
import type { Vnode } from "./vnode.ts";
import { VnodeFile } from "./vnode-file.ts";
import { fileFlags, O_CREAT, O_DIRECTORY, O_EXCL, O_TRUNC } from "./vnode-flags.ts";

/**
 * Opens a file or directory of a tree and gives its descriptor. With O_CREAT a file that is not
 * there is made, with the permission bits of `mode`; who watches its directory gets NOTE_WRITE.
 * O_TRUNC cuts the file: NOTE_ATTRIB, and NOTE_TRUNCATE if there was anything. Flags that are
 * not known are ignored.
 *
 * Errors, all with nothing changed: those of a path; EEXIST with O_CREAT and O_EXCL;
 * EISDIR for a directory that is to be written, and for the root with O_CREAT; ENOTDIR with
 * O_DIRECTORY; EINVAL for an access mode that does not exist, O_TRUNC without writing, a file to
 * be made with O_DIRECTORY, or a mode that is no int; EMFILE. Source: open(2).
 */
export function open(
	thread: Thread,
	tree: Tree,
	path: string,
	flags: number,
	mode: number = 0o666,
): number {
	return syscall(thread, "open", () => {
		const kept = fileFlags(flags, "open");
		if ((flags & O_TRUNC) !== 0 && (kept & FWRITE) === 0)
			throw new SystemError(errno.EINVAL, "open", "O_TRUNC needs write access");
		const creates = (flags & O_CREAT) !== 0;
		if (creates && !isInt32(mode)) throw new SystemError(errno.EINVAL, "open", show(mode));
		const { fdp } = thread.process;
		unwrap(fdp.findFree(), "open", `the limit is ${fdp.limit}`);
		const place = (creates ? lookupName : lookup)(tree, path, "open");
		const vnode = place.vnode === null ? create(thread, tree, place, flags, mode) : place.vnode;
		if (place.vnode !== null) checkOpen(thread, tree, vnode, place, flags);
		return openWith(thread, new VnodeFile(tree, vnode, kept), flags);
	});
}

function create(thread: Thread, tree: Tree, place: Place, flags: number, mode: number): Vnode {
	const { directory, name, path } = place;
	if ((flags & O_CREAT) === 0) throw new SystemError(errno.ENOENT, "open", path);
	if ((flags & O_DIRECTORY) !== 0)
		throw new SystemError(errno.EINVAL, "open", "O_CREAT makes no directories");
	const now = thread.kernel.host.now();
	const vnode = tree.makeVnode(false, mode & 0o7777, now);
	directory.enter(name, vnode, now);
	directory.post(NOTE_WRITE);
	return vnode;
}

/** Whether what is there may be opened like that; cuts it if asked to. */
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
 * Cuts an open file to a size in bytes, or adds zeros; the offset stays. Who watches gets
 * NOTE_ATTRIB, and NOTE_TRUNCATE if it became smaller. Errors: EBADF, also for a revoked file;
 * EINVAL for what is no size, for a descriptor that is not of a tree's file or not open for
 * writing; EFBIG; ENOSPC. Source: ftruncate(2).
 */
export function ftruncate(thread: Thread, fd: number, size: number): void {
	syscall(thread, "ftruncate", () => {
		const file = getFile(thread, fd, "ftruncate");
		if (!(file instanceof VnodeFile) || (file.flags & FWRITE) === 0)
			throw new SystemError(errno.EINVAL, "ftruncate", `descriptor ${fd} cannot be cut`);
		unwrap(file.truncate(thread, size), "ftruncate", `size ${show(size)}`);
	});
}
