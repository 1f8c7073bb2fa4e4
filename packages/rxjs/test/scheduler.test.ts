// The scheduler: operators that use time go by the kernel's clock.

import { spawnSync } from "node:child_process";
import { EVFILT_READ, EVFILT_TIMER, Kernel, kevents } from "@kqpoll/kqueue";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import {
	asapScheduler,
	catchError,
	debounceTime,
	delay,
	interval,
	lastValueFrom,
	map,
	merge,
	NEVER,
	Observable,
	observeOn,
	of,
	range,
	retry,
	timer as rxTimer,
	type SchedulerLike,
	Subject,
	take,
	takeWhile,
	tap,
	timeout,
} from "rxjs";
import { TestScheduler } from "rxjs/testing";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fromKevent, kernelScheduler, kernelTimer } from "../src/index.ts";
import { TestSchedulerHost } from "../src/testing.ts";
import { world } from "./world.ts";

test("work runs at its time, never inside schedule, in order of time and then of scheduling", () => {
	const w = world();
	const scheduler = kernelScheduler(w.kernel);
	const order: string[] = [];
	for (const [name, ms] of [
		["b", 5],
		["a", 0],
		["c", 5],
		["d", -3],
	] as const)
		scheduler.schedule(() => void order.push(`${name} ${scheduler.now()}`), ms);
	assert.equal(order, []);
	w.host.advance(4);
	assert.equal(order, ["a 0", "d 0"]);
	w.host.advance(1);
	assert.equal(order.slice(2), ["b 5", "c 5"]);
	w.checkClean();
});

test("work may schedule itself again, and its state is passed on", () => {
	const w = world();
	const seen: number[] = [];
	const action = kernelScheduler(w.kernel).schedule<number>(
		function (n = 0) {
			seen.push(n);
			if (n < 3) this.schedule(n + 1, 10);
		},
		10,
		1,
	);
	w.host.advance(100);
	assert.equal(seen, [1, 2, 3]);
	action.unsubscribe();
	w.checkClean();
});

test("work that is unsubscribed does not run, and leaves no timer", () => {
	const w = world();
	let runs = 0;
	const action = kernelScheduler(w.kernel).schedule(() => void runs++, 10);
	assert.equal([w.kernel.timeouts.size, w.kernel.sleepers], [1, 1]);
	action.unsubscribe();
	w.checkClean();
	w.host.advance(20);
	assert.is(runs, 0);
});

test("work that throws is not repeated, and the host's advance throws its error", () => {
	const w = world();
	kernelScheduler(w.kernel).schedule(function () {
		this.schedule(undefined, 1);
		throw new Error("mine");
	}, 1);
	assert.throws(() => w.host.advance(1), /mine/);
	w.checkClean();
});

test("interval, timer, delay, debounceTime and timeout agree with the machine's timers", () => {
	const w = world();
	const scheduler = kernelScheduler(w.kernel);
	const at = (): number => scheduler.now();
	const subject = new Subject<string>();
	const all = [
		w.listen("interval", interval(10, scheduler).pipe(take(2)), at),
		w.listen("rxTimer", rxTimer(15, scheduler), at),
		w.listen("timer", kernelTimer(w.thread, 10).pipe(take(2)), at),
		w.listen("delay", of("x").pipe(delay(12, scheduler)), at),
		w.listen("debounce", subject.pipe(debounceTime(5, scheduler)), at),
		w.listen("timeout", subject.pipe(timeout({ each: 18, scheduler })), at),
	];
	subject.next("a");
	w.host.advance(3);
	subject.next("b");
	w.host.advance(30);
	assert.equal(
		w.heard(),
		[
			"timeout 0",
			"timeout 3",
			"debounce 8",
			"interval 10",
			"timer 10",
			"delay 12",
			"delay done",
			"rxTimer 15",
			"rxTimer done",
			"interval 20",
			"interval done",
			"timer 20",
			"timer done",
			"timeout Error: Timeout has occurred",
		].map((line) => line.replace("Error: Timeout", "TimeoutError: Timeout")),
	);
	for (const subscription of all) subscription.unsubscribe();
	w.checkClean();
});

test("other schedulers can be mixed in", async () => {
	const w = world();
	const values: number[] = [];
	of(1, 2)
		.pipe(observeOn(kernelScheduler(w.kernel)), observeOn(asapScheduler))
		.subscribe((value) => values.push(value));
	w.host.settle();
	w.host.advance(0);
	await new Promise((resolve) => setTimeout(resolve, 5));
	assert.equal(values, [1, 2]);
	w.checkClean();
});

