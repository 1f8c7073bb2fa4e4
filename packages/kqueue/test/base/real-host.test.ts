// The real host, in real time: timers are never early, waits are never busy, and all sleepers wake.
import { execFileSync } from "node:child_process";
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
	RealHost,
	SyntheticFile,
} from "../../src/index.ts";
import { FakePlatform, rest } from "./fake-platform.ts";

function ms(n: number) {
	return { sec: Math.floor(n / 1000), nsec: Math.round((n % 1000) * 1e6) };
}

test("a wait does not end before its timeout, even one of less than a millisecond", async () => {
	const { main } = new Kernel({ diagnostics: true }).spawn();
	const kq = kqueue(main);
	for (const timeout of [0.2, 0.999, 1, 1.5, 3.3, 10, 25]) {
		for (let i = 0; i < 3; i++) {
			const start = performance.now();
			assert.is(await kevent(main, kq, null, eventList(1), ms(timeout)), 0);
			const elapsed = performance.now() - start;
			assert.ok(elapsed >= timeout - 0.001, `${elapsed} of ${timeout} ms`);
		}
	}
});

test("a timer does not fire early, and counts every period", async () => {
	const { main } = new Kernel({ diagnostics: true }).spawn();
	const kq = kqueue(main);
	const start = performance.now();
	const events = eventList(1);
	let periods = 0;
	const timer = { ident: 1, filter: EVFILT_TIMER, flags: EV_ADD, data: 5 };
	keventNow(main, kq, [timer], null);
	while (periods < 10) {
		assert.is(await kevent(main, kq, null, events, null), 1);
		periods += events[0]?.data ?? 0;
		const elapsed = performance.now() - start;
		assert.ok(elapsed >= periods * 5 - 0.001, `${periods} periods of 5 ms after ${elapsed} ms`);
	}
});

test("a timer that is held up loses no period", async () => {
	const { main } = new Kernel({ diagnostics: true }).spawn();
	const kq = kqueue(main);
	const events = eventList(1);
	const timer = { ident: 1, filter: EVFILT_TIMER, flags: EV_ADD, data: 2 };
	keventNow(main, kq, [timer], null);
	const start = performance.now();
	while (performance.now() - start < 40);
	await kevent(main, kq, null, events, null);
	const elapsed = performance.now() - start;
	const periods = events[0]?.data ?? 0;
	assert.ok(periods >= 20, `${periods} periods`);
	assert.ok(elapsed >= periods * 2 - 0.001, `${periods} periods of 2 ms after ${elapsed} ms`);
});

test("an idle wait uses no processor time", async () => {
	const { main } = new Kernel({ diagnostics: true }).spawn();
	const kq = kqueue(main);
	keventNow(
		main,
		kq,
		[{ ident: openFile(main, new SyntheticFile()), filter: EVFILT_READ, flags: EV_ADD }],
		null,
	);
	const before = process.cpuUsage();
	await kevent(main, kq, null, eventList(1), ms(500));
	const { user, system } = process.cpuUsage(before);
	// A busy loop would have used all of the half second.
	assert.ok(user + system < 250_000, `${(user + system) / 1000} ms of 500 ms`);
});

test("a thousand sleepers are woken by what they wait for", async () => {
	const kernel = new Kernel({ maxfiles: 4000, diagnostics: true });
	const process = kernel.spawn();
	const sleepers = Array.from({ length: 1000 }, () => {
		const thread = process.spawnThread();
		const kq = kqueue(thread);
		const file = new SyntheticFile();
		const fd = openFile(thread, file);
		const events = eventList(1);
		const change = { ident: fd, filter: EVFILT_READ, flags: EV_ADD };
		const call = kevent(thread, kq, [change], events, ms(60_000));
		return { file, fd, events, call };
	});
	setTimeout(() => {
		for (const { file } of sleepers) file.set("read", { data: 1 });
	}, 5);
	assert.ok((await Promise.all(sleepers.map(({ call }) => call))).every((n) => n === 1));
	assert.ok(sleepers.every(({ fd, events }) => events[0]?.ident === fd));
	assert.equal([kernel.sleepers, kernel.timeouts.size], [0, 0]);
});

test("calls that never sleep do not lock out the platform's timers", async () => {
	const { main } = new Kernel({ diagnostics: true }).spawn();
	const kq = kqueue(main);
	const file = new SyntheticFile();
	const fd = openFile(main, file);
	file.set("read", { data: 1 });
	keventNow(main, kq, [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }], null);
	let stop = false;
	setTimeout(() => {
		stop = true;
	}, 10);
	const events = eventList(1);
	while (!stop) assert.is(await kevent(main, kq, null, events, null), 1);
});

test("threads that wake each other endlessly do not lock out the platform's timers", async () => {
	const process = new Kernel({ diagnostics: true }).spawn();
	const kq = kqueue(process.main);
	const files = [new SyntheticFile(), new SyntheticFile()] as const;
	let stop = false;
	setTimeout(() => {
		stop = true;
	}, 10);
	const player = async (mine: SyntheticFile, other: SyntheticFile) => {
		const thread = process.spawnThread();
		const own = kqueue(thread);
		const fd = openFile(thread, mine);
		keventNow(thread, own, [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }], null);
		let turns = 0;
		while (!stop) {
			await kevent(thread, own, null, eventList(1), null);
			mine.set("read", { data: 0 });
			other.set("read", { data: 1 });
			turns++;
		}
		return turns;
	};
	files[0].set("read", { data: 1 });
	const turns = await Promise.all([player(files[0], files[1]), player(files[1], files[0])]);
	assert.ok(turns.every((n) => n > 10));
	assert.is(keventNow(process.main, kq, null, eventList(1)), 0);
});

