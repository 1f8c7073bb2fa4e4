// The master of a pty: the other end of a terminal.
import { EVFILT_EXCEPT, EVFILT_READ, EVFILT_WRITE, errno, type Thread } from "@kqpoll/kqueue";
import { File, FREAD, type Knote, knoteJoin, type WaitChannel } from "@kqpoll/kqueue/kernel";
import { S_IFCHR, type Stat } from "@kqpoll/kqueue/stat";
import type { Pty } from "./pty.ts";
import { exceptFiltops, type PtyHolder, readFiltops, writeFiltops } from "./pty-filters.ts";
import { masterIoctl } from "./pty-ioctl.ts";
import { ICANON } from "./termios.ts";
import { inputCount, TTYHOG, ttWakeup, ttWakeupWriters } from "./tty.ts";
import { TIOCPKT_DATA } from "./tty-constants.ts";
import { ttyInput } from "./tty-input.ts";

/** The open master of a pair. */
export class PtyMaster extends File implements PtyHolder {
	/** The pair it belongs to. */
	readonly pty: Pty;

	/** Opens the master of a pair. */
	constructor(pty: Pty) {
		super("vnode");
		this.pty = pty;
	}

	/**
	 * Reads what the slave has written; in packet and user-control mode a control byte alone, or a
	 * byte 0 and then output. 0 when the slave is closed.
	 * @kern ptcread
	 */
	override read(_thread: Thread, buffer: Uint8Array): number {
		const n = this.output(buffer);
		if (this.pty.kernel.diagnostics) this.pty.check();
		return n;
	}

	private output(buffer: Uint8Array): number {
		const { pty } = this;
		const { tty } = pty;
		if (buffer.length === 0) return 0;
		if (tty.isOpen && pty.controlPending) {
			buffer[0] = takeControl(pty);
			return 1;
		}
		if (!tty.isOpen || tty.outq.count === 0 || tty.stopped) {
			return tty.carrier ? -errno.EAGAIN : 0;
		}
		const header = pty.packetMode || pty.userMode ? 1 : 0;
		if (header > 0) buffer[0] = TIOCPKT_DATA;
		const n = header + tty.outq.read(buffer.subarray(header));
		if (tty.outq.count <= tty.lowat) ttWakeupWriters(tty);
		pty.outputTaken();
		return n;
	}

	/**
	 * Types what is written, as far as there is room. EIO when the slave is closed.
	 * @kern ptcwrite
	 */
	override write(_thread: Thread, buffer: Uint8Array, whole: number): number {
		const n = this.input(buffer, whole);
		if (this.pty.kernel.diagnostics) this.pty.check();
		return n;
	}

	private input(buffer: Uint8Array, whole: number): number {
		const { pty } = this;
		const { tty } = pty;
		if (!tty.isOpen) return tty.carrier ? -errno.EAGAIN : -errno.EIO;
		// A call writes one piece, even if it has more.
		if (pty.remote) return buffer.length < whole ? 0 : writeRemote(pty, buffer);
		const { full } = pty;
		const n = type(pty, buffer);
		// What was typed may have erased what was there.
		if (full && !pty.full) pty.inputTaken();
		return n === 0 && buffer.length > 0 ? -errno.EAGAIN : n;
	}

	/** Readers sleep until there is output, writers until there is room. */
	override channel(mode: number): WaitChannel {
		return mode === FREAD ? this.pty.readers : this.pty.writers;
	}

	/** The commands of pty(4). */
	override ioctl(thread: Thread, command: number, argument: unknown): number {
		const n = masterIoctl(this.pty, thread, command, argument);
		if (this.pty.kernel.diagnostics) this.pty.check();
		return n;
	}

	/** A character device. */
	override stat(): Stat {
		return { mode: S_IFCHR | 0o666, size: 0, blksize: 65536 };
	}

	/** Joins a READ, WRITE or EXCEPT knote. EINVAL for other filters. */
	override kqfilter(kn: Knote): number {
		const { selr, selw } = this.pty;
		switch (kn.filter) {
			case EVFILT_READ:
				return knoteJoin(kn, readFiltops, selr);
			case EVFILT_WRITE:
				return knoteJoin(kn, writeFiltops, selw);
			case EVFILT_EXCEPT:
				return knoteJoin(kn, exceptFiltops, selr);
			default:
				return errno.EINVAL;
		}
	}

	/** The carrier is gone. */
	override close(): void {
		this.pty.masterClosed();
		if (this.pty.kernel.diagnostics) this.pty.check();
	}
}

/** The byte of packet mode, or else that of user-control mode. */
function takeControl(pty: Pty): number {
	if (pty.packetMode && pty.send !== 0) {
		const { send } = pty;
		pty.send = 0;
		return send;
	}
	const { ucntl } = pty;
	pty.ucntl = 0;
	return ucntl;
}

/**
 * Types until the input is full, and returns how many bytes. A line that is not ended can always
 * grow.
 */
function type({ tty }: Pty, buffer: Uint8Array): number {
	let n = 0;
	for (; n < buffer.length; n++) {
		const full = inputCount(tty) >= TTYHOG - 2;
		if (full && (tty.canq.count > 0 || (tty.lflag & ICANON) === 0)) break;
		ttyInput(tty, buffer[n] as number);
	}
	return n;
}

/**
 * Writes one piece of up to TTYHOG - 1 bytes, which the slave reads as it is, when the piece before
 * was read. An empty one is an end of file.
 */
function writeRemote({ tty }: Pty, buffer: Uint8Array): number {
	if (tty.canq.count > 0) return -errno.EAGAIN;
	const n = Math.min(buffer.length, TTYHOG - 1);
	for (let i = 0; i < n; i++) tty.canq.put(buffer[i] as number);
	tty.canq.put(0);
	ttWakeup(tty);
	return n;
}