test("scheduled work keeps a program alive, and nothing else does", () => {
	const script = `
		import { Kernel } from "@kqpoll/kqueue";
		import { timer } from "rxjs";
		import { kernelScheduler, readable } from "./src/index.ts";
		const kernel = new Kernel();
		timer(50, kernelScheduler(kernel)).subscribe(() => console.log("ran"));
	`;
	const { stdout, status } = spawnSync(
		process.execPath,
		["--import", "tsx", "--input-type=module", "-e", script],
		{ cwd: new URL("..", import.meta.url), encoding: "utf8" },
	);
	assert.equal([stdout, status], ["ran\n", 0]);
});

test("on a real host work is not early", async () => {
	const kernel = new Kernel();
	const scheduler = kernelScheduler(kernel);
	const before = kernel.host.now();
	const after = await new Promise<number>((resolve) =>
		scheduler.schedule(() => resolve(kernel.host.now()), 20),
	);
	assert.ok(after - before >= 20e6);
	const it = kevents(kernel.spawn().main, { ident: 1, filter: EVFILT_TIMER, flags: 0, data: 5 });
	// A busy machine may be late by some periods.
	assert.ok(((await it.next()).value?.data ?? 0) >= 1);
	await it.return();
});

/** What a date does in operators: when each of them has fired, on the scheduler's clock. */
function atDates(scheduler: SchedulerLike, date: Date): Observable<string> {
	const at = (): number => scheduler.now();
	return merge(
		rxTimer(date, scheduler).pipe(map(() => `timer ${at()}`)),
		of("x").pipe(
			delay(date, scheduler),
			map(() => `delay ${at()}`),
		),
		NEVER.pipe(
			timeout({ first: date, scheduler }),
			catchError(() => of(`timeout ${at()}`)),
		),
	);
}

test("dates work on a virtual host, which counts from an epoch of its own", () => {
	for (const epoch of [0, Date.UTC(2031, 4, 6, 7, 8, 9, 10)]) {
		const host = new VirtualHost({ epoch });
		const scheduler = kernelScheduler(new Kernel({ host }));
		const fired: string[] = [];
		host.advance(1000);
		assert.is(scheduler.now(), epoch + 1000);
		atDates(scheduler, new Date(epoch + 1250)).subscribe((line) => fired.push(line));
		host.advance(249);
		assert.equal(fired, []);
		host.advance(1);
		assert.equal(
			fired,
			["timer", "delay", "timeout"].map((name) => `${name} ${epoch + 1250}`),
		);
		atDates(scheduler, new Date(epoch)).subscribe((line) => fired.push(line));
		host.advance(0);
		// A date that has passed means at once.
		assert.is(fired.at(-1), `timeout ${epoch + 1250}`);
	}
});

test("dates work on a real host, and its scheduler agrees with Date", async () => {
	const scheduler = kernelScheduler(new Kernel());
	const before = Date.now();
	const shown = scheduler.now();
	assert.ok(shown > before - 1 && shown < Date.now() + 1, `${shown} is not ${before}`);
	const date = new Date(Date.now() + 30);
	const ends: number[] = [];
	await lastValueFrom(atDates(scheduler, date).pipe(tap(() => ends.push(Date.now()))));
	assert.ok(
		ends.every((end) => end >= +date && end < +date + 5000),
		`${ends} for ${+date}`,
	);
	assert.is(ends.length, 3);
});

test("with a TestScheduler a date is a frame", () => {
	const marbles = new TestScheduler(assert.equal);
	marbles.run(({ expectObservable }) => {
		const scheduler = kernelScheduler(new Kernel({ host: new TestSchedulerHost(marbles) }));
		expectObservable(rxTimer(new Date(5), scheduler)).toBe("-----(0|)", [0]);
		expectObservable(of("x").pipe(delay(new Date(3), scheduler))).toBe("---(x|)");
	});
});

test("programs that are always busy leave the platform its turns on the real host", async () => {
	const kernel = new Kernel();
	const { main } = kernel.spawn();
	const scheduler = kernelScheduler(kernel);
	const refused = fromKevent(main, { ident: 999, filter: EVFILT_READ, flags: 0 });
	const programs: Record<string, (goes: () => boolean) => Observable<unknown>> = {
		interval: (goes) => interval(0, scheduler).pipe(takeWhile(goes)),
		observeOn: (goes) => range(0, 20_000).pipe(observeOn(scheduler), takeWhile(goes)),
		retry: (goes) =>
			new Observable((subscriber) =>
				goes() ? refused.subscribe(subscriber) : subscriber.complete(),
			).pipe(retry()),
	};
	for (const [name, program] of Object.entries(programs)) {
		let rounds = 0;
		let turns = 0;
		// Without turns this would never be true.
		const goes = (): boolean => turns < 3 && rounds++ < 200_000;
		const turn = (): void => {
			if (++turns < 3) setImmediate(turn);
		};
		setImmediate(turn);
		await new Promise<void>((resolve) => {
			program(goes).subscribe({ complete: resolve });
		});
		assert.is(turns, 3, `${name} had ${rounds} rounds, and the platform ${turns} turns`);
	}
});

test.run();
