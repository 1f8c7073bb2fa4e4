// What the calls of the open family do, wherever their paths begin.
import { errno, SystemError } from "@kqpoll/kqueue";
import { type BlockingCall, FWRITE, newDescriptor, unwrap } from "@kqpoll/kqueue/kernel";
import { S_IFIFO, S_IFREG } from "@kqpoll/kqueue/stat";
import { openWith } from "../shared/open-file.ts";
import {
	fileFlags,
	O_CREAT,
	O_DIRECTORY,
	O_EXCL,
	O_NOFOLLOW,
	O_TRUNC,
} from "../shared/vnode-flags.ts";
import { FifoFile } from "./fifo-file.ts";
import { FifoOpen, mustWait } from "./fifo-open.ts";
import { fail, findPlace, namei, type Place } from "./namei.ts";
import { checkMode, make } from "./names.ts";
import { checked, type Start, timeOf } from "./start.ts";
import type { Vnode } from "./vnode.ts";
import { VnodeFile } from "./vnode-file.ts";

/** What is to be opened, and how. */
interface Opening {
	readonly vnode: Vnode;
	/** What the open file keeps of the flags. */
	readonly kept: number;
	/** Whether it has to wait for the other end of a fifo. */
	readonly waits: boolean;
}

/** Opens what a path leads to and returns its descriptor, or the call that waits for a fifo. */
export function beginOpen(
	start: Start,
	path: string,
	flags: number,
	mode: number,
): BlockingCall | number {
	const opening = prepare(start, path, flags, mode);
	if (!opening.waits) return checked(finish(start, opening, flags), start);
	const file = new FifoFile(start.tree, opening.vnode, opening.kept);
	const call = new FifoOpen(start.thread, file, path, flags);
	call.syscall = start.syscall;
	return checked(call, start);
}

/** As {@link beginOpen}, but throws EAGAIN, with nothing changed, instead of waiting. */
export function openAtOnce(start: Start, path: string, flags: number, mode: number): number {
	const opening = prepare(start, path, flags, mode);
	if (opening.waits) {
		const why = `${path} is not open at its other end`;
		throw new SystemError(errno.EAGAIN, start.syscall, why);
	}
	return finish(start, opening, flags);
}

/** Finds or makes what is to be opened, and cuts it if asked to. */
function prepare(start: Start, path: string, flags: number, mode: number): Opening {
	const { thread, syscall } = start;
	const kept = fileFlags(flags, syscall);
	if ((flags & O_TRUNC) !== 0 && (kept & FWRITE) === 0)
		throw new SystemError(errno.EINVAL, syscall, "O_TRUNC needs write access");
	if ((flags & O_CREAT) !== 0) checkMode(start, mode);
	const { fdp } = thread.process;
	newDescriptor(fdp, fdp.findNew(), syscall);
	const place = placeOf(start, path, flags);
	const vnode = place.vnode ?? create(start, place, flags, mode);
	if (place.vnode !== null) checkOpen(start, vnode, place, flags);
	return { vnode, kept, waits: vnode.type === S_IFIFO && mustWait(vnode, kept, path) };
}

/** Follows the path; a link at its end unless a flag forbids that, or a new file must be made. */
function placeOf(start: Start, path: string, flags: number): Place {
	const creates = (flags & O_CREAT) !== 0;
	const follow = (flags & O_NOFOLLOW) === 0 && !(creates && (flags & O_EXCL) !== 0);
	return creates ? findPlace(start, path, { follow }) : namei(start, path, { follow });
}

/** Opens what does not have to wait. */
function finish({ thread, tree, beneath }: Start, { vnode, kept }: Opening, flags: number): number {
	const file =
		vnode.type === S_IFIFO ? new FifoFile(tree, vnode, kept) : new VnodeFile(tree, vnode, kept);
	file.beneath = beneath;
	return openWith(thread, file, flags);
}

function create(start: Start, place: Place, flags: number, mode: number): Vnode {
	if ((flags & O_CREAT) === 0) fail(start, errno.ENOENT, place.path);
	if ((flags & O_DIRECTORY) !== 0) {
		const why = "O_CREAT does not make directories: use mkdir";
		throw new SystemError(errno.EINVAL, start.syscall, why);
	}
	return make(start, place, S_IFREG, mode & 0o7777);
}

/** Throws unless a file that exists can be opened with these flags; cuts it if asked to. */
function checkOpen(start: Start, vnode: Vnode, { path }: Place, flags: number): void {
	const exclusive = O_CREAT | O_EXCL;
	if ((flags & exclusive) === exclusive) fail(start, errno.EEXIST, path);
	if (vnode.isLink) fail(start, errno.ELOOP, path);
	if ((flags & O_DIRECTORY) !== 0 && !vnode.isDirectory) fail(start, errno.ENOTDIR, path);
	if (vnode.isDirectory && (fileFlags(flags, start.syscall) & FWRITE) !== 0)
		fail(start, errno.EISDIR, path);
	if ((flags & O_TRUNC) === 0) return;
	unwrap(vnode.truncate(0, start.tree.maxFileSize, timeOf(start)), start.syscall, path);
}
