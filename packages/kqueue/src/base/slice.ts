// How long work goes on before the platform has a turn, with its timers and its input.

/** The time that work may take before the platform has a turn. */
export interface Slice {
	/** Whether it is used up: what can wait waits until the platform has had its turn. */
	readonly isOver: boolean;
	/**
	 * Counts a piece of work. Returns whether to pause before the next one: what is left is deferred
	 * again, and the host decides what runs first.
	 */
	spend(): boolean;
	/** Counts a call that did not sleep. Returns whether its result waits for the platform's turn. */
	makesWay(): boolean;
	/**
	 * The same for a call whose result is a promise, by a caller that remembers the slice in which it
	 * had its last one.
	 */
	promises(caller: Caller): boolean;
}

/** What makes calls: a thread. */
export interface Caller {
	/** The number of the slice in which it had its last promise. */
	promisedIn: number;
}

/** How many calls are counted before one waits, where there is no clock. */
const CALLS = 1000;
/** How many pieces of work there are in a slice; a turn of the platform costs as much as dozens. */
const PIECES = 4000;
/** How long a slice is, in microseconds. */
const LENGTH = 10_000;
/** If it was this long since the last look at the clock, pieces are long: in microseconds. */
const LONG = 500;
/** How many pieces are done at most from one look at the clock to the next, if they are short. */
const STRIDE = 16;
/**
 * After that many looks that found short pieces, times the square of the pieces of one, there are
 * twice as many.
 */
const CALM = 8;

/** A slice that only counts calls: time does not pass, or nobody knows how it does. */
export class CountedSlice implements Slice {
	/** Never: there is no platform to wait for. */
	readonly isOver = false;
	private calls = 0;

	/** Does not count work. */
	spend(): boolean {
		return false;
	}

	/** Returns true at every thousandth call. */
	makesWay(): boolean {
		if (++this.calls < CALLS) return false;
		this.calls = 0;
		return true;
	}

	/** The same. */
	promises(): boolean {
		return this.makesWay();
	}
}

/** A slice by number and by time: 4000 pieces of work or 10 ms, whatever comes first. */
export class TimedSlice implements Slice {
	/** Whether it is used up. */
	isOver = false;
	/** Whether pieces of work take long. */
	protected long = false;
	private readonly now: () => number;
	/** How many pieces may be done before the next look at the clock: 1 while pieces are long. */
	protected left = 1;
	/** How many pieces that look stands for. */
	private stride = 1;
	/** How many looks in a row found that pieces are short. */
	private calm = 0;
	/** Whether there is to be a pause: until work goes on, all that is at work stops. */
	protected pausing = false;
	/** Whether it has begun, with a first piece of work. */
	private begun = false;
	private pieces = 0;
	/** When it began, and when it last looked: microseconds, as integers of 32 bits. */
	private beganAt = 0;
	private lookedAt = 0;

	/** Takes a clock, in nanoseconds. */
	constructor(now: () => number) {
		this.now = now;
	}

	/** See {@link Slice.spend}. */
	spend(): boolean {
		if (--this.left <= 0) {
			this.look();
			this.pausing = true;
		}
		return this.pausing;
	}

	/** Counts a call; the slice that it uses up is followed by a new one. */
	makesWay(): boolean {
		if (--this.left > 0 || !this.look()) return false;
		this.begin();
		return true;
	}

	/** The same. */
	promises(_caller: Caller): boolean {
		return this.makesWay();
	}

	/** A new one, which begins with the next piece of work. */
	begin(): void {
		this.isOver = false;
		this.begun = false;
		this.pieces = 0;
		this.left = 1;
	}

	/** Nothing is known about the work that comes next. */
	protected forget(): void {
		this.calm = 0;
		this.stride = 1;
		this.long = false;
	}

	/**
	 * Looks at the clock: after each piece while they may be long, else after more and more of them.
	 * Returns whether the slice is over.
	 */
	protected look(): boolean {
		this.left = 1;
		if (this.isOver) return true;
		// Differences of such integers are right, also when they begin again after some time.
		const now = (this.now() / 1000) | 0;
		if (this.begun) {
			this.pieces += this.stride;
			this.learn((now - this.lookedAt) | 0);
		} else {
			this.begun = true;
			this.beganAt = now;
			this.pieces++;
			this.opened();
		}
		this.lookedAt = now;
		this.isOver = this.pieces >= PIECES || ((now - this.beganAt) | 0) >= LENGTH;
		if (!this.isOver) this.left = this.stride;
		return this.isOver;
	}

