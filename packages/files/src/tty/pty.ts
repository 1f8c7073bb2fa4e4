// pty(4): a pair of a terminal, the slave, and its other end, the master.
import type { Kernel } from "@kqpoll/kqueue";
import {
	doAll,
	type File,
	FREAD,
	FWRITE,
	Klist,
	kassert,
	type Quota,
	WaitChannel,
	wakeup,
} from "@kqpoll/kqueue/kernel";
import { inFlightOf } from "../shared/rights.ts";
import { ICANON } from "./termios.ts";
import {
	inputCount,
	TTYHOG,
	Tty,
	type TtyDriver,
	ttyClose,
	ttyDisown,
	ttyModem,
	ttyOpen,
} from "./tty.ts";
import { ttyCheck } from "./tty-check.ts";
import { TIOCPKT_START, TIOCPKT_STOP } from "./tty-constants.ts";

/** The letters and digits that names end in. */
const LETTERS = "pqrstuvwxyzPQRST";
const DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
/** How many a machine can have. */
const NPTY_MAX: number = LETTERS.length * DIGITS.length;

/** The ptys of each machine, by name. */
const ptys: WeakMap<Kernel, Map<string, Pty>> = new WeakMap();

/** A pair. It exists until both ends are closed. */
export class Pty implements TtyDriver {
	/** The name of the slave: ttyp0, ttyp1 … */
	readonly name: string;
	/** The terminal. */
	readonly tty: Tty;
	/** READ and EXCEPT knotes of the master. */
	readonly selr: Klist = new Klist();
	/** WRITE knotes of the master. */
	readonly selw: Klist = new Klist();
	/** Threads that read from the master sleep here. */
	readonly readers: WaitChannel = new WaitChannel();
	/** Threads that write to the master sleep here. */
	readonly writers: WaitChannel = new WaitChannel();
	/** Whether the master is open. */
	controlled = true;
	/** The open slaves, in order of opening. */
	readonly slaves: Set<File> = new Set();
	/** PF_PKT: packet mode. */
	packetMode = false;
	/** PF_UCNTL: user-control mode. */
	userMode = false;
	/** PF_REMOTE: input comes in pieces, without line editing. */
	remote = false;
	/** PF_NOSTOP: the master was told that ^S and ^Q do not stop output. */
	nostop = false;
	/** What the master will be told in packet mode: TIOCPKT_ bits. */
	send = 0;
	/** What the master will be told in user-control mode: a byte, 0 for nothing. */
	ucntl = 0;
	/** PF_STOPPED: the master was told that output is stopped. */
	private toldStopped = false;
	/** Whether the last slave was closed, and the terminal waits for the master to read its output. */
	private closing = false;
	/** The machine it is on. */
	readonly kernel: Kernel;

	/** What it is charged to. */
	private readonly payer: Quota;

	/** Made by {@link makePty}. */
	constructor(kernel: Kernel, name: string, payer: Quota) {
		this.kernel = kernel;
		this.payer = payer;
		this.name = name;
		this.tty = new Tty(kernel, this);
		this.tty.carrier = true;
	}

	/** Whether a byte of packet or user-control mode waits for the master. */
	get controlPending(): boolean {
		return (this.packetMode && this.send !== 0) || (this.userMode && this.ucntl !== 0);
	}

	/** How many bytes can be typed. */
	get room(): number {
		const { tty, remote } = this;
		const { canq, lflag } = tty;
		if (!tty.isOpen) return 0;
		if (remote) return canq.count === 0 ? canq.limit : 0;
		const free = inputCount(tty) < TTYHOG - 2;
		const line = canq.count === 0 && (lflag & ICANON) !== 0;
		return free || line ? canq.limit - inputCount(tty) : 0;
	}

	/** Whether nothing can be typed into an open terminal. */
	get full(): boolean {
		return this.tty.isOpen && this.room === 0;
	}

	/**
	 * Tells watchers and then sleepers of the master: FREAD its readers, FWRITE its writers.
	 * @kern ptcwakeup
	 */
	wakeupMaster(which: number): void {
		try {
			if ((which & FREAD) !== 0) tell(this.selr, this.readers);
		} finally {
			if ((which & FWRITE) !== 0) tell(this.selw, this.writers);
		}
	}

	/**
	 * Called when there may be output for the master.
	 * @kern ptsstart
	 */
	start(): void {
		if (this.tty.stopped || !this.controlled) return;
		if (this.toldStopped) {
			this.toldStopped = false;
			this.send = TIOCPKT_START;
		}
		this.wakeupMaster(FREAD);
	}

	/** Called when there may be room for what the master types. */
	inputTaken(): void {
		this.wakeupMaster(FWRITE);
	}

	/**
	 * Called when output was stopped, or before queues are flushed. The slave's output is the master's
	 * input.
	 * @kern ptsstop
	 */
	stop(flush: number): void {
		this.toldStopped = flush === 0;
		this.send |= flush === 0 ? TIOCPKT_STOP : flush;
		// When output stops there is less to read, except for the byte of packet mode.
		if (flush === 0 && this.packetMode) this.wakeupMaster(FREAD);
		this.wakeupMaster(((flush & FREAD) !== 0 ? FWRITE : 0) | ((flush & FWRITE) !== 0 ? FREAD : 0));
	}

