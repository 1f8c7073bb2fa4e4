// SCM_RIGHTS: open files in messages on their way, and closing those that nobody can receive.
import type { Kernel } from "@kqpoll/kqueue";
import {
	type Account,
	attempt,
	type Failure,
	type File,
	fileHold,
	fileRelease,
	rethrow,
} from "@kqpoll/kqueue/kernel";

/** An open file that messages with open files wait in: a local socket. */
export interface Carrier extends File {
	/** Whether it is possible that a message with open files waits in it. */
	readonly carries: boolean;
	/** How deep the messages are nested that wait in it; 0 if none has open files. */
	readonly depth: number;
	/** Calls `visit` with the rights of each message that waits in it, oldest first. */
	eachRights(visit: (rights: Rights) => void): void;
}

/** How many sockets and files each suspect pays for that were looked at and are in use. */
const PAID = 16;

const NONE: readonly File[] = [];

/** The open files of one message, each with a reference that counts as in flight. */
export class Rights {
	/** The files; none when they were taken or discarded. */
	files: readonly File[];
	/** In a buffer: the rights of the next message that has any. */
	next: Rights | null = null;
	/** How deep it is nested: one more than what waits in the sockets among its files. */
	readonly depth: number;
	private readonly machine: InFlight;
	private readonly payer: Account;

	/**
	 * Adds a reference to each file, and charges them to an account, whatever the limit.
	 * @kern unp_internalize
	 */
	constructor(kernel: Kernel, files: readonly File[], payer: Account) {
		this.machine = inFlightOf(kernel);
		this.files = files;
		this.depth = depthOf(files);
		this.payer = payer;
		payer.inflight.force(files.length);
		for (const file of files) {
			fileHold(file);
			file.inFlight++;
		}
		this.machine.count += files.length;
	}

	/**
	 * The message is received: the caller gets the files with their references.
	 * @kern unp_externalize
	 */
	take(): readonly File[] {
		const files = this.empty();
		for (const file of files) this.machine.land(file);
		return files;
	}

	/** Takes the files out of the message, which is not charged any more; they are still in flight. */
	empty(): readonly File[] {
		const { files } = this;
		this.files = NONE;
		this.payer.inflight.release(files.length);
		return files;
	}

	/** Nobody will receive the message: its files are released. Throws what their closes throw. */
	discard(): void {
		this.machine.discard(this);
	}
}

/**
 * The references of one machine that messages hold, and the sockets that nothing else refers to.
 *
 * A discarded message may hold sockets in which other messages wait, and so on: they go on a stack,
 * which the outermost discard empties, as the kernel's task does.
 *
 * Sockets that wait in each other's buffers, or in their own, are never released that way. They can
 * come to be when a socket loses a reference and those that are left are in flight: then it is a
 * suspect. What can be reached from the suspects is looked at, and what is reached only from itself
 * is closed. That is done at once; but after it has found much that is in use, not before there are
 * as many more suspects, or at the end of the turn. So it costs a constant for each close and each
 * file that is sent.
 */
class InFlight {
	/** How many references messages hold. */
	count = 0;
	/** How many sockets and files in their buffers were looked at, to measure what that costs. */
	looked = 0;
	private readonly kernel: Kernel;
	/** Messages whose files have to be released, the last discarded at the end. */
	private readonly discarded: (readonly File[])[] = [];
	/** The sockets to which only messages refer, but for those that the host has opened again. */
	private readonly stranded: Set<File> = new Set();
	/** Those of them that have to be looked at. */
	private suspects: Carrier[] = [];
	/** How much was looked at that is in use, and not paid for by suspects. */
	private debt = 0;
	private running = false;
	private scheduled = false;

	constructor(kernel: Kernel) {
		this.kernel = kernel;
	}

	/** A reference is not in flight any more. */
	land(file: File): void {
		file.inFlight--;
		this.count--;
		this.stranded.delete(file);
	}

	/**
	 * Releases the files of the messages from `first` on.
	 * @kern unp_discard
	 */
	discard(first: Rights): void {
		for (let rights: Rights | null = first; rights !== null; rights = rights.next) {
			this.push(rights);
		}
		if (!this.running && this.discarded.length > 0) this.run(false);
	}

