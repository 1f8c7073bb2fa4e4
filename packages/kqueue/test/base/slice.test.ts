// How much work is done before the platform has a turn, and in which order the rest follows.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CountedSlice, TimedSlice } from "../../src/base/slice.ts";
import {
	EV_DISPATCH,
	EVFILT_READ,
	EVFILT_TIMER,
	Kernel,
	kevents,
	openFile,
	type Process,
	read,
	SyntheticFile,
	type Thread,
	threadExit,
	watchKevent,
} from "../../src/index.ts";
import { callEither, readCall } from "../../src/kernel.ts";
import { FakeHost, FakePlatform, rest } from "./fake-platform.ts";

interface World {
	readonly platform: FakePlatform;
	readonly host: FakeHost;
	readonly process: Process;
	readonly thread: Thread;
}

function world(): World {
	const platform = new FakePlatform();
	const host = new FakeHost(platform);
	const process = new Kernel({ host, diagnostics: true }).spawn();
	return { platform, host, process, thread: process.main };
}

/** A descriptor that is always readable. */
function ready(thread: Thread): number {
	const file = new SyntheticFile({ read: (buffer) => buffer.length });
	file.set("read", { data: 1 });
	return openFile(thread, file);
}

const silent = { error: () => {}, complete: () => {} };

test("deferred work that defers has 10 ms, and then the platform has a turn", async () => {
	const { platform, host } = world();
	let pieces = 0;
	const again = (): void => {
		pieces++;
		platform.work(3);
		host.defer(again);
	};
	host.defer(again);
	await rest();
	const before = pieces;
	const counts: number[] = [];
	for (let i = 0; i < 5; i++) {
		const from = pieces;
		await platform.turn();
		counts.push(pieces - from);
	}
	assert.equal([before, counts], [4, [4, 4, 4, 4, 4]]);
});

test("a piece of work that is longer than that is alone in its turn", async () => {
	const { platform, host } = world();
	const log: string[] = [];
	for (const name of ["a", "b", "c"]) {
		host.defer(() => {
			log.push(name);
			platform.work(40);
		});
	}
	await rest();
	assert.equal(log.splice(0), ["a"]);
	assert.equal(await platform.turns(3, log), [["b"], ["c"], []]);
});

test("short pieces are counted: about 4000 of them in a turn", async () => {
	const { platform, host } = world();
	let pieces = 0;
	const again = (): void => {
		pieces++;
		host.defer(again);
	};
	host.defer(again);
	await rest();
	for (let i = 0; i < 5; i++) {
		const from = pieces;
		await platform.turn();
		assert.ok(pieces - from >= 3900 && pieces - from <= 4100, `${pieces - from} pieces`);
	}
	// What was done is forgotten.
	assert.ok((host as unknown as { work: unknown[] }).work.length < 10);
});

test("a long list of deferred work is done in its order, whatever is added meanwhile", async () => {
	const { platform, host } = world();
	const log: number[] = [];
	let added = 10_000;
	for (let i = 0; i < 10_000; i++) {
		host.defer(() => {
			log.push(i);
			if (i % 2 === 0) {
				const later = added++;
				host.defer(() => log.push(later));
			}
		});
	}
	await rest();
	for (let i = 0; i < 20; i++) await platform.turn();
	assert.equal(
		log,
		Array.from({ length: 15_000 }, (_, i) => i),
	);
});

test("after short pieces, long ones are noticed before many of them have run", async () => {
	const { platform, host } = world();
	let pieces = 0;
	let long = 0;
	const again = (): void => {
		if (++pieces > 3000) {
			long++;
			platform.work(2);
		}
		host.defer(again);
	};
	host.defer(again);
	for (let i = 0; i < 20 && long === 0; i++) await platform.turn();
	await rest();
	assert.ok(long >= 1 && long <= 20, `${long} pieces of 2 ms`);
	const from = long;
	await platform.turn();
	assert.ok(long - from <= 6, `${long - from} pieces of 2 ms`);
});

test("hosts share the turns of their platform, and take turns with each other", async () => {
	const platform = new FakePlatform();
	const log: string[] = [];
	for (const name of ["a", "b", "c"]) {
		const host = new FakeHost(platform);
		const again = (): void => {
			log.push(name);
			platform.work(6);
			host.defer(again);
		};
		host.defer(again);
	}
	await rest();
	log.length = 0;
	const seen = await platform.turns(6, log);
	assert.ok(seen.every((turn) => turn.length === 2));
	const total = seen.flat();
	for (const name of ["a", "b", "c"]) {
		assert.is(total.filter((each) => each === name).length, 4, total.join(" "));
	}
});

