// struct fifoinfo: the bytes and the ends of a fifo that is open.
import { errno } from "@kqpoll/kqueue";
import { doAll, FREAD, FWRITE, Klist, kassert, WaitChannel, wakeup } from "@kqpoll/kqueue/kernel";
import { PIPE_BUF } from "../pipe/pipe.ts";
import { Ring } from "../shared/ring.ts";

/** How many bytes a fifo holds. */
const FIFO_SIZE = 8192;

/** One side of a fifo: its readers, or its writers. */
export class Side {
	/** How many open files this side has, with those whose open sleeps. */
	opens = 0;
	/** How often it got an open file when it had none. */
	firsts = 0;
	/** READ and EXCEPT knotes, or WRITE knotes. */
	readonly klist: Klist = new Klist();
	/** Reads, or writes, sleep here. */
	readonly transfers: WaitChannel = new WaitChannel();
	/** Opens sleep here until the other side has an open file. */
	readonly opening: WaitChannel = new WaitChannel();

	/** Counts an open file. Returns whether it is the first. */
	enter(): boolean {
		if (++this.opens > 1) return false;
		this.firsts++;
		return true;
	}

	/** Wakes sleeping reads or writes, and notifies watchers. */
	wakeup(): void {
		wakeup(this.transfers);
		this.klist.notify(0);
	}
}

/** The bytes of a fifo, and its two sides. The first open makes it, the last close ends it. */
export class Fifo {
	/** What was written and not read yet. */
	readonly buffer: Ring = new Ring(FIFO_SIZE);
	/** The readers. */
	readonly reading: Side = new Side();
	/** The writers. They are at end of file while there are no readers. */
	readonly writing: Side = new Side();
	/**
	 * Whether readers are at end of file: from the close of the last writer until the open of the
	 * next. Before the first writer they are not.
	 */
	eof = false;

	/** Whether it has no open file. */
	get idle(): boolean {
		return this.reading.opens + this.writing.opens === 0;
	}

	/**
	 * Counts an open file by FREAD and FWRITE. The first of a side wakes the opens that wait for it.
	 */
	enter(flags: number): void {
		const { reading, writing } = this;
		if ((flags & FREAD) !== 0 && reading.enter()) wakeup(writing.opening);
		if ((flags & FWRITE) !== 0 && writing.enter()) {
			this.eof = false;
			wakeup(reading.opening);
		}
	}

	/** Undoes {@link enter}. When the last of a side is closed, the other side is told. */
	leave(flags: number): void {
		const { reading, writing } = this;
		const lastReader = (flags & FREAD) !== 0 && --reading.opens === 0;
		const lastWriter = (flags & FWRITE) !== 0 && --writing.opens === 0;
		doAll(
			() => {
				if (lastReader) writing.wakeup();
			},
			() => {
				if (!lastWriter) return;
				this.eof = true;
				reading.wakeup();
			},
		);
	}

	/**
	 * It is revoked, after its open files: as if all of these were closed. Sleepers wake up, and
	 * every knote has an event.
	 */
	revoke(): void {
		const { reading, writing } = this;
		reading.opens = 0;
		writing.opens = 0;
		this.eof = true;
		this.buffer.free();
		wakeup(reading.opening);
		wakeup(writing.opening);
		doAll(
			() => writing.wakeup(),
			() => reading.wakeup(),
		);
	}

	/** For diagnostics: throws a Panic unless its bytes, its ends and its sleepers agree. */
	check(): void {
		const { buffer, eof, reading, writing } = this;
		buffer.check();
		kassert(reading.opens >= 0 && writing.opens >= 0, "a fifo's ends are opened before closed");
		kassert(!eof || writing.opens === 0, "a fifo with writers is not at its end");
		const nothing = buffer.count === 0 && !eof;
		kassert(
			nothing || reading.transfers.first === null,
			"no reader sleeps when there is something",
		);
		const full = buffer.room < PIPE_BUF && reading.opens > 0;
		kassert(full || writing.transfers.first === null, "no writer sleeps when there is room");
		kassert(
			writing.opens === 0 || reading.opening.first === null,
			"no reader's open sleeps when there is a writer",
		);
		kassert(
			reading.opens === 0 || writing.opening.first === null,
			"no writer's open sleeps when there is a reader",
		);
	}

	/** Reads what there is. Returns how many bytes, 0 at end of file, or -EAGAIN. */
	read(into: Uint8Array): number {
		const n = this.buffer.read(into);
		if (n > 0) this.writing.wakeup();
		return n > 0 || into.length === 0 || this.eof ? n : -errno.EAGAIN;
	}

	/**
	 * Writes what there is room for. Returns how many bytes, -EAGAIN or -EPIPE. Writes all of `bytes`
	 * if there is room for it, and a part only if that is PIPE_BUF or more. -ENOBUFS when the account
	 * of the first writer has too many bytes in buffers.
	 */
	write(bytes: Uint8Array): number {
		const { buffer, reading } = this;
		if (reading.opens === 0) return -errno.EPIPE;
		if (buffer.room < Math.min(bytes.length, PIPE_BUF)) return -errno.EAGAIN;
		const n = buffer.write(bytes);
		if (n < 0) return -errno.ENOBUFS;
		// A write of nothing, too.
		if (buffer.count > 0) reading.wakeup();
		return n;
	}
}
