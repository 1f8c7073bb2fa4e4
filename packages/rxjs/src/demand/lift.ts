// Makes operators of RxJS keep demand.
import type { Observable, OperatorFunction } from "rxjs";
import { checkFunction } from "../arguments.ts";
import { DemandObservable, type DemandOperator } from "./observable.ts";
import { Stage } from "./stage.ts";

/**
 * Makes an operator of RxJS, or several that are joined by `pipe`, keep demand: what it makes of a
 * {@link DemandObservable} can be asked, too. When a value is asked for, the source is asked until the
 * operator sends one. If it sends several for one of its source, the source waits until they are taken.
 *
 * That is right for operators that send values only while they get one, or at the end: `map`,
 * `filter`, `scan`, `bufferCount`, `retry`. One that sends them later, such as `delay`, `debounceTime`
 * or RxJS's `concatMap`, would be given all that the source has meanwhile: use `withBackpressure` for
 * work that takes time. A plain subscriber, and one of a source that cannot wait, gets what the
 * operator alone would send. Throws EFAULT for what is not a function.
 */
export function lift<T, R>(operator: OperatorFunction<T, R>): DemandOperator<T, R> {
	checkFunction(operator, "operator", "lift");
	return keepingDemand(operator, (source) => {
		return new DemandObservable(
			(observer) => {
				const stage = new Stage<T, R>(observer);
				stage.begin(source.connect, operator);
				return stage;
			},
			(subscriber) => {
				const subscription = operator(source).subscribe(subscriber);
				return { request: () => {}, close: () => subscription.unsubscribe() };
			},
		);
	});
}

/** An operator that is `plain` for sources that cannot wait, and `asked` for those that can. */
export function keepingDemand<T, R>(
	plain: OperatorFunction<T, R>,
	asked: (source: DemandObservable<T>) => DemandObservable<R>,
): DemandOperator<T, R> {
	function operate(source: Observable<T>): Observable<R>;
	function operate(source: DemandObservable<T>): DemandObservable<R>;
	function operate(source: Observable<T>): Observable<R> {
		return source instanceof DemandObservable ? asked(source) : plain(source);
	}
	return operate;
}