test("timers that are due fire in order of time, a few in each turn, with what they wake", async () => {
	const { platform, host } = world();
	const log: string[] = [];
	for (let i = 9; i >= 0; i--) {
		host.setTimer(platform.time + i, () => {
			platform.work(2);
			log.push(`timer ${i}`);
			host.defer(() => {
				platform.work(2);
				log.push(`wakes ${i}`);
			});
		});
	}
	platform.work(1);
	// The platform's own timer.
	await new Promise((resolve) => setTimeout(resolve, 5));
	const seen = [log.splice(0), ...(await platform.turns(6, log))].filter((turn) => turn.length > 0);
	assert.ok(seen.every((turn) => turn.length <= 6));
	assert.equal(
		seen.flat(),
		Array.from({ length: 10 }, (_, i) => [`timer ${i}`, `wakes ${i}`]).flat(),
	);
});

test("deferred work without end and timers take turns", async () => {
	const { platform, host } = world();
	let fired = 0;
	let pieces = 0;
	const again = (): void => {
		pieces++;
		platform.work(3);
		host.defer(again);
	};
	const tick = (): void => {
		fired++;
		host.setTimer(platform.time + 1e6, tick);
	};
	host.defer(again);
	tick();
	for (let i = 0; i < 20; i++) {
		await platform.turn();
		await new Promise((resolve) => setTimeout(resolve, 2));
	}
	assert.ok(fired >= 10 && pieces >= 40, `${fired} timers, ${pieces} pieces`);
});

test("what a woken thread's program does counts before the next thread continues", async () => {
	const { platform, process } = world();
	const file = new SyntheticFile({ read: (buffer) => buffer.length });
	const log: number[] = [];
	for (let i = 0; i < 30; i++) {
		const thread = process.spawnThread();
		const fd = openFile(thread, file);
		const wrapped = async (): Promise<number> => await read(thread, fd, new Uint8Array(1));
		const program = async (): Promise<void> => {
			await wrapped();
			log.push(i);
			platform.work(5);
		};
		void program();
	}
	file.set("read", { data: 1 });
	await rest();
	const seen = [log.splice(0), ...(await platform.turns(30, log))].filter(
		(turn) => turn.length > 0,
	);
	// The first turn has to learn how long they take.
	assert.ok((seen[0]?.length ?? 0) <= 9, `${seen[0]?.length} at first`);
	assert.ok(seen.slice(1).every((turn) => turn.length <= 4));
	assert.equal(
		seen.flat(),
		Array.from({ length: 30 }, (_, i) => i),
	);
});

test("calls that never sleep wait for the platform's turn after 10 ms", async () => {
	const { platform, thread } = world();
	const fd = ready(thread);
	let calls = 0;
	void (async () => {
		for (;;) {
			await read(thread, fd, new Uint8Array(1));
			calls++;
			platform.work(4);
		}
	})();
	await rest();
	const counts = [calls];
	for (let i = 0; i < 4; i++) {
		await platform.turn();
		counts.push(calls - counts.reduce((sum, n) => sum + n));
	}
	assert.equal(counts, [3, 3, 3, 3, 3]);
});

test("so do calls that fail, and callEither, which returns a promise then", async () => {
	const { platform, thread } = world();
	const fd = ready(thread);
	const either = () => callEither(thread, "read", null, readCall, fd, new Uint8Array(1));
	assert.is(either(), 1);
	platform.work(11);
	const promised = either();
	assert.ok(promised instanceof Promise);
	let settled = 0;
	const failing = read(thread, 999, new Uint8Array(1)).catch(() => settled++);
	await rest();
	assert.is(settled, 0);
	await platform.turn();
	assert.equal([await promised, await failing, settled], [1, 0, 1]);
	assert.is(either(), 1);
});

test("of many threads whose calls do not sleep, eight have a result in a turn at once", async () => {
	const { platform, process } = world();
	const fd = ready(process.main);
	const log: number[] = [];
	for (let i = 0; i < 40; i++) {
		const thread = process.spawnThread();
		void read(thread, fd, new Uint8Array(1)).then(() => {
			log.push(i);
			platform.work(4);
		});
	}
	await rest();
	assert.equal(log.splice(0), [0, 1, 2, 3, 4, 5, 6, 7]);
	const seen = (await platform.turns(40, log)).filter((turn) => turn.length > 0);
	assert.ok(seen.every((turn) => turn.length <= 4));
	assert.equal(
		seen.flat(),
		Array.from({ length: 32 }, (_, i) => i + 8),
	);
});

test("a watch that always has events has 10 ms in a turn", async () => {
	const { platform, thread } = world();
	let told = 0;
	const change = { ident: ready(thread), filter: EVFILT_READ, flags: EV_DISPATCH };
	const watch = watchKevent(thread, change, {
		...silent,
		next: () => {
			told++;
			platform.work(5);
			watch.enable();
		},
	});
	await rest();
	for (let i = 0; i < 4; i++) {
		const from = told;
		await platform.turn();
		assert.is(told - from, 2);
	}
	watch.close();
});

