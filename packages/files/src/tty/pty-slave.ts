// The slave of a pty: an open terminal.
import { EVFILT_EXCEPT, EVFILT_READ, EVFILT_WRITE, errno, type Thread } from "@kqpoll/kqueue";
import { FIOASYNC, FIONBIO } from "@kqpoll/kqueue/ioctl";
import {
	__EV_POLL,
	__EV_SELECT,
	File,
	FREAD,
	type Knote,
	knoteJoin,
	type WaitChannel,
} from "@kqpoll/kqueue/kernel";
import { S_IFCHR, type Stat } from "@kqpoll/kqueue/stat";
import { deadKqfilter } from "../shared/vnode-dead.ts";
import type { Pty } from "./pty.ts";
import { ptyIoctl } from "./pty-ioctl.ts";
import { isBackground, type Tty } from "./tty.ts";
import { exceptFiltops, readFiltops, type TtyHolder, writeFiltops } from "./tty-filters.ts";
import { readDeadline, stopReader, stopsWriter, ttRead, ttWrite } from "./tty-transfer.ts";

/** An open terminal. Once it is revoked it is at end of file, and cannot be written. */
export class PtySlave extends File implements TtyHolder {
	/** The pair it belongs to. */
	readonly pty: Pty;

	/** Opens the slave of a pair; `opened` must be called when it has a descriptor. */
	constructor(pty: Pty, flags: number) {
		super("vnode");
		this.pty = pty;
		this.flags = flags;
	}

	/** The terminal. */
	get tty(): Tty {
		return this.pty.tty;
	}

	/** Reads from the terminal; 0 once it is revoked. */
	override read(thread: Thread, buffer: Uint8Array): number {
		if (this.revoked || buffer.length === 0) return 0;
		return this.transferred(thread, buffer, false);
	}

	/** Reads what there is when VTIME is over. */
	override readLate(thread: Thread, buffer: Uint8Array): number {
		return this.transferred(thread, buffer, true);
	}

	/** @kern ptsread */
	private transferred(thread: Thread, buffer: Uint8Array, late: boolean): number {
		const { pty, tty } = this;
		if (!pty.controlled) return 0;
		const n = pty.remote ? readRemote(pty, thread, buffer) : ttRead(tty, thread, buffer, late);
		if (n !== -errno.EAGAIN && !pty.remote) pty.inputTaken();
		if (pty.kernel.diagnostics) pty.check();
		return n;
	}

	/** Writes what there is room for; EIO when the master is closed, or once it is revoked. */
	override write(thread: Thread, buffer: Uint8Array, whole: number, begins: boolean): number {
		const { pty, tty } = this;
		if (this.revoked || !pty.controlled) return -errno.EIO;
		if (begins) tty.hiwats.delete(thread);
		const n = ttWrite(tty, thread, buffer, whole);
		if (pty.kernel.diagnostics) pty.check();
		return n;
	}

	/** The end of a read tells the master that there may be room, even if it got nothing. */
	override gaveUp(mode: number): void {
		if (mode === FREAD && !this.revoked && !this.pty.remote) this.pty.inputTaken();
	}

	/**
	 * Readers sleep until there is input, writers until there is room, both until they are in front.
	 */
	override channel(mode: number, thread: Thread): WaitChannel | null {
		const { tty } = this;
		const waits = mode === FREAD ? isBackground(thread.process, tty) : stopsWriter(tty, thread);
		if (waits) return tty.background;
		return mode === FREAD ? tty.readers : tty.writers;
	}

	/** VTIME, which is ignored in remote mode and in the background. */
	override deadline(mode: number, since: number, thread: Thread): number {
		const { pty, tty } = this;
		const counts = mode === FREAD && !pty.remote && !isBackground(thread.process, tty);
		return counts ? readDeadline(tty, since) : Number.POSITIVE_INFINITY;
	}

	/** The commands of tty(4) and pty(4); EBADF once it is revoked. */
	override ioctl(thread: Thread, command: number, argument: unknown): number {
		if (this.revoked) return command === FIONBIO || command === FIOASYNC ? 0 : -errno.EBADF;
		const n = ptyIoctl(this.pty, thread, command, argument);
		if (this.pty.kernel.diagnostics) this.pty.check();
		return n;
	}

	/** A character device. */
	override stat(): Stat {
		return { mode: S_IFCHR | 0o620, size: 0, blksize: 65536 };
	}

	/** Joins a READ or WRITE knote, and EXCEPT for poll; a revoked terminal is at end of file. */
	override kqfilter(kn: Knote): number {
		if (this.revoked) return deadKqfilter(kn);
		const { tty } = this;
		switch (kn.filter) {
			case EVFILT_READ:
				return knoteJoin(kn, readFiltops, tty.rsel);
			case EVFILT_WRITE:
				return knoteJoin(kn, writeFiltops, tty.wsel);
			case EVFILT_EXCEPT:
				// Only poll asks this way, for hang-ups: a terminal has no out-of-band data.
				if ((kn.flags & __EV_SELECT) !== 0) return errno.EPERM;
				if ((kn.flags & __EV_POLL) === 0) return errno.EINVAL;
				return knoteJoin(kn, exceptFiltops, tty.rsel);
			default:
				return errno.EINVAL;
		}
	}

	/** Called when it has a descriptor. */
	opened(): void {
		this.pty.slaveOpened(this);
		if (this.pty.kernel.diagnostics) this.pty.check();
	}

	/** The last open slave closes the terminal. */
	override close(): void {
		if (this.revoked) return;
		this.pty.slaveClosed(this);
		if (this.pty.kernel.diagnostics) this.pty.check();
	}
}

/** In remote mode: what the master wrote as one piece, or the next part of it. */
function readRemote(pty: Pty, thread: Thread, buffer: Uint8Array): number {
	const { tty } = pty;
	const { canq } = tty;
	if (isBackground(thread.process, tty)) return stopReader(thread);
	if (canq.count === 0) return tty.hungUp ? 0 : -errno.EAGAIN;
	// The last cell marks the end of the piece.
	const n = canq.read(buffer.subarray(0, canq.count - 1));
	if (canq.count > 1) return n;
	canq.get();
	pty.inputTaken();
	return n;
}
