// Demand 7: what a machine does, in marbles: its clock is that of the TestScheduler.
import { pipe } from "@kqpoll/files";
import {
	close,
	EV_CLEAR,
	EVFILT_READ,
	EVFILT_TIMER,
	exit,
	fork,
	Kernel,
	openFile,
	SyntheticFile,
	type Thread,
	waitpidNow,
	writeNow,
} from "@kqpoll/kqueue";
import {
	bufferTime,
	catchError,
	debounceTime,
	defer,
	delay,
	firstValueFrom,
	map,
	merge,
	of,
	repeat,
	type SchedulerLike,
	type Subscription,
	take,
	throttleTime,
	timer,
} from "rxjs";
import { TestScheduler } from "rxjs/testing";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	fromKevent,
	kernelScheduler,
	kernelTimer,
	processEvents,
	readable,
	readBytes,
	withBackpressure,
	writable,
} from "../src/index.ts";
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

test("7: a later subscriber is told of the present state in its frame, and alone", () => {
	marbles(({ cold, expectObservable }, thread) => {
		const file = new SyntheticFile();
		const fd = openFile(thread, file);
		cold("-a----b", { a: 1, b: 2 }).subscribe((data) => {
			file.set("read", { data });
			file.set("write", { data });
		});
		const reads = readable(thread, fd).pipe(map(({ bytes }) => bytes));
		const room = writable(thread, fd).pipe(map((event) => event.room));
		const values = { a: 1, b: 2 };
		for (const source of [reads, room]) {
			expectObservable(source, "^--------!").toBe("-a----b--", values);
			expectObservable(source.pipe(take(1)), "---^").toBe("---(a|)", values);
			expectObservable(
				defer(() => firstValueFrom(source)),
				"----^----!",
			).toBe("---------");
			expectObservable(source, "-----^---!").toBe("-----ab--", values);
			expectObservable(source.pipe(take(1), repeat(2)), "-------^").toBe("-------(bb|)", values);
		}
	});
});

