// Types: what the compiler knows of an event. `npm run check -- types` proves them; here they run too.
import {
	EVFILT_EXCEPT,
	EVFILT_PROC,
	EVFILT_READ,
	EVFILT_SIGNAL,
	EVFILT_TIMER,
	EVFILT_VNODE,
	EVFILT_WRITE,
	type Kevent,
	kill,
	sigaction,
} from "@kqpoll/kqueue";
import { SIG_IGN, SIGUSR1 } from "@kqpoll/kqueue/signal";
import { filter, map, merge, type Observable, partition } from "rxjs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	type ExceptionalEvent,
	exceptional,
	fromKevent,
	hasFilter,
	type KqueueEvent,
	kernelTimer,
	type ProcessEvent,
	pollfds,
	processEvents,
	type ReadableEvent,
	readable,
	readBytes,
	type SignalEvent,
	signals,
	type TimerEvent,
	type VnodeEvent,
	vnodeChanges,
	type WritableEvent,
	writable,
} from "../src/index.ts";
import { world } from "./world.ts";

/** True if both types are the same, not only assignable to each other. */
type Same<A, B> =
	(<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** What an observable emits. */
type Emitted<O> = O extends Observable<infer T> ? T : never;

/** Compiles only if `Emits` is exactly what the observable emits. */
function emits<Emits>() {
	return <O>(_source: O, _same: Same<Emitted<O>, Emits>): void => {};
}

test("each creator has a type of event of its own", () => {
	const { thread, fd, process } = world();
	emits<ReadableEvent>()(readable(thread, fd), true);
	emits<WritableEvent>()(writable(thread, fd), true);
	emits<ExceptionalEvent>()(exceptional(thread, fd), true);
	emits<VnodeEvent>()(vnodeChanges(thread, fd), true);
	emits<ProcessEvent>()(processEvents(thread, process.pid), true);
	emits<SignalEvent>()(signals(thread, SIGUSR1), true);
	emits<TimerEvent>()(kernelTimer(thread, 1), true);
	emits<Kevent>()(fromKevent(thread, { ident: fd, filter: EVFILT_READ }), true);
	emits<readonly number[]>()(pollfds(thread, []), true);
	emits<Uint8Array>()(readBytes(thread, fd), true);
	// The test can fail:
	emits<KqueueEvent>()(readable(thread, fd), false);
});

test("switch over the filter narrows, and the compiler knows when all are named", () => {
	const about = (event: KqueueEvent): number | boolean => {
		switch (event.filter) {
			case EVFILT_READ:
				return event.bytes;
			case EVFILT_WRITE:
				return event.room;
			case EVFILT_EXCEPT:
				return event.oob;
			case EVFILT_VNODE:
				return event.written;
			case EVFILT_PROC:
				return event.pid;
			case EVFILT_SIGNAL:
				return event.signal;
			case EVFILT_TIMER:
				return event.expirations;
			default: {
				const none: never = event;
				return none;
			}
		}
	};
	const one = (event: ReadableEvent | SignalEvent): number =>
		event.filter === EVFILT_READ ? event.bytes : event.count;
	// @ts-expect-error It may be a signal.
	const wrong = (event: ReadableEvent | SignalEvent): number => event.bytes;
	const event = { filter: EVFILT_SIGNAL, signal: 3, count: 2 } as SignalEvent;
	assert.equal([about(event), one(event), wrong(event)], [3, 2, undefined]);
});

test("filter() narrows, by a comparison or by hasFilter", () => {
	const w = world();
	sigaction(w.thread, SIGUSR1, SIG_IGN);
	const all = merge(readable(w.thread, w.fd), writable(w.thread, w.fd), signals(w.thread, SIGUSR1));
	emits<ReadableEvent | WritableEvent | SignalEvent>()(all, true);
	const compared = all.pipe(filter((event) => event.filter === EVFILT_READ));
	emits<ReadableEvent>()(compared, true);
	const either = all.pipe(
		filter((event) => event.filter === EVFILT_READ || event.filter === EVFILT_SIGNAL),
	);
	emits<ReadableEvent | SignalEvent>()(either, true);
	const others = all.pipe(filter((event) => event.filter !== EVFILT_READ));
	emits<WritableEvent | SignalEvent>()(others, true);
	const guarded = all.pipe(filter(hasFilter(EVFILT_READ)));
	emits<ReadableEvent>()(guarded, true);
	const several = all.pipe(filter(hasFilter(EVFILT_WRITE, EVFILT_SIGNAL)));
	emits<WritableEvent | SignalEvent>()(several, true);
	const [signalled, ready] = partition(all, hasFilter(EVFILT_SIGNAL));
	emits<SignalEvent>()(signalled, true);
	emits<ReadableEvent | WritableEvent>()(ready, true);
	const any: Observable<KqueueEvent> = all;
	emits<ReadableEvent>()(any.pipe(filter(hasFilter(EVFILT_READ))), true);
	// @ts-expect-error There is no such filter.
	hasFilter(7);
	// @ts-expect-error Without filters nothing is left.
	hasFilter();
	// @ts-expect-error What is not an event has no filter.
	hasFilter(EVFILT_READ)({ bytes: 1 });
	const subscriptions = [
		w.listen("compared", compared.pipe(map(({ bytes }) => bytes))),
		w.listen("guarded", guarded.pipe(map(({ bytes }) => bytes))),
		w.listen("several", several.pipe(map((event) => event.filter))),
	];
	w.file.set("read", { data: 3 });
	w.file.set("write", { data: 1 });
	kill(w.thread, w.process.pid, SIGUSR1);
	const heard = ["compared 3", "guarded 3", `several ${EVFILT_SIGNAL}`, `several ${EVFILT_WRITE}`];
	assert.equal(w.heard().sort(), heard.sort());
	for (const subscription of subscriptions) subscription.unsubscribe();
	w.checkClean();
});

test.run();
