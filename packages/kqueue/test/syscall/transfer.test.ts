// Reads and writes of files that let their callers wait only for a limited time.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { F_SETFL, O_NONBLOCK } from "../../src/fcntl.ts";
import {
	errno,
	fcntl,
	interrupt,
	openFile,
	read,
	readNow,
	SyntheticFile,
	write,
} from "../../src/index.ts";
import { File, FREAD, FWRITE, WaitChannel, wakeup } from "../../src/kernel.ts";
import { codeOf, machine, rejection } from "../machine.ts";

/** A file with room for two bytes, whose readers wait for 10 ms and whose writers for 20 ms. */
class Patient extends File {
	readonly sleepers: WaitChannel = new WaitChannel();
	held = 0;
	/** The result of a transfer that has waited for its whole time. */
	late: number = -errno.EAGAIN;

	constructor() {
		super("vnode");
	}

	override read(): number {
		const n = this.held;
		this.held = 0;
		return n === 0 ? -errno.EAGAIN : n;
	}

	override write(_thread: unknown, buffer: Uint8Array): number {
		const n = Math.min(buffer.length, 2 - this.held);
		this.held += n;
		wakeup(this.sleepers);
		return n === 0 ? -errno.EAGAIN : n;
	}

	override channel(): WaitChannel {
		return this.sleepers;
	}

	override deadline(mode: number, since: number): number {
		return since + (mode === 1 ? 10e6 : 20e6);
	}

	override readLate(): number {
		return this.late;
	}
}

function world() {
	const m = machine();
	const file = new Patient();
	return { ...m, file, fd: openFile(m.thread, file) };
}

test("a read that has waited for its whole time gets the file's result for that", async () => {
	for (const late of [-errno.EAGAIN, 0, 1]) {
		const { host, thread, file, fd } = world();
		file.late = late;
		const reading = read(thread, fd, new Uint8Array(4)).catch(({ code }) => code);
		host.advance(9);
		assert.is(thread.state, "asleep");
		host.advance(1);
		assert.is(await reading, late < 0 ? "EAGAIN" : late);
		assert.is(host.now(), 10e6);
	}
});

test("a wake-up for nothing does not make the wait longer", async () => {
	const { host, thread, file, fd } = world();
	const reading = rejection(read(thread, fd, new Uint8Array(4)));
	host.advance(9);
	wakeup(file.sleepers);
	host.advance(1);
	assert.is(await reading, "EAGAIN");
});

test("a write whose time is over returns how much was taken, or EAGAIN", async () => {
	const { host, thread, fd } = world();
	const writing = write(thread, fd, new Uint8Array(5));
	host.advance(20);
	assert.is(await writing, 2);
	const failing = rejection(write(thread, fd, new Uint8Array(5)));
	host.advance(20);
	assert.is(await failing, "EAGAIN");
});

test("a write ends, whatever the file returns", async () => {
	for (const result of [Number.NaN, 100, 2]) {
		const { thread } = machine();
		let calls = 0;
		const fd = openFile(
			thread,
			new SyntheticFile({
				write: () => {
					if (++calls > 10) throw new Error("endless");
					return result;
				},
			}),
		);
		await write(thread, fd, new Uint8Array(8)).catch(() => {});
		assert.ok(calls <= 4, `${result}`);
		assert.is(thread.state, "running");
	}
});

test("bytes that come in time are read, and no timer is left", async () => {
	const { host, kernel, process, thread, file, fd } = world();
	const reading = read(thread, fd, new Uint8Array(4));
	host.advance(9);
	const writing = write(process.spawnThread(), fd, new Uint8Array(1));
	host.settle();
	assert.equal(await Promise.all([reading, writing]), [1, 1]);
	assert.equal([kernel.timeouts.size, kernel.sleepers, file.held], [0, 0, 0]);
	assert.is(
		codeOf(() => readNow(thread, fd, new Uint8Array(1))),
		"EAGAIN",
	);
});

/** A file that counts the transfers that ended without a byte. */
class Telling extends Patient {
	readonly ends: number[] = [];
	asks = false;

	override get asksAgain(): boolean {
		return this.asks;
	}

	override deadline(): number {
		return Number.POSITIVE_INFINITY;
	}

	override gaveUp(mode: number): void {
		this.ends.push(mode);
	}
}

test("a transfer keeps to O_NONBLOCK as it was when it began, unless its file asks again", async () => {
	for (const asks of [false, true]) {
		const { host, thread } = machine();
		const file = new Telling();
		file.asks = asks;
		const fd = openFile(thread, file);
		const reading = read(thread, fd, new Uint8Array(4)).catch(({ code }) => code);
		fcntl(thread, fd, F_SETFL, O_NONBLOCK);
		wakeup(file.sleepers);
		host.settle();
		assert.is(thread.state, asks ? "running" : "asleep");
		interrupt(thread);
		host.settle();
		assert.is(await reading, asks ? "EAGAIN" : "EINTR");
	}
});

test("a file is told of each transfer that ends without a byte, and not of one that sleeps", async () => {
	const { host, thread } = machine();
	const file = new Telling();
	const fd = openFile(thread, file);
	const reading = rejection(read(thread, fd, new Uint8Array(4)));
	assert.equal(file.ends, []);
	interrupt(thread);
	host.settle();
	assert.is(await reading, "EINTR");
	assert.is(
		codeOf(() => readNow(thread, fd, new Uint8Array(4))),
		"EAGAIN",
	);
	file.held = 2;
	const writing = rejection(write(thread, fd, new Uint8Array(4)));
	interrupt(thread);
	host.settle();
	assert.is(await writing, "EINTR");
	assert.equal(file.ends, [FREAD, FREAD, FWRITE]);
	assert.is(await read(thread, fd, new Uint8Array(4)), 2);
	assert.equal(file.ends.length, 3);
});

test.run();
