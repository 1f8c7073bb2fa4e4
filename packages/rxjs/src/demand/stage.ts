// One operator of RxJS between a source that is asked and an observer that asks.
import { defer, Observable, type OperatorFunction, type Subscriber, type Subscription } from "rxjs";
import type { Connect, Demand, DemandObserver } from "./observable.ts";
import { Queue } from "./queue.ts";

/** A connection to a source, through which values come into the operator. */
interface Inlet {
	/** Set once the source is connected. */
	demand: Demand | null;
	closed: boolean;
}

/**
 * Runs an operator for one observer. The observer's request takes a value that the operator has
 * sent already, or asks the source until the operator sends one. What the operator sends without
 * being asked, several values for one of its source for example, is kept in order. The source is
 * asked for nothing more until all of that is taken.
 */
export class Stage<T, R> implements Demand {
	private readonly observer: DemandObserver<R>;
	/** Whether the source may be asked. */
	private readonly ready: () => boolean;
	/** The connections that may be asked: of the operator's source, and of sources within it. */
	private readonly idle = new Queue<Inlet>();
	private readonly idleWithin = new Queue<Inlet>();
	/** What the operator has sent, and nobody has asked for yet. */
	private readonly values = new Queue<R>();
	private subscription: Subscription | null = null;
	/** How to tell the observer of the end, once the operator has ended. */
	private end: (() => void) | null = null;
	/** Whether the observer waits for a value. */
	private wanted = false;
	/** Whether nothing may be sent to the observer any more. */
	private over = false;
	/** Whether the observer has the word: a value for it has to wait until `next` has returned. */
	private telling = false;
	/** Whether a source is being asked. */
	private asking = false;
	/** How many values the operator is being given: it may be about to send what is wanted. */
	private feeding = 0;

	/** The source is asked only while `ready` returns true. */
	constructor(observer: DemandObserver<R>, ready: () => boolean = () => true) {
		this.observer = observer;
		this.ready = ready;
	}

	/** Begins: the operator subscribes to the source, as often as it wants to. */
	begin(connect: Connect<T>, operator: OperatorFunction<T, R>): void {
		const source = new Observable<T>((subscriber) => this.open(connect, subscriber, this.idle));
		this.subscription = defer(() => operator(source)).subscribe({
			next: (value) => {
				if (this.over) return;
				this.values.push(value);
				this.run();
			},
			error: (error) => this.finish(() => this.observer.error(error)),
			complete: () => this.finish(() => this.observer.complete()),
		});
	}

	/** A source within the operator, which is asked, as long as it lasts, before the operator's own. */
	within<I>(connect: Connect<I>): Observable<I> {
		return new Observable((subscriber) => this.open(connect, subscriber, this.idleWithin));
	}

	request(): void {
		this.wanted = true;
		this.run();
	}

	close(): void {
		this.over = true;
		this.values.clear();
		this.subscription?.unsubscribe();
	}

	/** Goes on, after something has changed: sends what is wanted, or asks for it. */
	run(): void {
		if (this.telling) return;
		this.tell();
		if (this.asking || this.feeding > 0) return;
		this.asking = true;
		try {
			while (this.wanted && !this.over && this.ask());
		} finally {
			this.asking = false;
		}
	}

	private tell(): void {
		this.telling = true;
		try {
			while (this.wanted && this.values.length > 0) {
				this.wanted = false;
				this.observer.next(this.values.shift() as R);
			}
		} finally {
			this.telling = false;
		}
		if (this.end === null || this.over || this.values.length > 0) return;
		this.over = true;
		this.end();
	}

	/** Asks one of the sources that have not been asked. Returns false if there is none. */
	private ask(): boolean {
		const inlet = this.idleWithin.shift() ?? (this.ready() ? this.idle.shift() : undefined);
		if (inlet === undefined) return false;
		if (!inlet.closed) inlet.demand?.request();
		return true;
	}

	/** Connects the operator to a source. */
	private open<S>(connect: Connect<S>, subscriber: Subscriber<S>, idle: Queue<Inlet>): void {
		const inlet: Inlet = { demand: null, closed: false };
		const demand = connect({
			next: (value) => {
				if (inlet.closed) return;
				idle.push(inlet);
				this.feed(() => subscriber.next(value));
			},
			error: (error) => this.feed(() => subscriber.error(error)),
			complete: () => this.feed(() => subscriber.complete()),
		});
		inlet.demand = demand;
		subscriber.add(() => {
			inlet.closed = true;
			demand.close();
		});
		// It may have ended inside of `connect`.
		if (subscriber.closed) return;
		idle.push(inlet);
		// If a value is wanted already: a source that is subscribed to again, or one within.
		this.run();
	}

	/** Passes something to the operator. The source may be asked again only when it is done with that. */
	private feed(give: () => void): void {
		this.feeding++;
		try {
			give();
		} finally {
			this.feeding--;
		}
		this.run();
	}

	private finish(end: () => void): void {
		this.end = end;
		this.run();
	}
}
