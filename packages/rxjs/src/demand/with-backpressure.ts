// Work on the values of a source that waits for it.
import { errno, SystemError } from "@kqpoll/kqueue";
import {
	mergeMap,
	type Observable,
	type ObservableInput,
	type ObservedValueOf,
	from as rxFrom,
	tap,
	throwError,
} from "rxjs";
import { checkCount, checkFunction } from "../arguments.ts";
import { from, isIterable } from "./iterable.ts";
import { keepingDemand } from "./lift.ts";
import { DemandObservable, type DemandOperator } from "./observable.ts";
import { Stage } from "./stage.ts";

/**
 * Like `concatMap`, with `concurrent` above 1 like `mergeMap` with that limit, for a source that
 * waits: the next value is asked for when its work can begin, and somebody wants what comes of it.
 * Nothing is lost: a slow consumer of bytes makes the other end's descriptor unwritable.
 *
 * The result can be asked, too. Work that can be asked, such as `readBytes`, an array or a generator,
 * is asked for each of its values. Other work cannot wait: what it emits before it is asked for is
 * kept, and no more work begins until that is taken.
 *
 * The source must be a {@link DemandObservable}; of any other, the result errors with EINVAL. Throws
 * EINVAL for a `concurrent` that is not a whole number from 1 on or Infinity, EFAULT for a `project`
 * that is not a function.
 */
export function withBackpressure<T, O extends ObservableInput<unknown>>(
	project: (value: T, index: number) => O,
	concurrent = 1,
): DemandOperator<T, ObservedValueOf<O>> {
	checkFunction(project, "project", "withBackpressure");
	checkCount(concurrent, "concurrent", "withBackpressure", true);
	return keepingDemand(refused, (source) => {
		return new DemandObservable((observer) => {
			let active = 0;
			const stage = new Stage<T, ObservedValueOf<O>>(observer, () => active < concurrent);
			const begin = (): void => {
				active++;
			};
			const complete = (): void => {
				active--;
				stage.run();
			};
			const work = (value: T, index: number): Observable<ObservedValueOf<O>> =>
				workOf(stage, project(value, index)).pipe(tap({ complete }));
			// It counts before the work begins: that waits until the work before has ended entirely.
			stage.begin(source.connect, (values) => values.pipe(tap(begin), mergeMap(work, concurrent)));
			return stage;
		});
	});
}

/** Work of a stage: asked by it if that is possible. */
function workOf<T, O extends ObservableInput<unknown>>(
	stage: Stage<T, ObservedValueOf<O>>,
	input: O,
): Observable<ObservedValueOf<O>> {
	const asked = input instanceof DemandObservable ? input : isIterable(input) ? from(input) : null;
	const work = asked === null ? rxFrom(input) : stage.within(asked.connect);
	return work as Observable<ObservedValueOf<O>>;
}

/** What becomes of a source that cannot wait: an error that says what to do. */
function refused(): Observable<never> {
	const why =
		"the source cannot wait: put operators that do not keep demand behind this one, or lift() them";
	return throwError(() => new SystemError(errno.EINVAL, "withBackpressure", why));
}
