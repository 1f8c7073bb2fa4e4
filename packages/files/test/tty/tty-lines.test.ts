// The line discipline: what is typed, what is shown, what is read.

import { EV_ADD, EVFILT_READ, ioctl, keventNow, kqueue, read, writeNow } from "@kqpoll/kqueue";
import { FIONREAD } from "@kqpoll/kqueue/ioctl";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openpty } from "../../src/index.ts";
import {
	ALTWERASE,
	cfmakeraw,
	ECHO,
	ECHOCTL,
	ECHOE,
	ECHOK,
	ECHOKE,
	ECHONL,
	ECHOPRT,
	ICANON,
	ICRNL,
	IEXTEN,
	IGNCR,
	IMAXBEL,
	INLCR,
	ISIG,
	ISTRIP,
	IXANY,
	IXOFF,
	IXON,
	OCRNL,
	ONLCR,
	ONLRET,
	ONOCR,
	ONOEOT,
	OPOST,
	OXTABS,
	PARMRK,
	TTYDEF,
	VDISCARD,
	VEOL,
	VEOL2,
	VMIN,
	VTIME,
} from "../../src/termios.ts";
import { TIOCOUTQ } from "../../src/ttycom.ts";
import { collect, machine } from "../machine.ts";
import { bytes, ctrl, terminal } from "./tty-world.ts";

const DEL = "\x7f";
const { iflag, lflag, cc } = TTYDEF;

/** The terminal's default characters with one changed. */
function characters(place: number, c: number): readonly number[] {
	return cc.map((old, index) => (index === place ? c : old));
}

const RUB = "\b \b";

/** [what it shows, settings, what is typed, what is seen, what is read] */
const table: readonly [string, Partial<typeof TTYDEF>, string, string, string][] = [
	["a line is shown and read", {}, "ls -l\r", "ls -l\r\n", "ls -l\n"],
	["a line that is not ended cannot be read", {}, "ls", "ls", "EAGAIN"],
	["without echo nothing is shown", { lflag: lflag & ~ECHO }, "pw\n", "EAGAIN", "pw\n"],
	["ECHONL still shows the newline", { lflag: (lflag & ~ECHO) | ECHONL }, "pw\n", "\r\n", "pw\n"],
	["control characters are shown as ^X", {}, "a\x01b\n", "a^Ab\r\n", "a\x01b\n"],
	[
		"without ECHOCTL they are shown as they are",
		{ lflag: lflag & ~ECHOCTL },
		"\x01\n",
		"\x01\r\n",
		"\x01\n",
	],
	["VERASE erases a character, on the screen too", {}, `ab${DEL}c\n`, `ab${RUB}c\r\n`, "ac\n"],
	["VERASE at the beginning of the line does nothing", {}, `${DEL}a\n`, "a\r\n", "a\n"],
	[
		"a control character is erased from two columns",
		{},
		`\x01${DEL}\n`,
		`^A${RUB}${RUB}\r\n`,
		"\n",
	],
	["a tab is erased from its columns", {}, `a\t${DEL}\n`, `a\t${"\b".repeat(7)}\r\n`, "a\n"],
	[
		"so is one that is printed as blanks, with OXTABS",
		{ oflag: TTYDEF.oflag | OXTABS },
		`a\t${DEL}\n`,
		`a       ${"\b".repeat(7)}\r\n`,
		"a\n",
	],
	[
		"without ECHOE what erases is shown",
		{ lflag: lflag & ~ECHOE },
		`ab${DEL}\n`,
		"ab^?\r\n",
		"a\n",
	],
	[
		"ECHOPRT shows what is erased between \\ and /",
		{ lflag: (lflag & ~ECHOE) | ECHOPRT },
		`abc${DEL}${DEL}d\n`,
		"abc\\cb/d\r\n",
		"ad\n",
	],
	["VKILL erases the line", {}, `abc${ctrl("U")}d\n`, `abc${RUB.repeat(3)}d\r\n`, "d\n"],
	[
		"without ECHOKE VKILL is shown, with ECHOK then a newline",
		{ lflag: (lflag & ~ECHOKE) | ECHOK },
		`abc${ctrl("U")}d\n`,
		"abc^U\r\nd\r\n",
		"d\n",
	],
	[
		"without both it is only shown",
		{ lflag: lflag & ~ECHOKE },
		`abc${ctrl("U")}d\n`,
		"abc^Ud\r\n",
		"d\n",
	],
	[
		"VWERASE erases blanks and the word before them",
		{},
		`one two  ${ctrl("W")}x\n`,
		`one two  ${RUB.repeat(5)}x\r\n`,
		"one x\n",
	],
	["VWERASE takes all of a path", {}, `a/b${ctrl("W")}\n`, `a/b${RUB.repeat(3)}\r\n`, "\n"],
	[
		"with ALTWERASE it stops between letters and others",
		{ lflag: lflag | ALTWERASE },
		`a/bc${ctrl("W")}\n`,
		`a/bc${RUB}${RUB}\r\n`,
		"a/\n",
	],
	[
		"VWERASE with nothing but blanks erases those",
		{},
		`  ${ctrl("W")}\n`,
		`  ${RUB}${RUB}\r\n`,
		"\n",
	],
	["VREPRINT shows the line again", {}, `ab${ctrl("R")}c\n`, "ab^R\r\nabc\r\n", "abc\n"],
	[
		"VLNEXT takes the next character as it is",
		{},
		`${ctrl("V")}${DEL}${ctrl("V")}\n\n`,
		"^\b^?^\b^J\r\n",
		`${DEL}\n\n`,
	],
	["a quoted ^C is data", {}, `${ctrl("V")}${ctrl("C")}\n`, "^\b^C\r\n", `${ctrl("C")}\n`],
	[
		"without IEXTEN ^V is data",
		{ lflag: lflag & ~IEXTEN },
		`${ctrl("V")}\n`,
		"^V\r\n",
		`${ctrl("V")}\n`,
	],
	["ICRNL off leaves a carriage return", { iflag: iflag & ~ICRNL }, "a\rb\n", "a^Mb\r\n", "a\rb\n"],
	["IGNCR drops carriage returns", { iflag: iflag | IGNCR }, "a\rb\n", "ab\r\n", "ab\n"],
	[
		"INLCR makes newlines carriage returns, which end nothing",
		{ iflag: iflag | INLCR },
		"a\n",
		"a^M",
		"EAGAIN",
	],
	["ISTRIP takes the eighth bit", { iflag: iflag | ISTRIP }, "\xe1\n", "a\r\n", "a\n"],
	["bytes above 127 pass", {}, "\xc3\xa4\n", "\xc3\xa4\r\n", "\xc3\xa4\n"],
	["PARMRK doubles a byte 255", { iflag: iflag | PARMRK }, "\xff\n", "\r\n", "\xff\xff\n"],
	["VEOL ends a line", { cc: characters(VEOL, 0x3b) }, "a;", "a;", "a;"],
	["VEOL2 ends a line", { cc: characters(VEOL2, 0x21) }, "a!", "a!", "a!"],
	[
		"without IEXTEN VEOL2 does not",
		{ cc: characters(VEOL2, 0x21), lflag: lflag & ~IEXTEN },
		"a!",
		"a!",
		"EAGAIN",
	],
	["VEOF ends the input of a line without a newline", {}, `ab${ctrl("D")}`, "ab^D\b\b", "ab"],
	["VEOF alone is the end of file", {}, ctrl("D"), "^D\b\b", ""],
	["output goes on after an erased line", {}, `x${ctrl("U")}${ctrl("D")}`, `x${RUB}^D\b\b`, ""],
];

