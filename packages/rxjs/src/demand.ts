// @kqpoll/rxjs/demand: RxJS's operators by their own names, for sources that wait.
export { from } from "./demand/iterable.ts";
export { lift } from "./demand/lift.ts";
export {
	bufferCount,
	concat,
	concatMap,
	distinctUntilChanged,
	filter,
	finalize,
	map,
	mergeMap,
	scan,
	skip,
	take,
	takeUntil,
	takeWhile,
	tap,
} from "./demand/operators.ts";
