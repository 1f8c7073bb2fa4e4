// Observables that can be asked for one value at a time.
import { Observable, type OperatorFunction, type Subscriber, type UnaryFunction } from "rxjs";
import { checkFunction } from "../arguments.ts";

/** An observer that gets values on demand. */
export interface DemandObserver<T> {
	/** The value of one request. */
	next(value: T): void;
	/** There will be no more values, for this reason. */
	error(error: unknown): void;
	/** There will be no more values. */
	complete(): void;
}

/** A connection to a source that sends a value when it is asked for one. */
export interface Demand {
	/** Asks for one value. Must not be called again before that value has come. */
	request(): void;
	/** Ends the connection: nothing comes any more. It may be called twice, and after the end. */
	close(): void;
}

/**
 * Connects an observer to a source. No value comes before it is asked for. It may come inside of
 * `request`, but never inside of `next`: a request that is made there is answered after `next` has
 * returned. The end may come at any time, also inside of `connect`.
 */
export type Connect<T> = (observer: DemandObserver<T>) => Demand;

/**
 * An operator that keeps demand: of a source that can be asked it makes an observable that can be
 * asked. Of any other source it makes what RxJS's operator of the same name makes of it.
 */
export interface DemandOperator<T, R> {
	/** Of a source that cannot wait. */
	(source: Observable<T>): Observable<R>;
	/** Of a source that waits. */
	(source: DemandObservable<T>): DemandObservable<R>;
}

/**
 * An observable whose source can wait. A plain subscription gets one value after the other; the next
 * is asked for when `next` has returned. `writeBytes`, `withBackpressure` and the operators of
 * `@kqpoll/rxjs/demand` ask for a value when they need one, and make observables that can be asked
 * themselves. Every other operator makes a plain observable, which the type of `pipe` says.
 */
export class DemandObservable<T> extends Observable<T> {
	/** Connects an observer that asks for each value. */
	readonly connect: Connect<T>;

	/** Takes how it sends values on demand and, if that differs, how it sends them to subscribers. */
	constructor(connect: Connect<T>, push?: (subscriber: Subscriber<T>) => Demand) {
		checkFunction(connect, "connect", "DemandObservable");
		super((subscriber) => {
			if (push === undefined) {
				askOn(connect, subscriber);
				return;
			}
			const demand = push(subscriber);
			return () => demand.close();
		});
		this.connect = connect;
	}

