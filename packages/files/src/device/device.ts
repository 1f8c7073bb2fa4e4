// What all character devices have in common.
import { errno, type Thread } from "@kqpoll/kqueue";
import { File, type Knote } from "@kqpoll/kqueue/kernel";
import { S_IFCHR, type Stat } from "@kqpoll/kqueue/stat";
import { SEEK_CUR, SEEK_END, SEEK_SET } from "@kqpoll/kqueue/unistd";
import { deadKqfilter } from "../shared/vnode-dead.ts";

/**
 * An open character device. A driver extends it and says what is read, written and watched; it is
 * not asked any more once the file is revoked.
 */
export abstract class Device extends File {
	/** How far it was read and written, in bytes; most devices ignore it. */
	protected offset = 0;

	/** Makes an open device that no descriptor refers to yet. */
	constructor() {
		super("vnode");
	}

	/** As {@link File.read}, for a device that is not revoked. */
	protected abstract get(thread: Thread, buffer: Uint8Array): number;

	/** As {@link File.write}, for a device that is not revoked. */
	protected abstract put(thread: Thread, buffer: Uint8Array): number;

	/** As {@link File.kqfilter}, for a device that is not revoked. */
	protected abstract watch(kn: Knote): number;

	/** Reads what the driver has; EIO once it is revoked. */
	override read(thread: Thread, buffer: Uint8Array): number {
		return this.moved(this.revoked ? -errno.EIO : this.get(thread, buffer));
	}

	/** Writes what the driver takes; EIO once it is revoked. */
	override write(thread: Thread, buffer: Uint8Array, _whole: number): number {
		return this.moved(this.revoked ? -errno.EIO : this.put(thread, buffer));
	}

	/** As {@link Device.read}, from an offset that the caller has; the device's does not move. */
	override pread(thread: Thread, buffer: Uint8Array, offset: number): number {
		return this.at(offset, () => (this.revoked ? -errno.EIO : this.get(thread, buffer)));
	}

	/** As {@link Device.write}, to an offset that the caller has; the device's does not move. */
	override pwrite(thread: Thread, buffer: Uint8Array, offset: number): number {
		return this.at(offset, () => (this.revoked ? -errno.EIO : this.put(thread, buffer)));
	}

	/** Calls the driver while the offset is another one. */
	private at(offset: number, transfer: () => number): number {
		const before = this.offset;
		this.offset = offset;
		try {
			return transfer();
		} finally {
			this.offset = before;
		}
	}

	private moved(n: number): number {
		if (n > 0) this.offset += n;
		return n;
	}

	/**
	 * Moves the offset. EINVAL for a negative one, for what is not a whole number, or another
	 * `whence`.
	 */
	override seek(_thread: Thread, offset: number, whence: number): number {
		if (whence !== SEEK_SET && whence !== SEEK_CUR && whence !== SEEK_END) return -errno.EINVAL;
		// A device has no end to count from: its size is 0.
		const to = whence === SEEK_CUR ? this.offset + offset : offset;
		if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(to)) return -errno.EINVAL;
		// In the kernel it can be negative; here that would look like an errno.
		if (to < 0) return -errno.EINVAL;
		this.offset = to;
		return to;
	}

	/** A character device that anyone can read and write. */
	override stat(): Stat {
		return { mode: S_IFCHR | 0o666, size: 0, blksize: 65536 };
	}

	/** Joins a knote to the device; a revoked one is at end of file. */
	override kqfilter(kn: Knote): number {
		return this.revoked ? deadKqfilter(kn) : this.watch(kn);
	}
}