for (const [what, changes, typed, seen, got] of table) {
	test(what, () => {
		const t = terminal(changes);
		assert.is(t.type(typed), typed.length);
		assert.equal([t.screen(), t.read()], [seen, got]);
	});
}

/** [what it shows, oflag, what is printed, what is seen] */
const output: readonly [string, number, string, string][] = [
	["newlines get a carriage return", OPOST | ONLCR, "a\nb", "a\r\nb"],
	["without ONLCR they do not", OPOST, "a\nb", "a\nb"],
	["by default tabs are left to the screen", TTYDEF.oflag, "a\tb\n", "a\tb\r\n"],
	["without OPOST nothing is changed", ONLCR | OXTABS | ONOEOT, "a\n\tb\x04", "a\n\tb\x04"],
	["tabs go to the next eighth column", OPOST | OXTABS, "a\tb\t\tc", `a       b${" ".repeat(15)}c`],
	[
		"tabs count from the beginning of the line",
		OPOST | ONLCR | OXTABS,
		"abc\n\tx",
		"abc\r\n        x",
	],
	["a backspace takes a column back", OPOST | OXTABS, "ab\b\tx", `ab\b${" ".repeat(7)}x`],
	["^D is dropped with ONOEOT", OPOST | ONOEOT, "a\x04b", "ab"],
	["carriage returns become newlines with OCRNL", OPOST | OCRNL, "a\rb", "a\nb"],
	["ONOCR drops those at the beginning of a line", OPOST | ONOCR, "\rab\r\rc", "ab\rc"],
	["ONLRET makes a newline go to the beginning", OPOST | ONLRET | ONOCR, "ab\n\rc", "ab\nc"],
];

