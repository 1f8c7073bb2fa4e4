// A timer wheel, as programs around select and poll use it for their timers.

/** The length of a tick, in milliseconds: no timer is more exact. */
const TICK = 10;
/** How many ticks a turn of the wheel has. */
const SLOTS = 64;

interface Timer {
	/** The tick in which it is due. */
	readonly due: number;
	readonly callback: () => void;
}

/** Timers by the tick in which they are due; the cost of adding and cancelling one is constant. */
export class TimerWheel {
	private readonly slots: Set<Timer>[] = Array.from({ length: SLOTS }, () => new Set());
	private readonly now: () => number;
	/** The current tick. */
	private tick: number;

	/** `now` returns the time in milliseconds. */
	constructor(now: () => number) {
		this.now = now;
		this.tick = Math.floor(now() / TICK);
	}

	/** Calls back once, after `ms` milliseconds; calling the result cancels that. */
	add(ms: number, callback: () => void): () => void {
		const timer: Timer = { due: Math.ceil((this.now() + ms) / TICK), callback };
		const slot = this.slots[timer.due % SLOTS] as Set<Timer>;
		slot.add(timer);
		return () => slot.delete(timer);
	}

	/** How many whole milliseconds there are until a timer may be due; null without timers. */
	timeout(): number | null {
		let any = false;
		for (let tick = this.tick; tick <= this.tick + SLOTS; tick++) {
			for (const { due } of this.slots[tick % SLOTS] as Set<Timer>) {
				if (due <= tick) return Math.max(0, Math.ceil(tick * TICK - this.now()));
				any = true;
			}
		}
		// The timers that there are need another turn.
		return any ? SLOTS * TICK : null;
	}

	/** Turns the wheel to the present, and calls back for the timers that are due. */
	turn(): void {
		const end = Math.floor(this.now() / TICK);
		for (; this.tick <= end; this.tick++) {
			const slot = this.slots[this.tick % SLOTS] as Set<Timer>;
			for (const timer of slot) {
				if (timer.due > this.tick) continue;
				slot.delete(timer);
				timer.callback();
			}
		}
		this.tick = end;
	}
}