test("the platform reports what deferred work throws, and the rest still runs", async () => {
	const host = new RealHost();
	const log: string[] = [];
	const reported = new Promise((resolve) => process.once("uncaughtException", resolve));
	host.defer(() => {
		throw new Error("deferred");
	});
	host.defer(() => log.push("rest"));
	assert.is(((await reported) as Error).message, "deferred");
	// Other tests may have used up the slice: then the rest waits for a turn.
	for (let turn = 0; turn < 3; turn++) await rest();
	assert.equal(log, ["rest"]);
});

test("a timer far beyond the platform's largest one neither fires nor spins", async () => {
	const host = new RealHost(new FakePlatform().slice);
	const real = globalThis.setTimeout;
	const delays: (number | undefined)[] = [];
	let fire: () => void = () => {};
	globalThis.setTimeout = ((fn: () => void, delay?: number) => {
		delays.push(delay);
		fire = fn;
		return real(() => {}, 0);
	}) as typeof setTimeout;
	let fired = 0;
	try {
		host.setTimer(host.now() + 3 * 2 ** 31 * 1e6, () => fired++);
		fire();
		fire();
	} finally {
		globalThis.setTimeout = real;
	}
	assert.is(fired, 0);
	assert.equal(delays, [2 ** 31 - 1, 2 ** 31 - 1, 2 ** 31 - 1]);
});

test("where timers are numbers, Deno's functions let them keep the program alive or not", () => {
	const real = globalThis.setTimeout;
	const log: string[] = [];
	const fake = globalThis as unknown as { setTimeout: unknown; Deno: unknown };
	const deno = fake.Deno;
	fake.setTimeout = () => 7;
	fake.Deno = {
		refTimer: (timer: number) => log.push(`ref ${timer}`),
		unrefTimer: (timer: number) => log.push(`unref ${timer}`),
	};
	try {
		const host = new RealHost();
		host.setTimer(host.now() + 1e12, () => {});
		host.ref();
		host.ref();
		host.unref();
		host.unref();
	} finally {
		fake.setTimeout = real;
		fake.Deno = deno;
	}
	assert.equal(log, ["unref 7", "ref 7", "unref 7"]);
});

test("the earliest of several timers counts, and one that is cleared does not fire", async () => {
	const host = new RealHost();
	host.ref();
	const log: string[] = [];
	const at = (name: string, n: number) => host.setTimer(host.now() + n * 1e6, () => log.push(name));
	at("late", 20);
	const gone = at("gone", 1);
	at("early", 5);
	host.clearTimer(gone);
	await new Promise((resolve) => {
		host.setTimer(host.now() + 30e6, () => resolve(undefined));
	});
	host.unref();
	assert.equal(log, ["early", "late"]);
	host.clearTimer(gone);
});

/** Runs a program in a Node of its own; returns what it printed and how it ended. */
function run(body: string): { status: number; output: string } {
	const script = `import * as k from ${JSON.stringify(new URL("../../src/index.ts", import.meta.url).href)};
const { main } = new k.Kernel().spawn();
const kq = k.kqueue(main);
const timer = (data) => ({ ident: 1, filter: k.EVFILT_TIMER, flags: k.EV_ADD, data });
${body}`;
	try {
		const args = ["--import", "tsx", "--input-type=module", "-e", script];
		const output = execFileSync(process.execPath, args, {
			encoding: "utf8",
			cwd: new URL("../../../..", import.meta.url),
			stdio: ["ignore", "pipe", "ignore"],
		});
		return { status: 0, output };
	} catch (error) {
		const { status, stdout } = error as { status: number; stdout: string };
		return { status, output: stdout };
	}
}

test("a thread that sleeps for a time or a timer keeps a Node program alive", () => {
	const { status, output } = run(`
console.log(await k.kevent(main, kq, null, k.eventList(1), { sec: 0, nsec: 20e6 }));
console.log(await k.kevent(main, kq, [timer(20)], k.eventList(1), null));`);
	assert.equal({ status, output }, { status: 0, output: "0\n1\n" });
});

test("a timer that no thread sleeps for does not keep a Node program alive", () => {
	const { status, output } = run(`
k.keventNow(main, kq, [timer(3_600_000)], null);
console.log("end");`);
	assert.equal({ status, output }, { status: 0, output: "end\n" });
});

test("when a sleep ends a Node program can end, with its timers still set", () => {
	const { status, output } = run(`
k.keventNow(main, kq, [timer(3_600_000)], null);
console.log(await k.kevent(main, kq, null, k.eventList(1), { sec: 0, nsec: 1e6 }));`);
	assert.equal({ status, output }, { status: 0, output: "0\n" });
});

test("the wall clock agrees with Date, moves with the monotonic clock, and follows one that is set", () => {
	const host = new RealHost();
	const before = Date.now();
	const shown = host.realtime() / 1e6;
	assert.ok(shown >= before - 1 && shown <= Date.now() + 1);
	const start = host.now();
	const wall = host.realtime();
	while (host.now() - start < 3e6);
	assert.ok(host.realtime() - wall >= 2.9e6);
	const { now } = Date;
	try {
		Date.now = () => now() - 3_600_000;
		assert.ok(host.realtime() / 1e6 < now() - 3_599_000);
	} finally {
		Date.now = now;
	}
	assert.ok(host.realtime() / 1e6 >= now() - 1);
});

test.run();
