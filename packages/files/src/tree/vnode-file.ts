// An open regular file or directory: a vnode and an offset.
import { errno, type Thread } from "@kqpoll/kqueue";
import { O_APPEND, O_SYNC } from "@kqpoll/kqueue/fcntl";
import { FIOASYNC, FIONBIO, FIONREAD } from "@kqpoll/kqueue/ioctl";
import type { Knote } from "@kqpoll/kqueue/kernel";
import { SEEK_CUR, SEEK_END, SEEK_SET } from "@kqpoll/kqueue/unistd";
import type { PositionedDirent } from "./dirent.ts";
import { TreeFile } from "./tree-file.ts";
import { type Readable, vnodeKqfilter } from "./vnode-filter.ts";

/** An open regular file or directory. It never sleeps. */
export class VnodeFile extends TreeFile implements Readable {
	/** Where the next transfer begins, in bytes. */
	private offset = 0;

	/** How many bytes there are from the offset to the end; negative when it is behind the end. */
	get remaining(): number {
		return this.vnode.size - this.offset;
	}

	/** Reads from the offset on. EISDIR, EIO once it is revoked. */
	override read(thread: Thread, buffer: Uint8Array): number {
		if (this.revoked) return -errno.EIO;
		if (this.vnode.isDirectory) return -errno.EISDIR;
		const n = this.vnode.read(this.offset, buffer, thread.kernel.host.realtime());
		if (n > 0) this.offset += n;
		return n;
	}

	/** Writes at the offset, or with O_APPEND at the end. EFBIG, ENOSPC, EIO once it is revoked. */
	override write(thread: Thread, buffer: Uint8Array, _whole: number): number {
		if (this.revoked) return -errno.EIO;
		const { vnode } = this;
		const append = (this.flags & O_APPEND) !== 0;
		const from = append ? vnode.size : this.offset;
		const now = thread.kernel.host.realtime();
		let n = buffer.length;
		try {
			// Watchers are notified before the offset moves, as in the kernel.
			n = vnode.write(from, buffer, append, now);
			if (thread.kernel.diagnostics) vnode.check();
		} finally {
			// A watcher that throws does not undo what was written.
			if (n > 0) this.offset = from + n;
		}
		return (this.flags & O_SYNC) === 0 ? n : this.stored(n);
	}

	/** As {@link VnodeFile.read}, from an offset that the caller has; the file's does not move. */
	override pread(thread: Thread, buffer: Uint8Array, offset: number): number {
		if (this.revoked) return -errno.EIO;
		if (this.vnode.isDirectory) return -errno.EISDIR;
		return this.vnode.read(offset, buffer, thread.kernel.host.realtime());
	}

	/** As {@link VnodeFile.write}, to an offset that the caller has, whatever O_APPEND says. */
	override pwrite(thread: Thread, buffer: Uint8Array, offset: number): number {
		if (this.revoked) return -errno.EIO;
		const { vnode } = this;
		const n = vnode.write(offset, buffer, false, thread.kernel.host.realtime());
		if (thread.kernel.diagnostics) vnode.check();
		return (this.flags & O_SYNC) === 0 ? n : this.stored(n);
	}

	/** With O_SYNC: stores what was written. Returns `n`, or the errno of that. */
	private stored(n: number): number {
		return n > 0 ? this.vnode.sync(false) || n : n;
	}

	/**
	 * Reads at most `count` names of a directory from the offset on, and moves it behind them. Returns
	 * 0 or a negative errno.
	 */
	readdir(thread: Thread, count: number, into: PositionedDirent[]): number {
		const to = this.vnode.readdir(this.offset, count, into, thread.kernel.host.realtime());
		if (to < 0) return to;
		this.offset = to;
		return 0;
	}

	/** FIONREAD: how many bytes there are to read, 0 behind the end. */
	override ioctl(_thread: Thread, command: number, _argument: unknown): number {
		if (command === FIONBIO || command === FIOASYNC) return 0;
		if (command !== FIONREAD || this.revoked) return -errno.ENOTTY;
		return Math.max(0, this.remaining);
	}

	/** Moves the offset, also behind the end, and of a directory. EINVAL before the beginning, EOVERFLOW. */
	override seek(_thread: Thread, offset: number, whence: number): number {
		let base: number;
		if (whence === SEEK_SET) base = 0;
		else if (whence === SEEK_CUR) base = this.offset;
		else if (whence === SEEK_END) base = this.vnode.size;
		else return -errno.EINVAL;
		if (whence === SEEK_END && this.revoked) return -errno.EBADF;
		const to = base + offset;
		if (!Number.isSafeInteger(offset) || to < 0) return -errno.EINVAL;
		if (!Number.isSafeInteger(to)) return -errno.EOVERFLOW;
		this.offset = to;
		return to;
	}

	/** Joins a READ, WRITE or VNODE knote. */
	protected override watch(kn: Knote): number {
		return vnodeKqfilter(kn, this.vnode);
	}
}
