// A regular file that is a standard stream, as an open file.
import { fstatSync, readFileSync, readSync, writeSync } from "node:fs";
import { EVFILT_READ, errno, type Thread } from "@kqpoll/kqueue";
import {
	File,
	type Filterops,
	type FREAD,
	type FWRITE,
	filterops,
	Klist,
	type Knote,
	seltrueKqfilter,
} from "@kqpoll/kqueue/kernel";
import type { Stat } from "@kqpoll/kqueue/stat";
import { SEEK_CUR, SEEK_END } from "@kqpoll/kqueue/unistd";
import { codeOf } from "./refusal.ts";

/** Our number of an error of Node. */
export function errnoOf(error: unknown): number {
	const code = codeOf(error);
	return Object.hasOwn(errno, code) ? errno[code as keyof typeof errno] : errno.EIO;
}

/** Calls a function of node:fs, and returns its result or a negative errno. */
function attempt(act: () => number): number {
	try {
		return act();
	} catch (error) {
		return -errnoOf(error);
	}
}

/**
 * A descriptor of the real system that is open for a regular file. It is always ready. Reads and writes
 * move the offset that it shares with others who have it open, until the guest moves it: Node cannot do
 * that, and from then on the offset is the guest's own.
 */
export class RealFile extends File {
	private readonly klist: Klist = new Klist();
	private readonly fd: number;
	/** The guest's own offset; null while it is the shared one. */
	private offset: number | null = null;
	/** How many bytes went through while it was the shared one. */
	private passed = 0;

	/** Uses a real descriptor, to read or to write. */
	constructor(fd: number, mode: typeof FREAD | typeof FWRITE) {
		super("vnode");
		this.fd = fd;
		this.flags = mode;
	}

	override read(_thread: Thread, buffer: Uint8Array): number {
		return this.moved(attempt(() => readSync(this.fd, buffer, 0, buffer.length, this.offset)));
	}

	override write(_thread: Thread, buffer: Uint8Array): number {
		return this.moved(attempt(() => writeSync(this.fd, buffer, 0, buffer.length, this.offset)));
	}

	override pread(_thread: Thread, buffer: Uint8Array, offset: number): number {
		return attempt(() => readSync(this.fd, buffer, 0, buffer.length, offset));
	}

	override pwrite(_thread: Thread, buffer: Uint8Array, offset: number): number {
		return attempt(() => writeSync(this.fd, buffer, 0, buffer.length, offset));
	}

	private moved(count: number): number {
		if (count < 0) return count;
		if (this.offset === null) this.passed += count;
		else this.offset += count;
		return count;
	}

	override seek(_thread: Thread, offset: number, whence: number): number {
		const from = whence === SEEK_CUR ? this.tell() : whence === SEEK_END ? this.stat().size : 0;
		if (from + offset < 0) return -errno.EINVAL;
		// Who only asks where it is does not part from the others.
		if (whence !== SEEK_CUR || offset !== 0) this.offset = from + offset;
		return from + offset;
	}

	/** The offset: the shared one is known on Linux only. */
	private tell(): number {
		if (this.offset !== null) return this.offset;
		try {
			const info = readFileSync(`/proc/self/fdinfo/${this.fd}`, "latin1");
			return Number((/^pos:\s*([0-9]+)$/m.exec(info) as RegExpExecArray)[1]);
		} catch {
			return this.passed;
		}
	}

	override stat(): Stat {
		const { mode, size, blksize } = fstatSync(this.fd);
		return { mode, size, blksize };
	}

	/** How many bytes there are from the offset on. */
	get left(): number {
		return Math.max(0, this.stat().size - this.tell());
	}

	/** It is always ready, as regular files are. */
	override kqfilter(kn: Knote): number {
		if (kn.filter !== EVFILT_READ) return seltrueKqfilter(kn);
		kn.fop = readFiltops;
		this.klist.insert(kn);
		return 0;
	}
}

const readFiltops: Filterops = filterops({
	name: "real file read",
	event: (kn) => {
		kn.data = (kn.fp as RealFile).left;
		return true;
	},
});
