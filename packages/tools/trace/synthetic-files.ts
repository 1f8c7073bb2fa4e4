// Operations on synthetic files.
import {
	errno,
	openFile,
	type Side,
	SyntheticFile,
	SystemError,
	type Thread,
} from "@kqpoll/kqueue";
import { getFile, type Knote, seltrueKqfilter } from "@kqpoll/kqueue/kernel";
import { integer } from "./argument.ts";
import type { Operations } from "./operation.ts";

/** A device that is always ready. Like every synthetic file it can be told how ready it is. */
class ReadyDevice extends SyntheticFile {
	override kqfilter(kn: Knote): number {
		return seltrueKqfilter(kn);
	}
}

export const SYNTHETIC_FILES: Operations = {
	file: (thread, [kind]) =>
		openFile(thread, new SyntheticFile({ type: kind === "vnode" ? "vnode" : "socket" })),
	dev: (thread) => openFile(thread, new ReadyDevice()),
	set: (thread, [fd, side, ...state]) => synthetic(thread, fd).set(sideOf(side), readiness(state)),
	setq: (thread, [fd, side, ...state]) =>
		synthetic(thread, fd).setQuietly(sideOf(side), readiness(state)),
	note: (thread, [fd, hint]) => synthetic(thread, fd).notify(integer(hint)),
	deny: (thread, [fd, side = "", name]) => {
		const error = errno[name as keyof typeof errno] ?? 0;
		return synthetic(thread, fd).deny(side === "vnode" ? side : sideOf(side), error);
	},
	invalidate: (thread, [fd]) => synthetic(thread, fd).invalidate(),
	revoke: (thread, [fd]) => {
		const file = synthetic(thread, fd);
		if (file.type !== "vnode") throw new SystemError(errno.EBADF, "revoke");
		return file.revoke();
	},
};

function synthetic(thread: Thread, fd: string | undefined): SyntheticFile {
	const file = getFile(thread, integer(fd), "set");
	if (file instanceof SyntheticFile) return file;
	throw new SystemError(errno.EBADF, "set");
}

function sideOf(side: string | undefined): Side {
	if (side === "read" || side === "write" || side === "except") return side;
	throw new SystemError(errno.EBADF, "set");
}

function readiness([data, eof, hup, fflags]: readonly string[]) {
	return {
		data: integer(data),
		eof: integer(eof) !== 0,
		hup: integer(hup) !== 0,
		fflags: integer(fflags),
	};
}
