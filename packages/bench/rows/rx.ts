// rx: events that come one by one, through observables and through what a user would pick instead.
import { EventEmitter } from "node:events";
import {
	EV_ADD,
	EV_CLEAR,
	EVFILT_READ,
	eventList,
	Kernel,
	keventNow,
	kevents,
	kqueue,
	openFile,
	SyntheticFile,
	watchKevent,
} from "@kqpoll/kqueue";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { fromKevent } from "@kqpoll/rxjs";
import { Subject } from "rxjs";
import { type Contest, type Contestant, timed, timedAsync } from "../contest.ts";

const READ = { filter: EVFILT_READ, flags: EV_ADD | EV_CLEAR };

interface Machine {
	readonly host: VirtualHost;
	readonly thread: ReturnType<Kernel["spawn"]>["main"];
	readonly file: SyntheticFile;
	readonly fd: number;
}

function machine(): Machine {
	const host = new VirtualHost();
	const thread = new Kernel({ host }).spawn().main;
	const file = new SyntheticFile();
	return { host, thread, file, fd: openFile(thread, file) };
}

/** A receiver of `count` events, each before the next comes; the sum proves that all came. */
function pushed(
	name: string,
	count: number,
	start: (consume: (data: number) => void) => { push: (data: number) => void; close: () => void },
): Contestant {
	let sum = 0;
	const { push, close } = start((data) => {
		sum += data;
	});
	return {
		name,
		close,
		run() {
			sum = 0;
			const time = timed(() => {
				for (let i = 1; i <= count; i++) push(i);
			});
			if (sum !== (count * (count + 1)) / 2) throw new Error(`${name} lost events`);
			return time;
		},
	};
}

/** The contest. */
export function rx(quick: boolean): Contest[] {
	const count = quick ? 20_000 : 100_000;
	return [
		{
			name: "rx",
			n: 1,
			unit: "event",
			count,
			contestants: [
				pushed("fromKevent", count, (consume) => {
					const { host, thread, file, fd } = machine();
					const subscription = fromKevent(thread, { ident: fd, ...READ }).subscribe(({ data }) =>
						consume(data),
					);
					const push = (data: number): void => {
						file.set("read", { data });
						host.settle();
					};
					return { push, close: () => subscription.unsubscribe() };
				}),
				pushed("watchKevent", count, (consume) => {
					const { host, thread, file, fd } = machine();
					const watch = watchKevent(
						thread,
						{ ident: fd, ...READ },
						{ next: ({ data }) => consume(data), error: () => {}, complete: () => {} },
					);
					const push = (data: number): void => {
						file.set("read", { data });
						host.settle();
					};
					return { push, close: () => watch.close() };
				}),
				pushed("kevent", count, (consume) => {
					const { thread, file, fd } = machine();
					const kq = kqueue(thread);
					const events = eventList(1);
					keventNow(thread, kq, [{ ident: fd, ...READ }], null);
					const push = (data: number): void => {
						file.set("read", { data });
						keventNow(thread, kq, null, events);
						consume((events[0] as (typeof events)[0]).data);
					};
					return { push, close: () => {} };
				}),
				pushed("Subject", count, (consume) => {
					const subject = new Subject<{ data: number }>();
					subject.subscribe(({ data }) => consume(data));
					return { push: (data) => subject.next({ data }), close: () => subject.complete() };
				}),
				pushed("EventEmitter", count, (consume) => {
					const emitter = new EventEmitter();
					emitter.on("event", ({ data }: { data: number }) => consume(data));
					const push = (data: number): void => void emitter.emit("event", { data });
					return { push, close: () => void emitter.removeAllListeners() };
				}),
				iterated(count),
			],
		},
	];
}

/** An async iterable: each event is asked for, and arrives by a promise. */
function iterated(count: number): Contestant {
	const { host, thread, file, fd } = machine();
	return {
		name: "kevents",
		run: () =>
			timedAsync(async () => {
				let sum = 0;
				let i = 0;
				const events = kevents(thread, { ident: fd, ...READ });
				file.set("read", { data: 0 });
				while (i < count) {
					const next = events.next();
					file.set("read", { data: ++i });
					host.settle();
					sum += (await next).value?.data ?? 0;
				}
				await events.return();
				if (sum !== (count * (count + 1)) / 2) throw new Error("kevents lost events");
			}),
	};
}
