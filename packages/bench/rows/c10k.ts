// c10k: many sockets, one in a hundred of which sends something in each turn.
import { socketpair } from "@kqpoll/files";
import { FdSet, POLLIN, type Pollfd, pollNow, selectNow } from "@kqpoll/kqpoll";
import {
	EV_ADD,
	EVFILT_READ,
	eventList,
	Kernel,
	keventNow,
	kqueue,
	readNow,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { readable } from "@kqpoll/rxjs";
import { type Contest, type Contestant, timed } from "../contest.ts";

const BYTE = new Uint8Array(1);
/** A prime, so that the active ones are spread. */
const STRIDE = 7919;

interface World {
	readonly host: VirtualHost;
	readonly thread: Thread;
	/** Pairs of a client's and the server's descriptor. */
	readonly pairs: readonly (readonly [number, number])[];
}

function world(n: number): World {
	const host = new VirtualHost();
	const thread = new Kernel({ host, maxfiles: 2 * n + 10 }).spawn().main;
	return { host, thread, pairs: Array.from({ length: n }, () => socketpair(thread, "stream")) };
}

/** Serves one turn: takes a byte from each descriptor that is ready; returns how many were. */
type Serve = (w: World) => () => number;

const buffer = new Uint8Array(16);

const bySelect: Serve = ({ thread, pairs }) => {
	const asked = new FdSet(pairs.map(([, fd]) => fd));
	const set = asked.copy();
	const nfds = Math.max(...pairs.slice(-1).map(([, fd]) => fd)) + 1;
	return () => {
		set.words.set(asked.words);
		selectNow(thread, nfds, set, null, null);
		let served = 0;
		for (const fd of set) served += readNow(thread, fd, buffer);
		return served;
	};
};

const byPoll: Serve = ({ thread, pairs }) => {
	const fds = pairs.map(([, fd]): Pollfd => ({ fd, events: POLLIN, revents: 0 }));
	return () => {
		pollNow(thread, fds);
		let served = 0;
		for (const { fd, revents } of fds) if (revents !== 0) served += readNow(thread, fd, buffer);
		return served;
	};
};

const byKevent: Serve = ({ thread, pairs }) => {
	const kq = kqueue(thread);
	const changes = pairs.map(([, ident]) => ({ ident, filter: EVFILT_READ, flags: EV_ADD }));
	keventNow(thread, kq, changes, null);
	const events = eventList(1024);
	return () => {
		let served = 0;
		for (let n = 1; n > 0; ) {
			n = keventNow(thread, kq, null, events);
			for (let i = 0; i < n; i++)
				served += readNow(thread, (events[i] as (typeof events)[0]).ident, buffer);
		}
		return served;
	};
};

const byRx: Serve = ({ host, thread, pairs }) => {
	let served = 0;
	for (const [, fd] of pairs)
		readable(thread, fd).subscribe(() => {
			served += readNow(thread, fd, buffer);
		});
	host.settle();
	return () => {
		served = 0;
		host.settle();
		return served;
	};
};

function contestant(name: string, serve: Serve, n: number, turns: number): Contestant {
	let ready: { w: World; turn: () => number } | null = null;
	const active = Math.max(1, Math.floor(n / 100));
	return {
		name,
		run() {
			// Made when its turn comes, so that not all worlds exist at once.
			if (ready === null) {
				const w = world(n);
				ready = { w, turn: serve(w) };
			}
			const { w, turn } = ready;
			let time = 0;
			for (let i = 0; i < turns; i++) {
				for (let k = 0; k < active; k++) {
					const [client] = w.pairs[((i * active + k) * STRIDE) % n] as readonly [number, number];
					writeNow(w.thread, client, BYTE);
				}
				time += timed(() => {
					if (turn() !== active) throw new Error(`${name} did not serve all`);
				});
			}
			return time;
		},
		close() {
			ready = null;
		},
	};
}

/** The contests, for more and more sockets. */
export function c10k(quick: boolean): Contest[] {
	const sizes = quick ? [100, 10_000] : [100, 1000, 10_000, 100_000];
	return sizes.map((n) => {
		const turns = Math.max(3, Math.floor((quick ? 20_000 : 100_000) / n));
		return {
			name: "c10k",
			n,
			unit: "turn",
			count: turns,
			contestants: [
				contestant("kevent", byKevent, n, turns),
				contestant("RxJS", byRx, n, turns),
				contestant("poll", byPoll, n, turns),
				contestant("select", bySelect, n, turns),
			],
		};
	});
}
