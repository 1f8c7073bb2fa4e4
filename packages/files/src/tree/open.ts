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
import { fail, timeOf } from "./caller.ts";
import { FifoFile } from "./fifo-file.ts";
import { FifoOpen, mustWait } from "./fifo-open.ts";
import { checkWritable, findPlace, namei } from "./namei.ts";
import { checkMode, make } from "./names.ts";
import { checked, type Start } from "./start.ts";
import type { Place, Vnode } from "./vnode.ts";
import { VnodeFile } from "./vnode-file.ts";

/** How often a file is looked for that is made and removed by others all the time. */
const TRIES = 8;

/** What is to be opened, and how. */
interface Opening {
	readonly vnode: Vnode;
	/** Its path, for messages. */
	readonly path: string;
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
	unwrap(opening.vnode.open(opening.kept), start.syscall, path);
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
	const vnode = findOrMake(start, path, flags, mode);
	return { vnode, path, kept, waits: vnode.type === S_IFIFO && mustWait(vnode, kept, path) };
}

/** Somebody outside may make the file at the moment when it was not found: then it is looked for again. */
function findOrMake(start: Start, path: string, flags: number, mode: number): Vnode {
	for (let tries = 1; ; tries++) {
		const place = placeOf(start, path, flags);
		if (place.vnode !== null) {
			checkOpen(start, place.vnode, place, flags);
			return place.vnode;
		}
		try {
			return create(start, place, flags, mode);
		} catch (error) {
			const made = error instanceof SystemError && error.errno === errno.EEXIST;
			if (!made || (flags & O_EXCL) !== 0 || tries === TRIES) throw error;
		}
	}
}

/** Follows the path; a link at its end unless a flag forbids that, or a new file must be made. */
function placeOf(start: Start, path: string, flags: number): Place {
	const creates = (flags & O_CREAT) !== 0;
	const follow = (flags & O_NOFOLLOW) === 0 && !(creates && (flags & O_EXCL) !== 0);
	return creates ? findPlace(start, path, { follow }) : namei(start, path, { follow });
}

/** Opens what does not have to wait. */
function finish(start: Start, { vnode, kept, path }: Opening, flags: number): number {
	const { thread, tree, beneath } = start;
	unwrap(vnode.open(kept), start.syscall, path);
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
	checkWritable(start, place.directory, place.path);
	return make(start, place, S_IFREG, mode & 0o7777);
}

/** Throws unless a file that exists can be opened with these flags; cuts it if asked to. */
function checkOpen(start: Start, vnode: Vnode, { path }: Place, flags: number): void {
	const exclusive = O_CREAT | O_EXCL;
	if ((flags & exclusive) === exclusive) fail(start, errno.EEXIST, path);
	if (vnode.isLink) fail(start, errno.ELOOP, path);
	if ((flags & O_DIRECTORY) !== 0 && !vnode.isDirectory) fail(start, errno.ENOTDIR, path);
	if ((fileFlags(flags, start.syscall) & FWRITE) === 0) return;
	if (vnode.isDirectory) fail(start, errno.EISDIR, path);
	// What is written to a fifo does not go to its file system.
	if (vnode.type !== S_IFIFO) checkWritable(start, vnode, path);
	if ((flags & O_TRUNC) !== 0) unwrap(vnode.truncate(0, timeOf(start)), start.syscall, path);
}
