// million-timers: timers that are armed, most of them cancelled, the rest expired.
import {
	EV_ADD,
	EV_DELETE,
	EV_ONESHOT,
	EVFILT_TIMER,
	eventList,
	Kernel,
	Kevent,
	keventNow,
	kqueue,
} from "@kqpoll/kqueue";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { type Contest, type Contestant, timed, timedAsync } from "../contest.ts";

/** One in this many expires, the others are cancelled. */
const KEPT = 10;

/** Timers of a kqueue, in virtual time: the machine's work, without waiting. */
function ours(n: number, span: number): Contestant {
	return {
		name: "EVFILT_TIMER",
		run() {
			const host = new VirtualHost();
			const thread = new Kernel({ host, timermax: n }).spawn().main;
			const kq = kqueue(thread);
			const change = new Kevent(0, EVFILT_TIMER);
			const changes = [change];
			const events = eventList(64);
			let expired = 0;
			const time = timed(() => {
				change.flags = EV_ADD | EV_ONESHOT;
				for (let i = 0; i < n; i++) {
					change.ident = i;
					change.data = 1 + (i % span);
					keventNow(thread, kq, changes, null);
				}
				change.flags = EV_DELETE;
				for (let i = 0; i < n; i++) {
					if (i % KEPT === 0) continue;
					change.ident = i;
					keventNow(thread, kq, changes, null);
				}
				host.advance(span);
				for (let got = 1; got > 0; expired += got) got = keventNow(thread, kq, null, events);
			});
			if (expired !== n / KEPT) throw new Error(`${expired} timers expired`);
			return time;
		},
	};
}

/** Node's own, which have to wait for their time: the time spent waiting is subtracted. */
function theirs(n: number, span: number): Contestant {
	return {
		name: "setTimeout",
		async run() {
			const timers: NodeJS.Timeout[] = new Array(n);
			let expired = 0;
			let done = (): void => {};
			const all = new Promise<void>((resolve) => {
				done = resolve;
			});
			const expire = (): void => {
				if (++expired === n / KEPT) done();
			};
			const arming = timed(() => {
				for (let i = 0; i < n; i++) timers[i] = setTimeout(expire, 1 + (i % span));
				for (let i = 0; i < n; i++) if (i % KEPT !== 0) clearTimeout(timers[i]);
			});
			const before = process.cpuUsage();
			await timedAsync(() => all);
			const { user, system } = process.cpuUsage(before);
			return arming + (user + system) * 1000;
		},
	};
}

/** The contest: processor time for each timer, with all that happens to it. */
export function millionTimers(quick: boolean): Contest[] {
	const n = quick ? 100_000 : 1_000_000;
	// Milliseconds until the last expires; in every round Node's timers have to wait for that.
	const span = quick ? 200 : 1000;
	const contestants = [ours(n, span), theirs(n, span)];
	return [{ name: "million-timers", n, unit: "timer", count: n, contestants }];
}
