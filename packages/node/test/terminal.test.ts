// Streams of terminals.
import * as assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { isatty, tcgetattr, tcgetwinsize, tcsetattrNow } from "@kqpoll/files";
import { cfmakeraw, ECHO, ICANON, TCSANOW } from "@kqpoll/files/termios";
import { TIOCGETA, TIOCGWINSZ, TIOCSCTTY, TIOCSETA } from "@kqpoll/files/ttycom";
import { fstat, ioctl, Kernel, read } from "@kqpoll/kqueue";
import { S_IFCHR } from "@kqpoll/kqueue/stat";
import { test } from "uvu";
import { openReadable, openWritable } from "../src/index.ts";

/** What Node has for a terminal that is read from, and one that is written to. */
class Terminal extends PassThrough {
	readonly isTTY = true;
	isRaw = false;

	setRawMode(raw: boolean): void {
		this.isRaw = raw;
	}
}

test("the stream of a terminal is a terminal", () => {
	const { main } = new Kernel().spawn();
	const fd = openReadable(main, new Terminal());
	assert.equal(isatty(main, fd), true);
	assert.equal(fstat(main, fd).mode & 0o170000, S_IFCHR);
	assert.equal(isatty(main, openReadable(main, new PassThrough())), false);
});

test("settings without ICANON put a terminal into raw mode, others back", () => {
	const { main } = new Kernel().spawn();
	const terminal = new Terminal();
	const fd = openReadable(main, terminal);
	const before = tcgetattr(main, fd);
	assert.ok((before.lflag & (ICANON | ECHO)) === (ICANON | ECHO));
	tcsetattrNow(main, fd, TCSANOW, cfmakeraw(before));
	assert.equal(terminal.isRaw, true);
	assert.equal(tcgetattr(main, fd).lflag & (ICANON | ECHO), 0);
	tcsetattrNow(main, fd, TCSANOW, before);
	assert.equal(terminal.isRaw, false);
});

test("the size of the window is that of the stream, whenever it is asked", () => {
	const { main } = new Kernel().spawn();
	const terminal = Object.assign(new Terminal(), { columns: 80, rows: 24 });
	const fd = openWritable(main, terminal);
	assert.deepEqual(tcgetwinsize(main, fd), { row: 24, col: 80, xpixel: 0, ypixel: 0 });
	Object.assign(terminal, { columns: 132, rows: 50 });
	assert.deepEqual(tcgetwinsize(main, fd), { row: 50, col: 132, xpixel: 0, ypixel: 0 });
});

test("wrong arguments of ioctl are EFAULT, and what a stream cannot do is ENOTTY", () => {
	const { main } = new Kernel().spawn();
	const fd = openReadable(main, new Terminal());
	const output = openWritable(main, Object.assign(new PassThrough(), { isTTY: true }));
	const code = (of: number, command: number, argument: unknown): unknown => {
		try {
			return ioctl(main, of, command, argument);
		} catch (error) {
			return (error as { code: string }).code;
		}
	};
	assert.equal(code(fd, TIOCGETA, null), "EFAULT");
	assert.equal(code(fd, TIOCGWINSZ, 7), "EFAULT");
	assert.equal(code(fd, TIOCSETA, {}), "EFAULT");
	assert.equal(code(fd, TIOCSETA, undefined), "EFAULT");
	assert.equal(code(output, TIOCSETA, tcgetattr(main, output)), "ENOTTY");
	assert.equal(code(fd, TIOCSCTTY, 0), "ENOTTY");
});

test("a stream that does not know its size has that of the program's terminal, or none", () => {
	const { main } = new Kernel().spawn();
	const { columns = 0, rows = 0 } = process.stdout.columns ? process.stdout : process.stderr;
	assert.deepEqual(tcgetwinsize(main, openReadable(main, new Terminal())), {
		row: rows,
		col: columns,
		xpixel: 0,
		ypixel: 0,
	});
});

test("a terminal is read like any other stream", async () => {
	const { main } = new Kernel().spawn();
	const terminal = new Terminal();
	const fd = openReadable(main, terminal);
	terminal.write("hello\n");
	assert.equal(await read(main, fd, new Uint8Array(64)), 6);
});

test.run();
