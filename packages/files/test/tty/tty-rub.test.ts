// Erasing and printing again what was typed: the same with and without what is kept, and linear.
import { getFile } from "@kqpoll/kqueue/kernel";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	ECHO,
	ECHOCTL,
	ECHOE,
	ECHONL,
	ECHOPRT,
	ONLCR,
	ONOCR,
	ONOEOT,
	OPOST,
	OXTABS,
	TTYDEF,
} from "../../src/termios.ts";
import type { PtyMaster } from "../../src/tty/pty-master.ts";
import type { Tty } from "../../src/tty/tty.ts";
import { TtyQueue } from "../../src/tty/tty-queue.ts";
import { ctrl, type Terminal, terminal } from "./tty-world.ts";

const DEL = "\x7f";
const KEYS = ["a", "b", " ", "\t", "\t", DEL, DEL, "\n", "\x01", "\xff"].concat(
	["W", "W", "U", "R", "R", "O", "V", "D"].map(ctrl),
);

function ttyOf({ thread, master }: Terminal): Tty {
	return (getFile(thread, master, "test") as PtyMaster).pty.tty;
}

test("what is kept of a line changes nothing of what is printed", () => {
	const { lflag, oflag } = TTYDEF;
	const step = fc.oneof(
		{ weight: 12, arbitrary: fc.record({ type: fc.constantFrom(...KEYS) }) },
		{ weight: 1, arbitrary: fc.record({ type: fc.constant("\t".repeat(60)) }) },
		{ weight: 1, arbitrary: fc.record({ print: fc.constantFrom("x", "yy\n", "\t\b") }) },
		{ weight: 1, arbitrary: fc.constant({ read: true }) },
		{
			weight: 1,
			arbitrary: fc.record({
				lflag: fc.constantFrom(0, ECHO, ECHOCTL, ECHOE, ECHOE | ECHOPRT, ECHO | ECHONL),
				oflag: fc.constantFrom(0, OXTABS, ONLCR, OPOST, ONOEOT | ONOCR),
			}),
		},
	);
	fc.assert(
		fc.property(fc.array(step, { maxLength: 80, size: "max" }), (steps) => {
			const [kept, fresh] = [terminal(), terminal()];
			const both = <T>(act: (t: Terminal) => T): T => {
				const result = act(kept);
				assert.equal(act(fresh), result);
				const tty = ttyOf(fresh);
				tty.columns = null;
				tty.retyped = null;
				return result;
			};
			for (const each of steps) {
				if ("type" in each) for (const key of each.type) both((t) => t.type(key));
				else if ("print" in each) both((t) => t.print(each.print));
				else if ("read" in each) both((t) => t.screen());
				else both((t) => t.set({ lflag: lflag ^ each.lflag, oflag: oflag ^ each.oflag }));
				both((t) => {
					const { column, rocol, rocount, erasing } = ttyOf(t);
					return [column, rocol, rocount, erasing];
				});
			}
			both((t) => [t.screen(), t.read()]);
		}),
		{ numRuns: 40 },
	);
});

/** How many characters the queues of a terminal are asked for and given while it types. */
function steps(t: Terminal, text: string): number {
	t.kernel.diagnostics = false;
	const { at, put } = TtyQueue.prototype;
	let n = 0;
	TtyQueue.prototype.at = function (index): number {
		n++;
		return at.call(this, index);
	};
	TtyQueue.prototype.put = function (c): boolean {
		n++;
		return put.call(this, c);
	};
	try {
		t.type(text);
	} finally {
		Object.assign(TtyQueue.prototype, { at, put });
	}
	return n;
}

for (const [name, before, after] of [
	["^W behind many tabs", (n: number) => "\t".repeat(n), () => ctrl("W")],
	["^U behind many tabs", (n: number) => "\t".repeat(n), () => ctrl("U")],
	["DEL for each of many tabs", (n: number) => "\t".repeat(n), (n: number) => DEL.repeat(n)],
	[
		"many ^R behind a long line",
		(n: number) => "a\x01".repeat(n / 2),
		(n: number) => ctrl("R").repeat(3 * n),
	],
	[
		"many ^R behind a long line whose end changes",
		(n: number) => "a\x01".repeat(n / 2),
		(n: number) => `b${DEL}${ctrl("R")}`.repeat(n),
	],
	[
		"many ^O behind a long line whose end changes",
		(n: number) => "a".repeat(n - 2),
		(n: number) => `b${DEL}${ctrl("O").repeat(2)}`.repeat(n),
	],
	[
		"many ^O behind a long line",
		(n: number) => "a\t".repeat(n / 2),
		(n: number) => ctrl("O").repeat(3 * n),
	],
] as const) {
	test(`${name}: ten times as much costs about ten times as much`, () => {
		const [few, many] = [800, 8000].map((n) => {
			const t = terminal();
			t.type(before(n));
			t.screen();
			return steps(t, after(n));
		}) as [number, number];
		assert.ok(many < 12 * few, `${few}, then ${many}`);
	});
}

test("^R costs little behind a long line that is not printed", () => {
	for (const changes of [
		{ lflag: (TTYDEF.lflag & ~ECHO) | ECHONL },
		{ lflag: TTYDEF.lflag & ~ECHOCTL, oflag: TTYDEF.oflag | ONOEOT },
	]) {
		const t = terminal(changes);
		t.type(`${ctrl("V")}${ctrl("D")}`.repeat(4000));
		t.screen();
		assert.ok(steps(t, ctrl("R").repeat(4000)) < 100_000);
	}
});

test.run();