for (const [what, flags, printed, seen] of output) {
	test(what, () => {
		const t = terminal({ oflag: flags });
		assert.is(t.print(printed), printed.length);
		assert.is(t.screen(), seen);
	});
}

test("a read goes on after ^Y, which it does not return", () => {
	const t = terminal();
	t.type(`${ctrl("Y")}ab\n`);
	assert.equal([t.read(), t.read()], ["ab\n", "EAGAIN"]);
	t.type(`c${ctrl("Y")}d\n`);
	assert.equal([t.read(), t.read()], ["c", "d\n"]);
});

test("the typed line is shown again when output has come in between", () => {
	const t = terminal();
	t.type("abc");
	t.print("!");
	t.type(DEL);
	assert.is(t.screen(), "abc!^R\r\nab");
	t.type("\n");
	assert.is(t.read(), "ab\n");
});

test("after output a tab is not erased, but the line is shown again", () => {
	const t = terminal();
	t.type("ab");
	t.print("!");
	t.type(`\t${DEL}`);
	assert.is(t.screen(), "ab!\t^R\r\nab");
});

test("lines are read one at a time, and in parts when the buffer is small", () => {
	const t = terminal();
	t.type("one\ntwo\n");
	assert.is(ioctl(t.thread, t.slave, FIONREAD), 8);
	assert.equal([t.read(), t.read(2), t.read(), t.read()], ["one\n", "tw", "o\n", "EAGAIN"]);
});

test("an end of file behind a full buffer is read by itself", () => {
	const t = terminal();
	t.type(`ab${ctrl("D")}`);
	assert.equal([t.read(2), t.read(2), t.read(2)], ["ab", "", "EAGAIN"]);
});

test("a read of no bytes returns 0, and takes nothing", () => {
	const t = terminal();
	t.type("a\n");
	assert.equal([t.read(0), t.read()], ["", "a\n"]);
});

test("^S stops output and ^Q lets it go on; with IXANY any character does", () => {
	const t = terminal({ iflag: iflag & ~IXANY });
	t.type(ctrl("S"));
	assert.equal([t.print("held"), t.screen()], [4, "EAGAIN"]);
	t.type("x");
	assert.is(t.screen(), "EAGAIN");
	t.type(ctrl("Q"));
	assert.is(t.screen(), "heldx");
	t.set({ iflag: iflag | IXANY });
	t.type(ctrl("S"));
	t.print("more");
	t.type("y");
	assert.is(t.screen(), "morey");
});

test("without IXON ^S and ^Q are data", () => {
	const t = terminal({ iflag: iflag & ~IXON });
	t.type(`${ctrl("S")}${ctrl("Q")}\n`);
	assert.equal([t.screen(), t.read()], ["^S^Q\r\n", `${ctrl("S")}${ctrl("Q")}\n`]);
});

test("when the same character stops and starts output it does so in turn", () => {
	const t = terminal({
		cc: cc.map((c, place) => (place === 12 ? 0x13 : c)),
		iflag: iflag & ~IXANY,
	});
	t.type(ctrl("S"));
	t.print("a");
	assert.is(t.screen(), "EAGAIN");
	t.type(ctrl("S"));
	assert.is(t.screen(), "a");
});

test("VDISCARD drops output until it is typed again", () => {
	const t = terminal();
	t.print("before");
	t.type(ctrl("O"));
	assert.equal([t.print("lost"), t.screen()], [4, "^O"]);
	t.type(ctrl("O"));
	t.print("seen");
	assert.is(t.screen(), "seen");
	t.type("ab");
	t.type(ctrl("O"));
	t.type("c");
	assert.is(t.screen(), "^O^R\r\nabc");
});

test("discarded output needs no room", () => {
	const t = terminal();
	t.type("x".repeat(3000));
	t.screen();
	t.type(ctrl("O"));
	assert.is(t.print("lost"), 4);
	assert.is(t.screen(), `^O^R\r\n${"x".repeat(3000)}`);
	// Not even when the line that is printed again has filled the queue.
	t.type(ctrl("O"));
	t.type("x".repeat(5100));
	t.screen();
	t.type(ctrl("O"));
	assert.equal([ioctl(t.thread, t.slave, TIOCOUTQ), t.print("lost")], [8106, 4]);
});

test("VDISCARD can be turned off", () => {
	const t = terminal({ cc: characters(VDISCARD, 0xff) });
	t.type(ctrl("O"));
	t.print("seen");
	assert.is(t.screen(), "^Oseen");
});