test("7: a process that has exited is told of in the frame of the subscriber", () => {
	marbles(({ cold, expectObservable }, thread) => {
		const child = fork(thread);
		cold("--e----w").subscribe((what) => {
			if (what === "e") exit(child.main, 7);
			else waitpidNow(thread, child.pid);
		});
		const source = defer(() => processEvents(thread, child.pid)).pipe(
			map(({ exitStatus }) => String(exitStatus)),
			catchError(({ code }) => of(code)),
		);
		expectObservable(source).toBe("--(7|)");
		expectObservable(source, "----^").toBe("----(7|)");
		expectObservable(source, "---------^").toBe("---------(e|)", { e: "ESRCH" });
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

/** Runs on a machine, and returns what was logged, with its frame. */
function logged(act: (on: { log: (name: string) => void } & Stage) => void): string[] {
	const lines: string[] = [];
	const rx = new TestScheduler(assert.equal);
	rx.run(() => {
		const kernel = new Kernel({ host: new TestSchedulerHost(rx), diagnostics: true });
		const log = (name: string): void => void lines.push(`${rx.now()} ${name}`);
		act({ rx, kernel, log, kq: kernelScheduler(kernel), thread: kernel.spawn().main });
	});
	return lines;
}

interface Stage {
	readonly rx: TestScheduler;
	readonly kernel: Kernel;
	readonly kq: SchedulerLike;
	readonly thread: Thread;
}

/** Work that has nothing to do with what is tested, before its frame and in it. */
const UNRELATED: Readonly<Record<string, (on: Stage) => void>> = {
	nothing: () => {},
	"a no-op of the kernel": ({ kq }) => void kq.schedule(() => {}, 2),
	"a no-op of RxJS": ({ rx }) => void rx.schedule(() => {}, 2),
	"a no-op in the same frame": ({ kq }) => void kq.schedule(() => {}, 5),
	"a timer of another process": ({ kernel }) =>
		void kernelTimer(kernel.spawn().main, 1).pipe(take(7)).subscribe(),
	"a wake-up of another process in the same frame": ({ kernel }) =>
		void kernelTimer(kernel.spawn().main, 5, { oneshot: true }).subscribe(),
	"a timer of the same thread in the same frame": ({ thread }) =>
		void kernelTimer(thread, 5, { oneshot: true }).subscribe(),
	"a timer that is taken back": ({ kernel, rx }) => {
		const subscription = kernelTimer(kernel.spawn().main, 5).subscribe();
		rx.schedule(() => subscription.unsubscribe(), 4);
	},
};

test("7: unrelated work does not change the order within a frame", () => {
	for (const [what, unrelated] of Object.entries(UNRELATED)) {
		const lines = logged((on) => {
			const { log, rx, kq, thread } = on;
			unrelated(on);
			timer(5, rx).subscribe(() => log("rx 1"));
			kernelTimer(thread, 5, { oneshot: true }).subscribe(() => log("kevent"));
			timer(5, kq).subscribe(() => log("kernel 1"));
			timer(5).subscribe(() => log("async"));
			timer(5, kq).subscribe(() => log("kernel 2"));
			timer(5, rx).subscribe(() => {
				log("rx 2");
				timer(0, rx).subscribe(() => log("soon"));
			});
			kernelTimer(thread, 5, { oneshot: true }).subscribe(() => log("kevent 2"));
			timer(5, rx).subscribe(() => {
				timer(0, kq).subscribe(() => log("kernel 3"));
				timer(0, rx).subscribe(() => log("rx 3"));
			});
		});
		const order = [
			"rx 1",
			"kernel 1",
			"async",
			"kernel 2",
			"rx 2",
			"kevent",
			"soon",
			"kevent 2",
			"kernel 3",
			"rx 3",
		];
		assert.equal(
			lines,
			order.map((name) => `5 ${name}`),
			what,
		);
	}
});

test("7: in a frame a timer of RxJS emits before a kevent that expires in it", () => {
	marbles(({ expectObservable }, thread, kernel) => {
		const tick = kernelTimer(thread, 5, { oneshot: true }).pipe(map(() => "k"));
		const named = (name: string, scheduler?: SchedulerLike) =>
			timer(5, scheduler).pipe(map(() => name));
		const own = named("o", kernelScheduler(kernel));
		expectObservable(merge(tick, named("r"), own)).toBe("-----(rok|)");
		expectObservable(merge(named("r"), tick, own)).toBe("-----(rok|)");
		expectObservable(merge(own, tick, named("r"))).toBe("-----(ork|)");
	});
});

/** A program of actions that schedule, repeat and remove others, by a generator of numbers. */
function program(seed: number, pick: () => SchedulerLike, log: (name: string) => void): void {
	let state = seed;
	const next = (below: number): number => {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
		return (state >>> 8) % below;
	};
	let left = 60;
	const live: Subscription[] = [];
	const act = (): void => {
		const name = `#${left--}`;
		let repeats = next(3);
		const action = pick().schedule(function () {
			log(name);
			for (let i = next(3); i > 0 && left > 0; i--) act();
			if (next(4) === 0) live[next(live.length)]?.unsubscribe();
			if (repeats-- > 0) this.schedule(undefined, next(4));
		}, next(6));
		live.push(action);
	};
	for (let i = 0; i < 5; i++) act();
}

test("7: work of a kernelScheduler comes in the order of work of the TestScheduler itself", () => {
	let total = 0;
	for (let seed = 1; seed <= 200; seed++) {
		let flips = seed;
		const own = logged(({ rx, log }) => program(seed, () => rx, log));
		const mixed = logged(({ rx, kq, log }) =>
			program(
				seed,
				() => {
					flips = (Math.imul(flips, 22695477) + 1) >>> 0;
					return flips >>> 31 === 0 ? rx : kq;
				},
				log,
			),
		);
		total += own.length;
		assert.equal(mixed, own, `seed ${seed}`);
	}
	assert.ok(total > 4000, `${total} actions`);
});

test.run();
