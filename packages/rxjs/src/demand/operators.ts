// RxJS's operators by their own names, with demand kept.
import {
	type MonoTypeOperatorFunction,
	type ObservableInput,
	type ObservedValueOf,
	type OperatorFunction,
	bufferCount as rxBufferCount,
	distinctUntilChanged as rxDistinctUntilChanged,
	filter as rxFilter,
	finalize as rxFinalize,
	map as rxMap,
	mergeMap as rxMergeMap,
	scan as rxScan,
	skip as rxSkip,
	take as rxTake,
	takeUntil as rxTakeUntil,
	takeWhile as rxTakeWhile,
	tap as rxTap,
	type TapObserver,
} from "rxjs";
import { from } from "./iterable.ts";
import { keepingDemand, lift } from "./lift.ts";
import type { DemandObservable, DemandOperator } from "./observable.ts";
import { withBackpressure } from "./with-backpressure.ts";

/** RxJS's `bufferCount`: lists of `size` values; with `every`, a list begins that often. */
export function bufferCount<T>(size: number, every?: number): DemandOperator<T, T[]> {
	return lift(rxBufferCount(size, every));
}

/**
 * RxJS's `concatMap`, as {@link mergeMap} with one work at a time: the source waits until the work on
 * the value before has ended and all that it has emitted is taken.
 */
export function concatMap<T, O extends ObservableInput<unknown>>(
	project: (value: T, index: number) => O,
): DemandOperator<T, ObservedValueOf<O>> {
	return mergeMap(project, 1);
}

/** RxJS's `distinctUntilChanged`: values that differ from the one before. */
export function distinctUntilChanged<T>(
	same?: (before: T, value: T) => boolean,
): DemandOperator<T, T> {
	return lift(rxDistinctUntilChanged(same));
}

/** RxJS's `filter`: the values for which `predicate` is true. */
export function filter<T, S extends T>(
	predicate: (value: T, index: number) => value is S,
): DemandOperator<T, S>;
export function filter<T>(
	predicate: BooleanConstructor,
): DemandOperator<T, Exclude<T, false | 0 | 0n | "" | null | undefined>>;
export function filter<T>(predicate: (value: T, index: number) => boolean): DemandOperator<T, T>;
export function filter<T>(predicate: (value: T, index: number) => boolean): DemandOperator<T, T> {
	return lift(rxFilter(predicate));
}

/** RxJS's `finalize`: calls `callback` when the stream ends, or its subscriber leaves. */
export function finalize<T>(callback: () => void): DemandOperator<T, T> {
	return lift(rxFinalize(callback));
}

/** RxJS's `map`: what `project` returns for each value. */
export function map<T, R>(project: (value: T, index: number) => R): DemandOperator<T, R> {
	return lift(rxMap(project));
}

/**
 * RxJS's `mergeMap`. Of a source that waits it is `withBackpressure` with the same arguments: the next
 * value is asked for when fewer than `concurrent` works are active and somebody wants a value.
 */
export function mergeMap<T, O extends ObservableInput<unknown>>(
	project: (value: T, index: number) => O,
	concurrent: number = Number.POSITIVE_INFINITY,
): DemandOperator<T, ObservedValueOf<O>> {
	const asked = withBackpressure(project, concurrent);
	const plain = rxMergeMap(project, concurrent) as OperatorFunction<T, ObservedValueOf<O>>;
	return keepingDemand(plain, asked);
}

/** RxJS's `scan`: what `accumulate` returns for each value and its own result before. */
export function scan<T>(
	accumulate: (before: T, value: T, index: number) => T,
): DemandOperator<T, T>;
export function scan<T, A>(
	accumulate: (before: A, value: T, index: number) => A,
	seed: A,
): DemandOperator<T, A>;
export function scan<T, A>(
	...args: [accumulate: (before: A, value: T, index: number) => A, seed?: A]
): DemandOperator<T, A> {
	// Whether there is a seed is a matter of how many arguments there are.
	return lift(rxScan(...(args as [(before: A, value: T, index: number) => A, A])));
}

/** RxJS's `skip`: all values but the first `count`. */
export function skip<T>(count: number): DemandOperator<T, T> {
	return lift(rxSkip(count));
}

/** RxJS's `take`: the first `count` values. No more than those are asked for. */
export function take<T>(count: number): DemandOperator<T, T> {
	return lift(rxTake(count));
}

/** RxJS's `takeUntil`: values until `notifier` emits. */
export function takeUntil<T>(notifier: ObservableInput<unknown>): DemandOperator<T, T> {
	return lift(rxTakeUntil(notifier));
}

/**
 * RxJS's `takeWhile`: values as long as `predicate` is true; with `inclusive`, also the first for which
 * it is not.
 */
export function takeWhile<T, S extends T>(
	predicate: (value: T, index: number) => value is S,
	inclusive?: false,
): DemandOperator<T, S>;
export function takeWhile<T>(
	predicate: (value: T, index: number) => boolean,
	inclusive?: boolean,
): DemandOperator<T, T>;
export function takeWhile<T>(
	predicate: (value: T, index: number) => boolean,
	inclusive = false,
): DemandOperator<T, T> {
	return lift(rxTakeWhile(predicate, inclusive) as MonoTypeOperatorFunction<T>);
}

/** RxJS's `tap`: the same values, of which the observer is told first. */
export function tap<T>(
	observer: Partial<TapObserver<T>> | ((value: T) => void),
): DemandOperator<T, T> {
	return lift(rxTap(observer));
}

/** RxJS's `concat`: one source after the other. Sources that can be asked wait. */
export function concat<S extends readonly ObservableInput<unknown>[]>(
	...sources: S
): DemandObservable<ObservedValueOf<S[number]>> {
	return from(sources).pipe(withBackpressure((source) => source)) as DemandObservable<
		ObservedValueOf<S[number]>
	>;
}