test("a line may grow to the queue's size, then a bell rings, and its end still counts", () => {
	const t = terminal({ lflag: lflag & ~ECHO });
	assert.is(t.type("x".repeat(8192)), 8192);
	assert.is(t.screen(), "EAGAIN");
	t.type("y");
	assert.is(t.screen(), "\x07");
	t.type(DEL);
	t.type("\n");
	assert.is(t.read().length, 8192);
});

test("without IMAXBEL input that does not fit flushes the queues", () => {
	const t = terminal({ lflag: lflag & ~ECHO, iflag: iflag & ~IMAXBEL });
	t.type("x".repeat(8193));
	t.type("a\n");
	assert.is(t.read(), "a\n");
});

test("IXOFF asks the other end to stop, and to go on when there is room", () => {
	const raw = cfmakeraw(TTYDEF);
	const t = terminal({ ...raw, iflag: raw.iflag | IXOFF });
	assert.is(t.type("x".repeat(4096)), 4096);
	assert.is(t.screen(), "EAGAIN");
	t.type("x");
	assert.is(t.screen(), ctrl("S"));
	t.type("x".repeat(100));
	assert.is(t.screen(), "EAGAIN");
	t.read(4000);
	assert.is(t.screen(), ctrl("Q"));
});

test("CREAD off receives nothing", () => {
	const t = terminal({ cflag: 0 });
	t.type("a\n");
	assert.equal([t.screen(), t.read()], ["EAGAIN", "EAGAIN"]);
});

test("in raw mode every byte is read as it comes", () => {
	const t = terminal(cfmakeraw(TTYDEF));
	t.type(`a${DEL}${ctrl("C")}\r`);
	assert.equal([t.screen(), t.read()], ["EAGAIN", `a${DEL}${ctrl("C")}\r`]);
});

test("in raw mode finished lines are read first, then what was typed after them", () => {
	const t = terminal();
	t.type("one\ntw");
	t.set({ lflag: lflag & ~ICANON });
	assert.is(t.read(), "one\ntw");
});

test("back in line mode the typed bytes are processed again", () => {
	const t = terminal(cfmakeraw(TTYDEF));
	t.type(`ab${DEL}c\nde`);
	t.set({ lflag });
	assert.equal([t.read(), t.read()], ["ac\n", "EAGAIN"]);
	t.type("\n");
	assert.is(t.read(), "de\n");
});

test("watchers are told of the lines that exist then", () => {
	const t = terminal(cfmakeraw(TTYDEF));
	const { thread, slave } = t;
	const kq = kqueue(thread);
	keventNow(thread, kq, [{ ident: slave, filter: EVFILT_READ, flags: EV_ADD }], null);
	t.type("ab\ncd");
	t.set({ lflag });
	assert.equal(collect(thread, kq), [[slave, EVFILT_READ, EV_ADD, 0, 3]]);
	assert.equal([t.read(), collect(thread, kq)], ["ab\n", []]);
	t.type("\n");
	assert.is(t.read(), "cd\n");
});

test("a read waits for VMIN bytes, and does not wait with 0", () => {
	const raw = cfmakeraw(TTYDEF);
	const t = terminal({ ...raw, cc: characters(VMIN, 3) });
	t.type("ab");
	assert.equal([t.read(), ioctl(t.thread, t.slave, FIONREAD)], ["EAGAIN", 0]);
	t.type("cd");
	assert.equal(
		[ioctl(t.thread, t.slave, FIONREAD), t.read(2)],
		[4, "EAGAIN"].slice(0, 1).concat("ab"),
	);
	t.set({ cc: characters(VMIN, 0) });
	assert.equal([t.read(), t.read()], ["cd", ""]);
});

test("with VTIME too a read that must not sleep needs VMIN bytes", () => {
	const raw = cfmakeraw(TTYDEF);
	const t = terminal({ ...raw, cc: raw.cc.map((c, i) => (i === VMIN ? 2 : i === VTIME ? 5 : c)) });
	t.type("a");
	assert.equal([t.read(), ioctl(t.thread, t.slave, FIONREAD)], ["EAGAIN", 1]);
	t.type("b");
	assert.is(t.read(), "ab");
});

test("with PARMRK a byte 255 wakes a reader in raw mode", async () => {
	const raw = cfmakeraw(TTYDEF);
	const { thread, host, process } = machine();
	const [master, slave] = openpty(thread, { ...raw, iflag: raw.iflag | PARMRK });
	const reading = read(process.spawnThread(), slave, new Uint8Array(9));
	writeNow(thread, master, bytes("\xff"));
	host.settle();
	assert.is(await reading, 2);
});

test("signals need ISIG", () => {
	const t = terminal({ lflag: lflag & ~ISIG });
	t.type(`${ctrl("C")}\n`);
	assert.is(t.read(), `${ctrl("C")}\n`);
});

test.run();
