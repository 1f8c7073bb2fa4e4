// Virtual time: by hand, and for programs of promises.
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	EV_ADD,
	EVFILT_READ,
	EVFILT_TIMER,
	eventList,
	Kernel,
	kevent,
	keventNow,
	kqueue,
	openFile,
	SyntheticFile,
	type Thread,
} from "../../src/index.ts";
import { VirtualHost } from "../../src/testing.ts";

test("time stands still until it is moved", () => {
	const host = new VirtualHost();
	assert.is(host.now(), 0);
	host.advance(2.5);
	assert.is(host.now(), 2_500_000);
});

test("the wall clock counts from an epoch of the host's own", () => {
	const born = Date.UTC(2026, 10, 1);
	const host = new VirtualHost({ epoch: born });
	host.advance(1500);
	assert.equal(new Date(host.realtime() / 1e6), new Date(born + 1500));
	assert.is(new VirtualHost().realtime(), 0);
});

test("timers expire in order of time, then of arming, each at its own time", () => {
	const host = new VirtualHost();
	const log: string[] = [];
	const at = (name: string, ms: number) =>
		host.setTimer(ms * 1e6, () => log.push(`${name} ${host.now() / 1e6}`));
	at("late", 30);
	at("first", 10);
	at("second", 10);
	const gone = at("gone", 5);
	host.clearTimer(gone);
	host.clearTimer(gone);
	at("beyond", 31);
	host.advance(30);
	assert.equal(log, ["first 10", "second 10", "late 30"]);
	assert.is(host.now(), 30e6);
});

test("deferred work runs before the next expiry, in the order in which it was deferred", () => {
	const host = new VirtualHost();
	const log: string[] = [];
	host.setTimer(1e6, () => {
		log.push("expiry");
		host.defer(() => {
			log.push("deferred");
			host.yield(() => log.push("deferred later"));
		});
	});
	host.setTimer(1e6, () => log.push("next expiry"));
	host.advance(1);
	assert.equal(log, ["expiry", "deferred", "deferred later", "next expiry"]);
});

test("errors of deferred work are thrown, and the rest still runs", () => {
	const host = new VirtualHost();
	const log: string[] = [];
	host.defer(() => {
		throw new Error("deferred");
	});
	host.defer(() => log.push("rest"));
	assert.throws(() => host.settle(), "deferred");
	host.settle();
	assert.equal(log, ["rest"]);
});

test("random numbers are the same for the same seed", () => {
	const draw = (seed?: number) => {
		const host = new VirtualHost(seed === undefined ? {} : { seed });
		return Array.from({ length: 5 }, () => host.random());
	};
	assert.equal(draw(7), draw(7));
	assert.equal(draw(), draw(1));
	assert.not.equal(draw(7), draw(8));
	for (const bits of draw(3)) assert.ok(bits >= 0 && bits < 2 ** 32 && Number.isInteger(bits));
});

/** Sleeps `ms` milliseconds on a kqueue's timer. */
async function sleep(thread: Thread, kq: number, ms: number): Promise<void> {
	const timer = { ident: 1, filter: EVFILT_TIMER, flags: EV_ADD, data: ms };
	await kevent(thread, kq, [timer], eventList(1), null);
}

test("a program of promises runs to its end, and hours take no time", async () => {
	const host = new VirtualHost();
	const { main } = new Kernel({ host, diagnostics: true }).spawn();
	const kq = kqueue(main);
	const result = await host.run(async () => {
		for (let i = 0; i < 3; i++) await sleep(main, kq, 3_600_000);
		return host.now() / 1e6;
	});
	assert.is(result, 3 * 3_600_000);
});

test("several threads take turns in the same order every time", async () => {
	const once = async () => {
		const host = new VirtualHost();
		const process = new Kernel({ host, diagnostics: true }).spawn();
		const log: string[] = [];
		await host.run(() =>
			Promise.all(
				[7, 3, 5].map(async (period) => {
					const thread = process.spawnThread();
					const kq = kqueue(thread);
					for (let i = 0; i < 4; i++) {
						await sleep(thread, kq, period);
						log.push(`${period}@${host.now() / 1e6}`);
					}
				}),
			),
		);
		return log;
	};
	const log = await once();
	assert.equal(log, await once());
	assert.equal(log.slice(0, 6), ["3@3", "5@5", "3@6", "7@7", "3@9", "5@10"]);
});

test("a program that fails rejects with its own error", async () => {
	const host = new VirtualHost();
	const thrown = new Error("of the program");
	const result = await host
		.run(async () => {
			throw thrown;
		})
		.catch((error) => error);
	assert.is(result, thrown);
});

test("a program that can never end is rejected", async () => {
	const host = new VirtualHost();
	const { main } = new Kernel({ host, diagnostics: true }).spawn();
	const kq = kqueue(main);
	const file = new SyntheticFile();
	const fd = openFile(main, file);
	keventNow(main, kq, [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }], null);
	const result = await host
		.run(() => kevent(main, kq, null, eventList(1), null))
		.catch((error: Error) => error.message);
	assert.match(String(result), "everybody waits");
});

test("a program that computes for a long time is not taken for one that waits", async () => {
	const host = new VirtualHost();
	const { main } = new Kernel({ host, diagnostics: true }).spawn();
	const kq = kqueue(main);
	const result = await host.run(async () => {
		for (let i = 0; i < 3000; i++) await undefined;
		for (let i = 0; i < 3000; i++) await kevent(main, kq, null, eventList(1), { sec: 0, nsec: 0 });
		return host.now();
	});
	assert.is(result, 0);
});

test("time does not go back", () => {
	const host = new VirtualHost();
	assert.throws(() => host.advance(-1), RangeError);
	assert.throws(() => host.advance(Number.NaN), RangeError);
	assert.is(host.now(), 0);
});

test("another way to let promises run can be passed", async () => {
	let turns = 0;
	const idle = () =>
		new Promise<void>((resolve) => {
			turns++;
			setImmediate(resolve);
		});
	const host = new VirtualHost({ idle });
	const { main } = new Kernel({ host, diagnostics: true }).spawn();
	const kq = kqueue(main);
	await host.run(() => sleep(main, kq, 1));
	assert.ok(turns > 0);
});

test.run();