	private push(rights: Rights): void {
		if (rights.files.length > 0) this.discarded.push(rights.empty());
	}

	/** Only messages refer to a socket any more. */
	strand(so: Carrier): void {
		this.stranded.add(so);
		// What carries nothing is not reached from itself.
		if (!so.carries) return;
		this.suspects.push(so);
		this.debt = Math.max(0, this.debt - PAID);
		if (!this.running) this.run(false);
	}

	/**
	 * Closes at once all that nobody can receive, for what it holds is needed. Returns whether there
	 * was anything to look at. The platform reports what a close throws.
	 */
	reclaim(): boolean {
		if (this.running || this.suspects.length === 0) return false;
		try {
			this.run(true);
		} catch (error) {
			this.kernel.host.defer(() => {
				throw error;
			});
		}
		return true;
	}

	/** Releases what was discarded, and collects unless it has to wait; then throws the first error. */
	private run(force: boolean): void {
		let failure: Failure = null;
		let now = force;
		this.running = true;
		for (;;) {
			const files = this.discarded.pop();
			if (files !== undefined) {
				for (const file of files) failure = attempt(failure, () => this.release(file));
			} else if (this.suspects.length > 0 && (now || this.debt === 0)) {
				this.collect();
				now = false;
			} else break;
		}
		this.running = false;
		if (this.suspects.length > 0) this.schedule();
		rethrow(failure);
	}

	private release(file: File): void {
		this.land(file);
		fileRelease(file, null);
	}

	private schedule(): void {
		if (this.scheduled) return;
		this.scheduled = true;
		this.kernel.host.defer(() => {
			this.scheduled = false;
			this.reclaim();
		});
	}

	/**
	 * Discards the messages of all sockets that are reached only from themselves. A socket whose
	 * references are not all from buffers of the others is in use, and so is what it carries.
	 * @kern unp_gc
	 */
	private collect(): void {
		const refs = this.candidates();
		for (const so of refs.keys()) {
			eachFile(so, (file) => {
				const n = refs.get(file as Carrier);
				if (n !== undefined) refs.set(file as Carrier, n - 1);
			});
		}
		const used: Carrier[] = [];
		for (const [so, n] of refs) if (n > 0) used.push(so);
		for (const so of used) refs.delete(so);
		for (const so of used) {
			this.debt++;
			eachFile(so, (file) => {
				this.debt++;
				if (refs.delete(file as Carrier)) used.push(file as Carrier);
			});
		}
		for (const so of refs.keys()) {
			so.eachRights((rights) => this.push(rights));
		}
	}

	/** The sockets to which only messages refer, of those that are reached from suspects. */
	private candidates(): Map<Carrier, number> {
		const refs = new Map<Carrier, number>();
		const add = (file: File): void => {
			this.looked++;
			if (file.refs === file.inFlight && this.stranded.has(file))
				refs.set(file as Carrier, file.inFlight);
		};
		for (const so of this.suspects) add(so);
		this.suspects = [];
		// The map grows meanwhile: those that are added are looked at, too.
		for (const so of refs.keys()) eachFile(so, add);
		return refs;
	}
}

/**
 * How deep a message with these files is nested, as far as the sockets among them know: what was sent
 * to a socket while that was on its way does not change the depth of the message that it is in.
 */
export function depthOf(files: readonly File[]): number {
	let depth = 0;
	for (const file of files) if (isCarrier(file)) depth = Math.max(depth, file.depth);
	return depth + 1;
}

function isCarrier(file: File): file is Carrier {
	return "eachRights" in file;
}

function eachFile(so: Carrier, visit: (file: File) => void): void {
	so.eachRights((rights) => rights.files.forEach(visit));
}

const machines: WeakMap<Kernel, InFlight> = new WeakMap();

/** What is in flight on a machine. */
export function inFlightOf(kernel: Kernel): InFlight {
	let machine = machines.get(kernel);
	if (machine === undefined) {
		machine = new InFlight(kernel);
		machines.set(kernel, machine);
	}
	return machine;
}
