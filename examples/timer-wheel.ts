// A timer wheel: what programs around select and poll keep their timers in.

/** How long a tick is, in milliseconds: no timer is more exact. */
const TICK = 10;
/** How many ticks a turn of the wheel has. */
const SLOTS = 64;

interface Timer {
	/** The tick in which it is due. */
	readonly due: number;
	readonly callback: () => void;
}

/** Timers by the tick in which they are due; setting one and taking it back cost the same for many. */
export class TimerWheel {
	private readonly slots: Set<Timer>[] = Array.from({ length: SLOTS }, () => new Set());
	private readonly now: () => number;
	/** The tick that it has come to. */
	private tick: number;

	/** `now` gives the time in milliseconds. */
	constructor(now: () => number) {
		this.now = now;
		this.tick = Math.floor(now() / TICK);
	}

	/** Calls back once, after so many milliseconds; what it gives takes that back. */
	add(ms: number, callback: () => void): () => void {
		const timer: Timer = { due: Math.ceil((this.now() + ms) / TICK), callback };
		const slot = this.slots[timer.due % SLOTS] as Set<Timer>;
		slot.add(timer);
		return () => slot.delete(timer);
	}

	/** How many whole milliseconds there are until something may be due; null if nothing ever is. */
	timeout(): number | null {
		let any = false;
		for (let tick = this.tick; tick <= this.tick + SLOTS; tick++) {
			for (const { due } of this.slots[tick % SLOTS] as Set<Timer>) {
				if (due <= tick) return Math.max(0, Math.ceil(tick * TICK - this.now()));
				any = true;
			}
		}
		// Those that there are need another turn.
		return any ? SLOTS * TICK : null;
	}

	/** Turns the wheel to the present, and calls back what is due. */
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