	/** Applies operators, one after the other. The result can be asked if all of them keep demand. */
	override pipe<A>(a: UnaryFunction<DemandObservable<T>, DemandObservable<A>>): DemandObservable<A>;
	override pipe<A, B>(
		a: UnaryFunction<DemandObservable<T>, DemandObservable<A>>,
		b: UnaryFunction<DemandObservable<A>, DemandObservable<B>>,
	): DemandObservable<B>;
	override pipe<A, B, C>(
		a: UnaryFunction<DemandObservable<T>, DemandObservable<A>>,
		b: UnaryFunction<DemandObservable<A>, DemandObservable<B>>,
		c: UnaryFunction<DemandObservable<B>, DemandObservable<C>>,
	): DemandObservable<C>;
	override pipe<A, B, C, D>(
		a: UnaryFunction<DemandObservable<T>, DemandObservable<A>>,
		b: UnaryFunction<DemandObservable<A>, DemandObservable<B>>,
		c: UnaryFunction<DemandObservable<B>, DemandObservable<C>>,
		d: UnaryFunction<DemandObservable<C>, DemandObservable<D>>,
	): DemandObservable<D>;
	override pipe<A, B, C, D, E>(
		a: UnaryFunction<DemandObservable<T>, DemandObservable<A>>,
		b: UnaryFunction<DemandObservable<A>, DemandObservable<B>>,
		c: UnaryFunction<DemandObservable<B>, DemandObservable<C>>,
		d: UnaryFunction<DemandObservable<C>, DemandObservable<D>>,
		e: UnaryFunction<DemandObservable<D>, DemandObservable<E>>,
	): DemandObservable<E>;
	override pipe<A, B, C, D, E, F>(
		a: UnaryFunction<DemandObservable<T>, DemandObservable<A>>,
		b: UnaryFunction<DemandObservable<A>, DemandObservable<B>>,
		c: UnaryFunction<DemandObservable<B>, DemandObservable<C>>,
		d: UnaryFunction<DemandObservable<C>, DemandObservable<D>>,
		e: UnaryFunction<DemandObservable<D>, DemandObservable<E>>,
		f: UnaryFunction<DemandObservable<E>, DemandObservable<F>>,
	): DemandObservable<F>;
	override pipe<A, B, C, D, E, F, G>(
		a: UnaryFunction<DemandObservable<T>, DemandObservable<A>>,
		b: UnaryFunction<DemandObservable<A>, DemandObservable<B>>,
		c: UnaryFunction<DemandObservable<B>, DemandObservable<C>>,
		d: UnaryFunction<DemandObservable<C>, DemandObservable<D>>,
		e: UnaryFunction<DemandObservable<D>, DemandObservable<E>>,
		f: UnaryFunction<DemandObservable<E>, DemandObservable<F>>,
		g: UnaryFunction<DemandObservable<F>, DemandObservable<G>>,
	): DemandObservable<G>;
	override pipe<A, B, C, D, E, F, G, H>(
		a: UnaryFunction<DemandObservable<T>, DemandObservable<A>>,
		b: UnaryFunction<DemandObservable<A>, DemandObservable<B>>,
		c: UnaryFunction<DemandObservable<B>, DemandObservable<C>>,
		d: UnaryFunction<DemandObservable<C>, DemandObservable<D>>,
		e: UnaryFunction<DemandObservable<D>, DemandObservable<E>>,
		f: UnaryFunction<DemandObservable<E>, DemandObservable<F>>,
		g: UnaryFunction<DemandObservable<F>, DemandObservable<G>>,
		h: UnaryFunction<DemandObservable<G>, DemandObservable<H>>,
	): DemandObservable<H>;
	override pipe<A, B, C, D, E, F, G, H, I>(
		a: UnaryFunction<DemandObservable<T>, DemandObservable<A>>,
		b: UnaryFunction<DemandObservable<A>, DemandObservable<B>>,
		c: UnaryFunction<DemandObservable<B>, DemandObservable<C>>,
		d: UnaryFunction<DemandObservable<C>, DemandObservable<D>>,
		e: UnaryFunction<DemandObservable<D>, DemandObservable<E>>,
		f: UnaryFunction<DemandObservable<E>, DemandObservable<F>>,
		g: UnaryFunction<DemandObservable<F>, DemandObservable<G>>,
		h: UnaryFunction<DemandObservable<G>, DemandObservable<H>>,
		i: UnaryFunction<DemandObservable<H>, DemandObservable<I>>,
	): DemandObservable<I>;
	override pipe(): DemandObservable<T>;
	override pipe<A>(a: OperatorFunction<T, A>): Observable<A>;
	override pipe<A, B>(a: OperatorFunction<T, A>, b: OperatorFunction<A, B>): Observable<B>;
	override pipe<A, B, C>(
		a: OperatorFunction<T, A>,
		b: OperatorFunction<A, B>,
		c: OperatorFunction<B, C>,
	): Observable<C>;
	override pipe<A, B, C, D>(
		a: OperatorFunction<T, A>,
		b: OperatorFunction<A, B>,
		c: OperatorFunction<B, C>,
		d: OperatorFunction<C, D>,
	): Observable<D>;
	override pipe<A, B, C, D, E>(
		a: OperatorFunction<T, A>,
		b: OperatorFunction<A, B>,
		c: OperatorFunction<B, C>,
		d: OperatorFunction<C, D>,
		e: OperatorFunction<D, E>,
	): Observable<E>;
	override pipe<A, B, C, D, E, F>(
		a: OperatorFunction<T, A>,
		b: OperatorFunction<A, B>,
		c: OperatorFunction<B, C>,
		d: OperatorFunction<C, D>,
		e: OperatorFunction<D, E>,
		f: OperatorFunction<E, F>,
	): Observable<F>;
	override pipe<A, B, C, D, E, F, G>(
		a: OperatorFunction<T, A>,
		b: OperatorFunction<A, B>,
		c: OperatorFunction<B, C>,
		d: OperatorFunction<C, D>,
		e: OperatorFunction<D, E>,
		f: OperatorFunction<E, F>,
		g: OperatorFunction<F, G>,
	): Observable<G>;
	override pipe<A, B, C, D, E, F, G, H>(
		a: OperatorFunction<T, A>,
		b: OperatorFunction<A, B>,
		c: OperatorFunction<B, C>,
		d: OperatorFunction<C, D>,
		e: OperatorFunction<D, E>,
		f: OperatorFunction<E, F>,
		g: OperatorFunction<F, G>,
		h: OperatorFunction<G, H>,
	): Observable<H>;
	override pipe<A, B, C, D, E, F, G, H, I>(
		a: OperatorFunction<T, A>,
		b: OperatorFunction<A, B>,
		c: OperatorFunction<B, C>,
		d: OperatorFunction<C, D>,
		e: OperatorFunction<D, E>,
		f: OperatorFunction<E, F>,
		g: OperatorFunction<F, G>,
		h: OperatorFunction<G, H>,
		i: OperatorFunction<H, I>,
	): Observable<I>;
	override pipe<A, B, C, D, E, F, G, H, I>(
		a: OperatorFunction<T, A>,
		b: OperatorFunction<A, B>,
		c: OperatorFunction<B, C>,
		d: OperatorFunction<C, D>,
		e: OperatorFunction<D, E>,
		f: OperatorFunction<E, F>,
		g: OperatorFunction<F, G>,
		h: OperatorFunction<G, H>,
		i: OperatorFunction<H, I>,
		...others: OperatorFunction<never, unknown>[]
	): Observable<unknown>;
	override pipe(...operators: UnaryFunction<never, unknown>[]): unknown {
		return operators.reduce<unknown>((source, operator) => operator(source as never), this);
	}

