// struct fifoinfo: what is under way in a fifo, while anybody has it open.
import { errno } from "@kqpoll/kqueue";
import { doAll, FREAD, FWRITE, Klist, kassert, WaitChannel, wakeup } from "@kqpoll/kqueue/kernel";
import { PIPE_BUF } from "../pipe/pipe.ts";
import { Ring } from "../shared/ring.ts";

/** How many bytes a fifo holds. */
const FIFO_SIZE = 8192;

/** Those who read from a fifo, or those who write to it. */
export class Side {
	/** How many open files are of this side, those included whose open sleeps. */
	opens = 0;
	/** How often it got an open file after having none. */
	firsts = 0;
	/** READ and EXCEPT knotes, or WRITE knotes. */
	readonly klist: Klist = new Klist();
	/** Where transfers sleep. */
	readonly transfers: WaitChannel = new WaitChannel();
	/** Where opens sleep until the other side has an open file. */
	readonly opening: WaitChannel = new WaitChannel();

	/** Counts an open file, and says whether it is the only one. */
	enter(): boolean {
		if (++this.opens > 1) return false;
		this.firsts++;
		return true;
	}

	/** Wakes who sleeps in a transfer, and tells who watches. */
	wakeup(): void {
		wakeup(this.transfers);
		this.klist.notify(0);
	}
}

/** The bytes of a fifo, and who is at its ends. The first open makes it, the last close ends it. */
export class Fifo {
	/** What was written and not read yet. */
	readonly buffer: Ring = new Ring(FIFO_SIZE);
	/** Those who read. */
	readonly reading: Side = new Side();
	/** Those who write. They are at end of file while nobody reads. */
	readonly writing: Side = new Side();
	/**
	 * Whether readers are at end of file: the last writer is gone. Before the first one they are not,
	 * and the next one takes it back.
	 */
	eof = false;

	/** Whether nobody has it open. */
	get idle(): boolean {
		return this.reading.opens + this.writing.opens === 0;
	}

	/** Counts an open file by FREAD and FWRITE. The first of a side ends the opens that wait for it. */
	enter(flags: number): void {
		const { reading, writing } = this;
		if ((flags & FREAD) !== 0 && reading.enter()) wakeup(writing.opening);
		if ((flags & FWRITE) !== 0 && writing.enter()) {
			this.eof = false;
			wakeup(reading.opening);
		}
	}

	/** Takes back what {@link enter} counted. When the last of a side goes, the other hears of it. */
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
	 * Its file system lets go of it, after marking the open files: it is as if all were closed. Who
	 * sleeps wakes up, and every knote has an event.
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

	/** Reads what there is; gives how many bytes, 0 at end of file, or -EAGAIN. */
	read(into: Uint8Array): number {
		const n = this.buffer.read(into);
		if (n > 0) this.writing.wakeup();
		return n > 0 || into.length === 0 || this.eof ? n : -errno.EAGAIN;
	}

	/**
	 * Writes what there is room for; gives how many bytes, -EAGAIN or -EPIPE. All of `bytes` goes in
	 * if there is room for it; a part only if that is PIPE_BUF or more.
	 */
	write(bytes: Uint8Array): number {
		const { buffer, reading } = this;
		if (reading.opens === 0) return -errno.EPIPE;
		if (buffer.room < Math.min(bytes.length, PIPE_BUF)) return -errno.EAGAIN;
		const n = buffer.write(bytes);
		if (n > 0) reading.wakeup();
		return n;
	}
}