test("an event for many watches is delivered in several turns, in their order", async () => {
	const { platform, thread } = world();
	const file = new SyntheticFile();
	const ident = openFile(thread, file);
	const log: string[] = [];
	const change = { ident, filter: EVFILT_READ, flags: 0 };
	const watches = Array.from({ length: 9 }, (_, i) =>
		watchKevent(thread, change, {
			...silent,
			next: ({ data }) => {
				log.push(`${i} ${data}`);
				platform.work(5);
				if (i === 1) watches[5]?.close();
				if (i === 2) file.set("read", { data: 2 });
			},
		}),
	);
	file.set("read", { data: 1 });
	await rest();
	const seen = [log.splice(0, 9), ...(await platform.turns(5, log))];
	assert.ok(seen.every((turn) => turn.length <= 3));
	const first = [0, 1, 2, 3, 4, 6, 7, 8].map((i) => `${i} 1`);
	assert.equal(seen.flat().slice(0, 8), first);
	for (const watch of watches) watch.close();
});

test("a thread that ends while an event is being delivered does not take it away", async () => {
	const { platform, process } = world();
	const thread = process.spawnThread();
	const file = new SyntheticFile();
	const ident = openFile(thread, file);
	const log: string[] = [];
	for (let i = 0; i < 4; i++) {
		watchKevent(
			thread,
			{ ident, filter: EVFILT_READ, flags: 0 },
			{
				next: () => {
					log.push(`${i} told`);
					platform.work(12);
				},
				error: (error) => log.push(`${i} ${(error as { code: string }).code}`),
				complete: () => {},
			},
		);
	}
	file.set("read", { data: 1 });
	await rest();
	threadExit(thread);
	for (let i = 0; i < 6; i++) await platform.turn();
	assert.equal(log, [
		...["0 told", "1 told", "2 told", "3 told"],
		...["0 ESRCH", "1 ESRCH", "2 ESRCH", "3 ESRCH"],
	]);
});

test("events that an iteration has kept are handed out with turns in between", async () => {
	const { platform, thread } = world();
	const iterators = Array.from({ length: 40 }, () =>
		kevents(
			thread,
			{ ident: ready(thread), filter: EVFILT_READ, flags: 0 },
			{ policy: "buffered", bound: 4 },
		),
	);
	for (let i = 0; i < 10; i++) await platform.turn();
	let got = 0;
	void (async () => {
		for (const iterator of iterators) {
			await iterator.next();
			got++;
			platform.work(4);
		}
	})();
	await rest();
	for (let i = 0; i < 20; i++) {
		const from = got;
		await platform.turn();
		assert.ok(got - from <= 3, `${got - from} events`);
	}
	assert.is(got, 40);
	for (const iterator of iterators) await iterator.return();
});

test("a timer whose watcher takes longer than its period leaves the platform its turns", async () => {
	const { platform, thread } = world();
	let told = 0;
	const change = { ident: 1, filter: EVFILT_TIMER, flags: 0, data: 1 };
	const watch = watchKevent(thread, change, {
		...silent,
		next: () => {
			told++;
			platform.work(5);
		},
	});
	platform.work(1);
	await new Promise((resolve) => setTimeout(resolve, 5));
	for (let i = 0; i < 10; i++) {
		const from = told;
		await platform.turn();
		assert.ok(told - from <= 3, `${told - from} events`);
	}
	assert.ok(told >= 10, `${told} events`);
	watch.close();
});

test("a program that sleeps in between does not wait for turns", async () => {
	const { platform, host } = world();
	let ran = 0;
	for (let i = 0; i < 5; i++) {
		host.defer(() => ran++);
		await rest();
		assert.is(ran, i + 1);
		await platform.turn();
		platform.work(1000);
	}
	assert.is(platform.asked, 5);
});

test("what waits for a turn throws without harm to the others", async () => {
	const { platform, host } = world();
	const log: string[] = [];
	host.yield(() => {
		log.push("bad");
		throw new Error("mine");
	});
	host.yield(() => log.push("good"));
	const failed = platform.turn().catch(({ message }) => message);
	assert.is(await failed, "mine");
	await rest();
	assert.equal(log, ["bad", "good"]);
});

test("without a clock only calls are counted", () => {
	const slice = new CountedSlice();
	const ways = Array.from({ length: 3000 }, () => slice.makesWay());
	assert.is(ways.filter((way) => way).length, 3);
	assert.equal([slice.spend(), slice.isOver], [false, false]);
});

test("calls that block make way after 10 ms, and again after the next 10 ms", () => {
	let time = 0;
	const slice = new TimedSlice(() => time);
	const ways: number[] = [];
	for (let i = 0; i < 40; i++) {
		if (slice.makesWay()) ways.push(i);
		time += 2e6;
	}
	assert.ok(ways.length >= 5 && ways.length <= 8, ways.join(" "));
});

test.run();
