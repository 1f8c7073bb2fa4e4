// The host of programs whose calls block the thread of the platform they run on.
import { errno, SystemError } from "../abi/errno.ts";
import { faultOf, show } from "../abi/values.ts";
import type { DrivableHost } from "./host.ts";
import { RealHost } from "./real-host.ts";
import { TimedSlice } from "./slice.ts";

/** How many timers fire in one turn. */
const TURN = 64;

/**
 * A real host that calls can block on: while one does, the thread of the platform sleeps until the
 * next timer is due. No callback of the platform runs meanwhile, so another thread must post what
 * comes from outside: it writes to memory that both share, then calls {@link ringDoorbell}.
 *
 * ```ts
 * const host = new BlockingHost();
 * const detach = host.attach(() => file.push(takeFromSharedMemory())); // runs when the bell rang
 * worker.postMessage(host.doorbell); // which calls ringDoorbell(doorbell)
 * ```
 */
export class BlockingHost extends RealHost implements DrivableHost {
	/** The bell for other threads to ring; null where memory cannot be shared. */
	readonly doorbell: SharedArrayBuffer | null =
		typeof SharedArrayBuffer === "function" ? new SharedArrayBuffer(4) : null;
	/** Whether this thread of the platform may block: the main thread of a browser may not. */
	readonly mayBlock: boolean;
	private driven = false;
	/** How many times the bell was rung: in shared memory, as other threads count it. */
	private readonly rings: Int32Array;
	/** The value of that count when the receivers were last called. */
	private heard = 0;
	private readonly receivers: Set<() => void> = new Set();
	private turns: (() => void)[] = [];
	/** How long deferred work goes on before something else has its turn. */
	private readonly share: TimedSlice = new TimedSlice(() => this.now());

	/** Makes a host; its clock is the platform's. */
	constructor() {
		super();
		this.rings = new Int32Array(this.doorbell ?? new ArrayBuffer(4));
		this.mayBlock = mayWait(this.rings);
	}

	/**
	 * Calls `receive` each time after the bell was rung: it takes from shared memory what was posted,
	 * and passes it to the files concerned. Returns a function that detaches it again. While a
	 * receiver is attached, something can always come from outside, so no call fails as a deadlock.
	 */
	attach(receive: () => void): () => void {
		const receiver = (): void => {
			if (this.receivers.has(receiver)) receive();
		};
		this.receivers.add(receiver);
		// The bell may have rung before there was a receiver.
		this.defer(receiver);
		return () => void this.receivers.delete(receiver);
	}

	/** Whether a call blocks on it. */
	get driving(): boolean {
		return this.driven;
	}

	/**
	 * Calls the receivers if the bell was rung since the last time. Needed where nothing blocks: a
	 * thread that rings the bell of a program of promises also posts a message to it, whose handler
	 * calls this.
	 */
	hear(): void {
		const rings = Atomics.load(this.rings, 0);
		if (rings === this.heard) return;
		this.heard = rings;
		for (const receive of [...this.receivers]) this.defer(receive);
	}

	/** As in RealHost; while a call blocks, `fn` runs before the host sleeps. */
	override yield(fn: () => void): void {
		if (this.turns.push(fn) === 1) super.yield(this.runTurns);
	}

	private readonly runTurns = (): void => {
		const { turns } = this;
		this.turns = [];
		for (const fn of turns) this.defer(fn);
	};

	/** Runs deferred work, until there is none or its share is used up; then it returns false. */
	private workShare(): boolean {
		const { share } = this;
		share.begin();
		while (this.workOne()) {
			share.spend();
			if (share.isOver) return false;
		}
		return true;
	}

	/**
	 * See {@link DrivableHost.drive}. What work throws is reported by the platform. Work that has no
	 * end does not keep receivers from being called, timers from firing, or the call from returning:
	 * all of them have their turn after 10 ms of it, or 4000 pieces.
	 */
	drive(done: () => boolean): boolean {
		this.driven = true;
		try {
			return this.driveUntil(done);
		} finally {
			this.driven = false;
		}
	}

	private driveUntil(done: () => boolean): boolean {
		for (;;) {
			this.hear();
			this.runTurns();
			const worked = this.workShare();
			if (done()) return true;
			if (this.fireOne() || !worked || this.turns.length > 0) continue;
			const next = this.earliest()?.at ?? Number.POSITIVE_INFINITY;
			if (next === Number.POSITIVE_INFINITY && this.receivers.size === 0) return false;
			// If the bell was rung after `hear` looked, this does not sleep.
			Atomics.wait(this.rings, 0, this.heard, Math.max(0, next - this.now()) / 1e6);
		}
	}

	/** See {@link DrivableHost.turn}. */
	turn(): void {
		this.driven = true;
		this.hear();
		this.runTurns();
		let goesOn = this.workShare();
		for (let fired = 0; fired < TURN && goesOn && this.fireOne(); fired++) {
			this.runTurns();
			goesOn = this.workShare();
		}
		this.driven = false;
	}
}

/**
 * Wakes the program whose BlockingHost has this doorbell, from any thread. EFAULT for what is not a
 * doorbell.
 */
export function ringDoorbell(doorbell: SharedArrayBuffer): void {
	const rings = ringsOf(doorbell);
	Atomics.add(rings, 0, 1);
	Atomics.notify(rings, 0);
}

function ringsOf(doorbell: SharedArrayBuffer): Int32Array {
	try {
		if (doorbell instanceof SharedArrayBuffer) return new Int32Array(doorbell, 0, 1);
	} catch (error) {
		faultOf(error);
	}
	throw new SystemError(errno.EFAULT, "ringDoorbell", `${show(doorbell)} is not a doorbell`);
}

/** Whether the platform allows this thread to wait; if not, it refuses even a wait of 0 ms. */
function mayWait(memory: Int32Array): boolean {
	try {
		Atomics.wait(memory, 0, 1, 0);
		return true;
	} catch {
		return false;
	}
}
