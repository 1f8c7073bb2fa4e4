// The platform's own Observable over kevents, without RxJS: events, ends, errors, and what is left.
import { pipe } from "@kqpoll/files";
import {
	close,
	EVFILT_READ,
	EVFILT_SIGNAL,
	EVFILT_TIMER,
	Kernel,
	type Kevent,
	kevents,
	kill,
	type SystemError,
	sigaction,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { SIG_IGN, SIGUSR1 } from "@kqpoll/kqueue/signal";
import { assertEqual, type Result, run } from "./tests.ts";

/** The parts of the platform's Observable that are used: they are too new for the compiler. */
interface PlatformObservable<T> {
	subscribe(
		observer: {
			readonly next?: (value: T) => void;
			readonly error?: (error: unknown) => void;
			readonly complete?: () => void;
		},
		options?: { readonly signal?: AbortSignal },
	): void;
	take(count: number): PlatformObservable<T>;
	map<R>(mapper: (value: T) => R): PlatformObservable<R>;
	takeUntil(notifier: PlatformObservable<unknown>): PlatformObservable<T>;
	toArray(): Promise<T[]>;
	first(): Promise<T>;
}

declare const Observable: {
	from<T>(source: AsyncIterable<T>): PlatformObservable<T>;
};

const main = (): Thread => new Kernel().spawn().main;

/** What a thread's process still has. */
async function left({ kernel, process, watches }: Thread): Promise<unknown[]> {
	// An iteration ends soon after its subscriber has left.
	await new Promise((resolve) => setTimeout(resolve, 5));
	return [watches, process.fdp.firstKqueue, kernel.timeouts.size, kernel.sleepers];
}

const CLEAN = [null, null, 0, 0];
const data = ({ data }: Kevent): number => data;

export const results: Result[] = await run({
	async "a timer is an observable of the platform, and take ends it"() {
		const thread = main();
		const timer = kevents(thread, { ident: 1, filter: EVFILT_TIMER, flags: 0, data: 2 });
		const counts = await Observable.from(timer).take(3).map(data).toArray();
		assertEqual(counts.length, 3);
		assertEqual(await left(thread), CLEAN);
	},

	async "bytes that can be read are an observable that completes at the end of file"() {
		const thread = main();
		const [r, w] = pipe(thread);
		// An observable asks at once: with "pull" it would be told again and again.
		const change = { ident: r, filter: EVFILT_READ, flags: 0 };
		const readable = kevents(thread, change, { policy: "latest" });
		const told: number[] = [];
		const end = new Promise<void>((complete) =>
			Observable.from(readable).subscribe({ next: (event) => told.push(event.data), complete }),
		);
		writeNow(thread, w, new Uint8Array(3));
		await new Promise((resolve) => setTimeout(resolve, 5));
		close(thread, w);
		await end;
		assertEqual(told, [3, 3]);
		assertEqual(await left(thread), CLEAN);
	},

	async "a descriptor that is closed is an error of the observable"() {
		const thread = main();
		const [r] = pipe(thread);
		const readable = kevents(thread, { ident: r, filter: EVFILT_READ, flags: 0 });
		const first = Observable.from(readable).first();
		setTimeout(() => close(thread, r), 2);
		assertEqual(await first.catch(({ code }: SystemError) => code), "EBADF");
		assertEqual(await left(thread), CLEAN);
	},

	async "takeUntil takes another observable of kevents"() {
		const thread = main();
		sigaction(thread, SIGUSR1, SIG_IGN);
		const period = { ident: 1, filter: EVFILT_TIMER, flags: 0, data: 2 };
		const timer = kevents(thread, period);
		const signal = kevents(thread, { ident: SIGUSR1, filter: EVFILT_SIGNAL, flags: 0 });
		const until = Observable.from(timer).takeUntil(Observable.from(signal)).toArray();
		setTimeout(() => kill(thread, thread.process.pid, SIGUSR1), 20);
		const events = await until;
		assertEqual(events.length > 0, true);
		assertEqual(await left(thread), CLEAN);
	},

	async "an AbortSignal ends a subscription, and nothing is left"() {
		const thread = main();
		const abort = new AbortController();
		let told = 0;
		Observable.from(
			kevents(thread, { ident: 1, filter: EVFILT_TIMER, flags: 0, data: 1 }),
		).subscribe({ next: () => told++ }, { signal: abort.signal });
		await new Promise((resolve) => setTimeout(resolve, 20));
		abort.abort();
		const before = told;
		assertEqual(before > 0, true);
		assertEqual(await left(thread), CLEAN);
		assertEqual(told, before);
	},
});