	/**
	 * Called when a slave was opened.
	 * @kern ptsopen
	 */
	slaveOpened(slave: File): void {
		this.slaves.add(slave);
		this.closing = false;
		if (this.controlled) this.tty.carrier = true;
		ttyOpen(this.tty);
		this.wakeupMaster(FREAD | FWRITE);
	}

	/**
	 * Called when a slave was closed. After the last one the terminal is closed: at once if the slave
	 * does not block, else when the master has read the output.
	 * @kern ptsclose
	 */
	slaveClosed(slave: File): void {
		this.slaves.delete(slave);
		if (this.slaves.size > 0) return;
		this.closing = true;
		if (slave.nonblocking || slave.revoked) this.hangUp();
		else if (!this.outputTaken()) this.start();
	}

	/**
	 * Forgets the output. Threads at the slave that wait for room, or for all output to be out, are not
	 * told: the next read of the master wakes them.
	 */
	dropOutput(): void {
		this.tty.outq.flush();
		this.tty.quiet = true;
		this.outputTaken();
	}

	/**
	 * Called when the master has read output, or it was flushed: closes the terminal if that waited
	 * for it. Returns whether it did.
	 */
	outputTaken(): boolean {
		const done = this.closing && (this.tty.outq.count === 0 || !this.tty.carrier);
		if (done) this.hangUp();
		return done;
	}

	private hangUp(): void {
		this.closing = false;
		doAll(
			() => ttyClose(this.tty),
			() => this.wakeupMaster(FREAD),
			() => this.wakeupMaster(FWRITE),
			() => this.release(),
		);
	}

	/**
	 * Called when the master was closed: the carrier is gone.
	 * @kern ptcclose
	 */
	masterClosed(): void {
		this.controlled = false;
		doAll(
			() => ttyModem(this.tty),
			() => this.outputTaken(),
			() => this.release(),
		);
	}

	/** Takes the terminal away from all open slaves, as revoke(2) does. */
	revoke(): void {
		for (const slave of this.slaves) slave.revoked = true;
		const last = [...this.slaves].pop();
		if (last === undefined) return;
		this.slaves.clear();
		this.slaveClosed(last);
		if (this.kernel.diagnostics) this.check();
	}

	/** For diagnostics: throws a Panic unless the ends, the terminal and the master's sleepers agree. */
	check(): void {
		const { tty, slaves, closing, controlled } = this;
		ttyCheck(tty, this.remote);
		for (const slave of slaves)
			kassert(!slave.revoked && slave.refs > 0, "the open slaves of a pty are open");
		kassert(!closing || slaves.size === 0, "a slave that is open is not about to close");
		kassert(tty.isOpen === (slaves.size > 0 || closing), "a terminal is open while a slave is");
		const unread = tty.outq.count > 0 && tty.carrier;
		kassert(!closing || unread, "a slave that is about to close waits for the master to read");
		kassert(controlled || !tty.carrier, "the carrier goes with the master");
		kassert(!this.packetMode || !this.userMode, "a master is in one mode");
		const named = ptys.get(this.kernel)?.get(this.name) === this;
		kassert(named === (controlled || slaves.size > 0), "a pty has its name while an end is open");
		const readable = this.controlPending || (tty.outq.count > 0 && !tty.stopped);
		kassert(
			!tty.isOpen || !readable || this.readers.first === null,
			"no reader of the master sleeps when there is output",
		);
	}

	private release(): void {
		if (this.controlled || this.slaves.size > 0) return;
		// The master's program may have made it the terminal of a session before it had a slave.
		ttyDisown(this.tty);
		const named = ptys.get(this.kernel);
		// The name may belong to another already.
		if (named?.get(this.name) !== this) return;
		named.delete(this.name);
		this.payer.release(1);
	}
}

function tell(watchers: Klist, sleepers: WaitChannel): void {
	try {
		watchers.notify(0);
	} finally {
		wakeup(sleepers);
	}
}

/** Makes a pair with the first free name, which is charged. Returns null when there are too many. */
export function makePty(kernel: Kernel, payer: Quota): Pty | null {
	let named = ptys.get(kernel);
	if (named === undefined) {
		named = new Map();
		ptys.set(kernel, named);
	}
	const isFull = (): boolean => named.size === NPTY_MAX || !payer.hasRoom(1);
	// It may be that sockets have some that nobody can receive.
	if (isFull()) inFlightOf(kernel).reclaim();
	if (isFull()) return null;
	for (let i = 0; i < NPTY_MAX; i++) {
		const name = `tty${LETTERS[Math.floor(i / DIGITS.length)]}${DIGITS[i % DIGITS.length]}`;
		if (named.has(name)) continue;
		const pty = new Pty(kernel, name, payer);
		payer.force(1);
		named.set(name, pty);
		return pty;
	}
	return null;
}

/** The pair whose slave has a name, null if there is none. */
export function findPty(kernel: Kernel, name: string): Pty | null {
	return ptys.get(kernel)?.get(name) ?? null;
}
