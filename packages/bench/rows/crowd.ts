// crowd: the same 64 files become ready again and again, among more and more that never do.
import {
	EV_ADD,
	EV_CLEAR,
	EVFILT_READ,
	eventList,
	Kernel,
	keventNow,
	kqueue,
	openFile,
	SyntheticFile,
} from "@kqpoll/kqueue";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { type Contest, type Contestant, timed } from "../contest.ts";

/** How many become ready. */
const ACTIVE = 64;
const READY = { data: 1 };
const IDLE = { data: 0 };

/** A kqueue with `n` knotes; returns a function that does one turn of the active ones. */
function crowd(n: number): () => void {
	const { main: thread } = new Kernel({ host: new VirtualHost(), maxfiles: n + 10 }).spawn();
	const kq = kqueue(thread);
	const change = { ident: 0, filter: EVFILT_READ, flags: EV_ADD | EV_CLEAR };
	const active: SyntheticFile[] = [];
	for (let i = 0; i < n; i++) {
		const file = new SyntheticFile();
		change.ident = openFile(thread, file);
		keventNow(thread, kq, [change], null);
		// Spread over the whole crowd.
		if (i % Math.floor(n / ACTIVE) === 0 && active.length < ACTIVE) active.push(file);
	}
	const events = eventList(ACTIVE);
	return () => {
		for (const file of active) file.set("read", READY);
		const got = keventNow(thread, kq, null, events);
		if (got !== ACTIVE) throw new Error(`${got} events`);
		for (const file of active) file.setQuietly("read", IDLE);
	};
}

function contestant(n: number, turns: number): Contestant {
	let turn: (() => void) | null = null;
	return {
		name: `${ACTIVE} of ${n.toLocaleString("en")}`,
		run() {
			turn ??= crowd(n);
			const once = turn;
			return timed(() => {
				for (let i = 0; i < turns; i++) once();
			});
		},
		close() {
			turn = null;
		},
	};
}

/** The contest: what an event costs, by how many knotes are registered. */
export function crowds(quick: boolean): Contest[] {
	const turns = quick ? 500 : 2000;
	const sizes = quick ? [ACTIVE, 1000, 20_000] : [ACTIVE, 1000, 30_000, 1_000_000];
	const contestants = sizes.map((n) => contestant(n, turns));
	return [{ name: "crowd", n: ACTIVE, unit: "event", count: turns * ACTIVE, contestants }];
}