	/** The same source with each value decoded; if `decode` throws, the observable errors. */
	decoded<R>(decode: (value: T) => R): DemandObservable<R> {
		const through = (observer: DemandObserver<R>, close: () => void): DemandObserver<T> => ({
			next(value) {
				let result: R;
				try {
					result = decode(value);
				} catch (error) {
					close();
					observer.error(error);
					return;
				}
				observer.next(result);
			},
			error: (error) => observer.error(error),
			complete: () => observer.complete(),
		});
		return new DemandObservable<R>(
			(observer) => {
				let demand: Demand | null = null;
				demand = this.connect(through(observer, () => demand?.close()));
				return demand;
			},
			(subscriber) => {
				const subscription = this.subscribe(through(subscriber, () => subscription.unsubscribe()));
				return { request: () => {}, close: () => subscription.unsubscribe() };
			},
		);
	}
}

/** Asks for the next value as soon as the subscriber has taken one. */
function askOn<T>(connect: Connect<T>, subscriber: Subscriber<T>): void {
	const demand = connect({
		next(value) {
			subscriber.next(value);
			if (!subscriber.closed) demand.request();
		},
		error: (error) => subscriber.error(error),
		complete: () => subscriber.complete(),
	});
	// First of all, as the value may come inside of `request`, and the subscriber leave inside of `next`.
	subscriber.add(() => demand.close());
	// A source may end inside of `connect`, and some operators subscribe although it is over.
	if (!subscriber.closed) demand.request();
}
