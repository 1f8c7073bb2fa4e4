// @kqpoll/rxjs: kevents, bytes and polls as observables.
export {
	type Connect,
	type Demand,
	DemandObservable,
	type DemandObserver,
	type DemandOperator,
} from "./demand/observable.ts";
export { withBackpressure } from "./demand/with-backpressure.ts";
export {
	type ExceptionalEvent,
	exceptional,
	hasFilter,
	type KqueueEvent,
	kernelTimer,
	type ProcessEvent,
	processEvents,
	type ReadableEvent,
	type ReadinessOptions,
	readable,
	type SignalEvent,
	signals,
	type TimerEvent,
	type TimerOptions,
	type VnodeEvent,
	vnodeChanges,
	type WritableEvent,
	writable,
} from "./events.ts";
export { type FromKeventOptions, fromKevent } from "./from-kevent.ts";
export { type PollRequest, pollfds } from "./pollfds.ts";
export { type ReadBytesOptions, readBytes } from "./read-bytes.ts";
export { kernelScheduler } from "./scheduler.ts";
export { type WriteBytesOptions, writeBytes } from "./write-bytes.ts";
