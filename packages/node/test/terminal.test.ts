// Streams of terminals.
import * as assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { isatty, tcgetattr, tcgetwinsize, tcsetattrNow } from "@kqpoll/files";
import { cfmakeraw, ECHO, ICANON, TCSANOW } from "@kqpoll/files/termios";
import { fstat, Kernel, read } from "@kqpoll/kqueue";
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

test("a terminal is read like any other stream", async () => {
	const { main } = new Kernel().spawn();
	const terminal = new Terminal();
	const fd = openReadable(main, terminal);
	terminal.write("hello\n");
	assert.equal(await read(main, fd, new Uint8Array(64)), 6);
});

test.run();
