// Observables that can be asked for one value at a time, and the operator that does so.
import {
	from,
	mergeMap,
	Observable,
	type ObservableInput,
	type OperatorFunction,
	type Subscriber,
	tap,
} from "rxjs";
import { checkCount, checkFunction } from "./arguments.ts";

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
	/** Ends the connection: nothing comes any more. */
	close(): void;
}

/** Connects an observer to a source. No value comes before it is asked for, or inside `request`. */
export type Connect<T> = (observer: DemandObserver<T>) => Demand;

/**
 * An observable whose source can wait. A plain subscription gets one value after the other, each in
 * a turn of its own; the next is asked for when `next` has returned. {@link withBackpressure} and
 * `writeBytes` ask for the next value when they are done with the one before.
 */
export class DemandObservable<T> extends Observable<T> {
	/** Connects an observer that asks for each value. */
	readonly connect: Connect<T>;

	/** Takes how it sends values on demand and, if that differs, how it sends them to subscribers. */
	constructor(
		connect: Connect<T>,
		push: (subscriber: Subscriber<T>) => Demand = (subscriber) => pushing(connect, subscriber),
	) {
		checkFunction(connect, "connect", "DemandObservable");
		super((subscriber) => {
			const demand = push(subscriber);
			return () => demand.close();
		});
		this.connect = connect;
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
function pushing<T>(connect: Connect<T>, subscriber: Subscriber<T>): Demand {
	const demand = connect({
		next(value) {
			subscriber.next(value);
			if (!subscriber.closed) demand.request();
		},
		error: (error) => subscriber.error(error),
		complete: () => subscriber.complete(),
	});
	// A source may end inside of `connect`, and some operators subscribe although it is over.
	if (!subscriber.closed) demand.request();
	return demand;
}

/**
 * Like `concatMap`, with `concurrent` above 1 like `mergeMap` with that limit, for a source that
 * waits: the next value is asked for when its work can begin. Nothing is buffered and nothing is
 * lost: a slow consumer of bytes makes the other end's descriptor unwritable.
 *
 * It must be the first operator after a {@link DemandObservable}, or a TypeError is thrown. Throws
 * EINVAL for a `concurrent` that is not a whole number from 1 on or Infinity.
 */
export function withBackpressure<T, R>(
	project: (value: T, index: number) => ObservableInput<R>,
	concurrent = 1,
): OperatorFunction<T, R> {
	checkFunction(project, "project", "withBackpressure");
	checkCount(concurrent, "concurrent", "withBackpressure", true);
	return (source) => {
		const connect = connectOf(source);
		return new Observable((subscriber) => {
			let active = 0;
			let asked = false;
			let demand: Demand | null = null;
			const ask = (): void => {
				if (asked || active >= concurrent || demand === null) return;
				asked = true;
				demand.request();
			};
			const values = new Observable<T>((out) => {
				const connection = connect({
					next(value) {
						asked = false;
						active++;
						out.next(value);
						ask();
					},
					error: (error) => out.error(error),
					complete() {
						demand = null;
						out.complete();
					},
				});
				demand = connection;
				// Unless it ended inside of `connect`.
				if (!out.closed) ask();
				return () => {
					demand = null;
					connection.close();
				};
			});
			const complete = (): void => {
				active--;
				ask();
			};
			return values
				.pipe(
					mergeMap(
						(value, index) => from(project(value, index)).pipe(tap({ complete })),
						concurrent,
					),
				)
				.subscribe(subscriber);
		});
	};
}

/** How to ask a source. Throws a TypeError for a source that cannot wait. */
function connectOf<T>(source: Observable<T>): Connect<T> {
	if (source instanceof DemandObservable) return source.connect;
	throw new TypeError("withBackpressure comes first behind an observable of this package");
}