	private learn(time: number): void {
		if (time >= LONG) {
			this.forget();
			this.long = true;
		} else if (this.stride < STRIDE && ++this.calm >= CALM * this.stride ** 2) {
			this.calm = 0;
			this.stride *= 2;
			this.long = false;
		}
	}

	/** Called when a slice begins. */
	protected opened(): void {}
}

/** How many callers get a result in one slice at once. */
const PROMISES = 8;

/** A settled promise: its reactions run in a microtask. */
const settled: Promise<void> = Promise.resolve();
const nothing = (): void => {};

/**
 * The slice of a platform's thread, which all hosts on it share. It begins with the first piece of
 * work, and is over when the platform has had a turn; work that needs more waits for that turn, in
 * the order in which it came.
 */
export class PlatformSlice extends TimedSlice {
	private readonly platform: (fn: () => void) => void;
	/** Its number; below, how many callers have had a result in it. */
	private number = 0;
	private promised = 0;
	/** Whether a turn of the platform was asked for. */
	private asked = false;
	/** What runs after the next turn. */
	private waiting: (() => void)[] = [];
	/** What may run since the last turn; below, how much of it has run. */
	private ready: (() => void)[] = [];
	private ran = 0;

	/** Takes a clock in nanoseconds, and what calls a function after a turn of the platform. */
	constructor(now: () => number, platform: (fn: () => void) => void) {
		super(now);
		this.platform = platform;
	}

	/** Counts a call. While the slice is over, all calls wait. */
	override makesWay(): boolean {
		return --this.left <= 0 && this.look();
	}

	/**
	 * Counts a call. What callers do with their results comes later, and cannot be counted yet: so
	 * when many of them have one, the others wait.
	 */
	override promises(caller: Caller): boolean {
		if (--this.left <= 0 && this.look()) return true;
		return caller.promisedIn !== this.number && this.isOneTooMany(caller);
	}

	private isOneTooMany(caller: Caller): boolean {
		caller.promisedIn = this.number;
		return ++this.promised > PROMISES;
	}

	/** A new slice, in which all callers may have results again. */
	override begin(): void {
		super.begin();
		this.number++;
		this.promised = 0;
	}

	/** Calls `fn` after a turn of the platform. */
	wait(fn: () => void): void {
		this.waiting.push(fn);
		this.ask();
	}

	/** Counts the piece of work that `fn` is, and calls it as {@link goOn} does. */
	start(fn: () => void): void {
		// Like queueMicrotask, without the bookkeeping that Node adds to it.
		if (--this.left > 0) settled.then(fn);
		else this.lookAndGoOn(fn);
	}

	private lookAndGoOn(fn: () => void): void {
		if (this.look() || this.long) this.goOn(fn);
		else settled.then(fn);
	}

	/**
	 * Calls `fn` soon: after the reactions of promises that are settled now, and after a turn of the
	 * platform if the slice is over.
	 */
	goOn(fn: () => void): void {
		this.pausing = false;
		if (this.isOver) this.wait(fn);
		else this.rest(fn);
	}

	/**
	 * Calls `fn` in a microtask. If work takes long it waits for some more of them: a program that
	 * awaits a call inside functions of its own gets the result only then, and its work must not add
	 * up with that of others.
	 */
	private rest(fn: () => void): void {
		if (this.long) settled.then(nothing).then(nothing).then(nothing).then(fn);
		else settled.then(fn);
	}

	/** The platform has to have its turn, which ends the slice, even if there is no more work. */
	protected override opened(): void {
		this.ask();
	}

	private ask(): void {
		if (this.asked) return;
		this.asked = true;
		this.platform(this.turn);
	}

	private readonly turn = (): void => {
		this.asked = false;
		this.begin();
		this.ready = this.ready.slice(this.ran).concat(this.waiting);
		this.ran = 0;
		this.waiting = [];
		if (this.ready.length === 0) {
			this.forget();
			return;
		}
		this.spend();
		this.next();
	};

	/** Runs the first that waits; the others follow, unless it has used up the slice. */
	private readonly next = (): void => {
		const fn = this.ready[this.ran++] as () => void;
		try {
			fn();
		} finally {
			this.spend();
			if (this.ran === this.ready.length) this.ready = [];
			else if (this.isOver) this.ask();
			else this.rest(this.next);
		}
	};
}
