// Demand 7: what a machine does, in marbles: its clock is that of the TestScheduler.
import { pipe } from "@kqpoll/files";
import {
	close,
	EV_CLEAR,
	EVFILT_READ,
	EVFILT_TIMER,
	Kernel,
	openFile,
	SyntheticFile,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { bufferTime, debounceTime, delay, map, merge, take, throttleTime } from "rxjs";
import { TestScheduler } from "rxjs/testing";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fromKevent, kernelTimer, readable, readBytes, withBackpressure } from "../src/index.ts";
import { TestSchedulerHost } from "../src/testing.ts";

type Helpers = Parameters<Parameters<TestScheduler["run"]>[0]>[0];

/** Runs marbles on a machine whose host is the scheduler. */
function marbles(act: (helpers: Helpers, thread: Thread, kernel: Kernel) => void): void {
	const scheduler = new TestScheduler((actual, expected) => assert.equal(actual, expected));
	scheduler.run((helpers) => {
		const kernel = new Kernel({ host: new TestSchedulerHost(scheduler), diagnostics: true });
		act(helpers, kernel.spawn().main, kernel);
	});
}

test("7: a timer's events come in the frames in which it expires", () => {
	marbles(({ expectObservable }, thread) => {
		const source = kernelTimer(thread, 3).pipe(
			map(({ expirations }) => expirations),
			take(3),
		);
		expectObservable(source).toBe("---1--1--(1|)", { 1: 1 });
	});
});

test("7: a timer begins with each subscription", () => {
	marbles(({ expectObservable }, thread) => {
		const source = kernelTimer(thread, 4, { oneshot: true }).pipe(map(() => "x"));
		expectObservable(source).toBe("----(x|)");
		expectObservable(source, "--^").toBe("------(x|)");
	});
});

test("7: what marbles do to a file is reported in the same frames", () => {
	marbles(({ cold, expectObservable }, thread) => {
		const file = new SyntheticFile();
		const fd = openFile(thread, file);
		cold("-a--b---c|", { a: 1, b: 2, c: 5 }).subscribe((data) => file.set("read", { data }));
		const source = readable(thread, fd).pipe(map(({ bytes }) => bytes));
		expectObservable(source, "^---------!").toBe("-a--b---c", { a: 1, b: 2, c: 5 });
	});
});

test("7: an end of file completes in its frame", () => {
	marbles(({ cold, expectObservable }, thread) => {
		const [r, w] = pipe(thread);
		cold("--a--b|").subscribe({
			next: () => void writeNow(thread, w, new Uint8Array(2)),
			complete: () => close(thread, w),
		});
		const source = readBytes(thread, r).pipe(map((chunk) => chunk.length));
		expectObservable(source).toBe("--2--2|", { 2: 2 });
	});
});

test("7: operators that use time agree with the machine's timers", () => {
	marbles(({ expectObservable }, thread) => {
		const ticks = kernelTimer(thread, 5).pipe(
			map(() => "t"),
			take(4),
		);
		expectObservable(ticks.pipe(delay(2))).toBe("7ms t 4ms t 4ms t 4ms (t|)");
		expectObservable(ticks.pipe(debounceTime(2))).toBe("7ms t 4ms t 4ms t 2ms (t|)");
		expectObservable(ticks.pipe(throttleTime(8))).toBe("5ms t 9ms t 4ms |");
		expectObservable(ticks.pipe(bufferTime(11))).toBe("11ms a 8ms (b|)", {
			a: ["t", "t"],
			b: ["t", "t"],
		});
	});
});

test("7: events of the same frame come in the order in which they were armed", () => {
	marbles(({ expectObservable }, thread) => {
		const named = (name: string, ms: number) => kernelTimer(thread, ms).pipe(map(() => name));
		const both = merge(named("a", 2), named("b", 3)).pipe(take(5));
		expectObservable(both).toBe("--aba-(ba|)");
	});
});

test("7: events that come during slow work behind withBackpressure become one", () => {
	marbles(({ cold, expectObservable }, thread) => {
		const change = { ident: 1, filter: EVFILT_TIMER, flags: EV_CLEAR, data: 2 };
		const source = fromKevent(thread, change).pipe(
			withBackpressure(({ data }) => cold("-----x|").pipe(map(() => data))),
			take(3),
		);
		// At 2 one expiry; during the work until 8 those of 4, 6 and 8; until 14 those of 10, 12 and
		// 14.
		expectObservable(source).toBe("-------a-----b-----(c|)", { a: 1, b: 3, c: 3 });
	});
});

test("7: a closed descriptor errors in its frame", () => {
	marbles(({ cold, expectObservable }, thread) => {
		const file = new SyntheticFile();
		const fd = openFile(thread, file);
		cold("---x").subscribe(() => close(thread, fd));
		const source = fromKevent(thread, { ident: fd, filter: EVFILT_READ, flags: 0 });
		const failed = source.pipe(map(() => "never"));
		let code: unknown;
		failed.subscribe({ error: (error) => (code = error.code) });
		expectObservable(cold("----|").pipe(map(() => code))).toBe("----|");
		expectObservable(cold("----x|").pipe(map(() => code))).toBe("----x|", { x: "EBADF" });
	});
});

test.run();
