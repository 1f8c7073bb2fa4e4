// Operations of @kqpoll/rxjs: kevents, bytes and polls as observables.
import {
	DemandObservable,
	type DemandOperator,
	exceptional,
	fromKevent,
	hasFilter,
	kernelScheduler,
	kernelTimer,
	pollfds,
	processEvents,
	readable,
	readBytes,
	signals,
	vnodeChanges,
	withBackpressure,
	writable,
	writeBytes,
} from "@kqpoll/rxjs";
import * as demand from "@kqpoll/rxjs/demand";
import {
	from,
	interval,
	mergeMap,
	type Observable,
	of,
	retry,
	Subject,
	switchMap,
	take,
} from "rxjs";
import { custom, plain } from "./calls.ts";
import { change } from "./kqueue.ts";
import {
	bytes,
	draw,
	fd,
	flagsOf,
	type Kind,
	listOf,
	milliseconds,
	oneOf,
	pid,
	signal,
	upTo,
} from "./values.ts";
import type { Operation, Operations, World } from "./world.ts";

/** Subscribes, in one of several ways, and ends the subscription sooner or later. */
function subscribe(world: World, source: Observable<unknown>): void {
	const { random } = world;
	// What it throws would be reported by RxJS, with a timer of the platform.
	const callback = world.callback(false);
	const through = random.pick(
		(
			[
				(each) => each,
				(each) => each.pipe(take(2)),
				(each) => each.pipe(switchMap((value) => of(value))),
				// What stays ready is polled without end, also while a subscriber blocks.
				(each) =>
					each.pipe(
						take(20),
						mergeMap(() => source.pipe(take(1)), 2),
					),
				(each) => each.pipe(retry(1)),
				(each) => chain(world, each),
				(each) => withBackpressure((value) => of(value), 1 + random.below(2))(each as never),
			] as ((from: Observable<unknown>) => Observable<unknown>)[]
		).slice(0, source instanceof DemandObservable ? 7 : 6),
	);
	// Behind withBackpressure what stays ready is reported again and again.
	const subscription = through(source)
		.pipe(take(20))
		.subscribe({
			next: callback,
			error: (error: unknown) => world.judge(error, "an observable"),
		});
	world.endings.push(() => subscription.unsubscribe());
	if (random.once(6)) subscription.unsubscribe();
}

/** Up to three operators that keep demand, whose functions may make any call. */
function chain(world: World, source: Observable<unknown>): Observable<unknown> {
	const { random } = world;
	const call = world.callback(false);
	const operators = [
		demand.bufferCount<unknown>(1 + random.below(2)),
		demand.concatMap(() => [call(), 1]),
		demand.distinctUntilChanged<unknown>(() => Boolean(call())),
		demand.filter(() => random.once(2)),
		demand.finalize<unknown>(call),
		demand.lift(retry<unknown>(1)),
		demand.map(call),
		demand.mergeMap(() => demand.concat(of(1), demand.from([2, 3])), 1 + random.below(3)),
		demand.scan(call),
		demand.skip<unknown>(random.below(2)),
		demand.take<unknown>(random.below(4)),
		demand.takeUntil<unknown>(source),
		demand.takeWhile(() => random.once(4)),
		demand.tap(call),
	] as readonly DemandOperator<unknown, unknown>[];
	let from = source;
	for (let i = random.below(4); i > 0; i--) from = random.pick(operators)(from);
	return from;
}

/** Subscribes to what a function makes of random arguments. RangeErrors are documented. */
function observable(
	name: string,
	make: (thread: never, ...args: never[]) => Observable<unknown>,
	kinds: readonly Kind[],
): Operation {
	return custom(name, (world) => {
		const args = kinds.map((kind) => draw(kind, world));
		ranged(() => subscribe(world, Reflect.apply(make, undefined, [world.thread, ...args])));
	});
}

function ranged(act: () => void): void {
	try {
		act();
	} catch (error) {
		if (!(error instanceof RangeError) || !/ is /.test(error.message)) throw error;
	}
}

function writeSomething(world: World): void {
	const { random, thread } = world;
	const closes = random.once(4);
	const to = draw(fd, world) as number;
	// A hostile option may say so, too.
	if (closes || world.objects) world.descriptors.loosened(thread.process, to);
	const chunks = listOf((from) => draw(bytes, from))(world) as Uint8Array[];
	const options = draw(() => ({ close: closes, bound: 1 + random.below(4) }), world) as object;
	const source = random.pick<() => Observable<Uint8Array>>([
		() => from(chunks),
		() => readBytes(thread, fd(world)),
		() => {
			const subject = new Subject<Uint8Array>();
			world.endings.push(() => subject.next(new Uint8Array(3)));
			world.endings.push(() => subject.complete());
			return subject;
		},
	]);
	ranged(() => subscribe(world, source().pipe(writeBytes(thread, to, options))));
}

function schedule(world: World): void {
	const { kernel, random } = world;
	const scheduler = kernelScheduler(kernel);
	scheduler.now();
	const subscription = random.once(2)
		? scheduler.schedule(world.callback(random.once(6)), draw(milliseconds, world) as number)
		: interval(1 + random.below(9), scheduler)
				.pipe(take(random.below(9)))
				.subscribe(world.callback(false));
	world.lasting.push(() => subscription.unsubscribe());
}

function ownObservable(world: World): void {
	const { random } = world;
	subscribe(
		world,
		new DemandObservable<number>((observer) => {
			const ask = world.callback(random.once(6));
			// A subscriber that asks for more inside of next must come to an end.
			let left = random.below(4);
			return {
				request: () => {
					ask();
					if (left-- > 0) observer.next(1);
					else observer.complete();
				},
				close: ask,
			};
		}),
	);
}

const pollRequests = listOf((world) => ({ fd: fd(world), events: flagsOf(1, 2, 4)(world) }));
const eofOption = oneOf(undefined, { eof: "emit" }, { eof: "complete" });

/** The operations, by the names of what they call. */
export const rxjsOperations: Operations = {
	DemandObservable: custom("DemandObservable", ownObservable),
	exceptional: observable("exceptional", exceptional, [fd]),
	fromKevent: observable("fromKevent", fromKevent, [change, eofOption]),
	hasFilter: plain(hasFilter, [upTo(9), signal]),
	kernelScheduler: custom("kernelScheduler", schedule),
	kernelTimer: observable("kernelTimer", kernelTimer, [
		milliseconds,
		oneOf(undefined, { oneshot: true }),
	]),
	pollfds: observable("pollfds", pollfds, [pollRequests]),
	processEvents: observable("processEvents", processEvents, [pid]),
	readable: observable("readable", readable, [fd, eofOption]),
	readBytes: observable("readBytes", readBytes, [
		fd,
		oneOf(undefined, { size: 1 }, { size: 100 }, { size: 0 }),
	]),
	signals: observable("signals", signals, [signal]),
	vnodeChanges: observable("vnodeChanges", vnodeChanges, [fd, upTo(128)]),
	writable: observable("writable", writable, [fd, eofOption]),
	writeBytes: custom("writeBytes", writeSomething),
};

/** What the operations above use for others. */
export const rxjsUsed: readonly unknown[] = [withBackpressure, ...Object.values(demand)];
