// Synthetic files: as ready as they are told to be, with and without data behind them.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { F_SETFL, O_NONBLOCK } from "../../src/fcntl.ts";
import {
	close,
	dup,
	EV_ADD,
	EV_CLEAR,
	EV_EOF,
	EV_ONESHOT,
	EVFILT_DEVICE,
	EVFILT_EXCEPT,
	EVFILT_READ,
	EVFILT_VNODE,
	EVFILT_WRITE,
	errno,
	eventList,
	fcntl,
	fstat,
	ioctl,
	keventNow,
	kqueue,
	NOTE_LOWAT,
	NOTE_OOB,
	NOTE_REVOKE,
	NOTE_WRITE,
	openFile,
	read,
	readNow,
	SyntheticFile,
	type SyntheticFileOptions,
	write,
	writeNow,
} from "../../src/index.ts";
import { FIONBIO, FIONREAD } from "../../src/ioctl.ts";
import { File } from "../../src/kernel.ts";
import type { VirtualHost } from "../../src/testing.ts";
import { codeOf, type Fields, fields, machine, rejection } from "../machine.ts";

function world(options: SyntheticFileOptions = {}) {
	const { thread } = machine();
	const kq = kqueue(thread);
	const file = new SyntheticFile(options);
	const fd = openFile(thread, file);
	const add = (filter: number, fflags = 0, data = 0) =>
		keventNow(thread, kq, [{ ident: fd, filter, flags: EV_ADD, fflags, data }], null);
	const collect = (): Fields[] => {
		const events = eventList(8);
		return fields(events, keventNow(thread, kq, null, events));
	};
	return { thread, kq, file, fd, add, collect };
}

test("READ and WRITE are ready with data, with end of file, and at the low-water mark", () => {
	const { file, fd, add, collect } = world();
	add(EVFILT_READ, NOTE_LOWAT, 3);
	add(EVFILT_WRITE);
	file.set("read", { data: 2 });
	file.set("write", { data: 7 });
	assert.equal(collect(), [[fd, EVFILT_WRITE, EV_ADD, 0, 7, null]]);
	file.set("write", { data: 0 });
	file.set("read", { data: 3 });
	assert.equal(collect(), [[fd, EVFILT_READ, EV_ADD, 0, 3, null]]);
	file.set("read", { eof: true, fflags: errno.ECONNRESET });
	assert.equal(collect(), [[fd, EVFILT_READ, EV_ADD | EV_EOF, errno.ECONNRESET, 3, null]]);
	file.set("read", { eof: false, data: 4 });
	assert.equal(collect(), [[fd, EVFILT_READ, EV_ADD, errno.ECONNRESET, 4, null]]);
});

test("a change without a notification is noticed when a scan asks", () => {
	const { file, fd, add, collect } = world();
	file.setQuietly("read", { data: 1 });
	add(EVFILT_READ);
	assert.equal(collect(), [[fd, EVFILT_READ, EV_ADD, 0, 1, null]]);
	file.setQuietly("read", { data: 0 });
	assert.equal(collect(), []);
	file.setQuietly("read", { data: 5 });
	assert.equal(collect(), []);
	file.notify(0);
	assert.equal(collect(), [[fd, EVFILT_READ, EV_ADD, 0, 5, null]]);
	assert.equal(file.readiness("read"), { data: 5, eof: false, hup: false, fflags: 0 });
});

test("EXCEPT reports out-of-band data with NOTE_OOB", () => {
	const { file, fd, add, collect } = world();
	add(EVFILT_EXCEPT, NOTE_OOB);
	file.set("except", { data: 1 });
	assert.equal(collect(), [[fd, EVFILT_EXCEPT, EV_ADD, NOTE_OOB, 1, null]]);
	add(EVFILT_EXCEPT, 0);
	assert.equal(collect(), []);
});

test("VNODE collects the hints that were asked for, on vnodes only", () => {
	const { file, fd, add, collect } = world({ type: "vnode" });
	add(EVFILT_VNODE, NOTE_WRITE | NOTE_REVOKE);
	file.notify(1);
	assert.equal(collect(), []);
	file.notify(NOTE_WRITE);
	file.notify(NOTE_REVOKE);
	const all = NOTE_WRITE | NOTE_REVOKE;
	assert.equal(collect(), [[fd, EVFILT_VNODE, EV_ADD | EV_EOF, all, 0, null]]);
	assert.is(
		codeOf(() => world().add(EVFILT_VNODE, NOTE_WRITE)),
		"EINVAL",
	);
	assert.is(
		codeOf(() => world().add(EVFILT_DEVICE)),
		"EINVAL",
	);
});

test("knotes on a side can be denied and allowed again", () => {
	const { file, add } = world({ type: "vnode" });
	for (const [side, filter] of [
		["read", EVFILT_READ],
		["write", EVFILT_WRITE],
		["except", EVFILT_EXCEPT],
		["vnode", EVFILT_VNODE],
	] as const) {
		file.deny(side, errno.ENXIO);
		assert.is(
			codeOf(() => add(filter)),
			"ENXIO",
		);
		file.deny(side, 0);
		assert.is(add(filter), 0);
	}
});

test("an object that goes away reports end of file once to all filters but EXCEPT", () => {
	const { file, fd, add, collect, thread, kq } = world();
	add(EVFILT_READ);
	add(EVFILT_WRITE);
	add(EVFILT_EXCEPT, NOTE_OOB);
	file.invalidate();
	const flags = EV_ADD | EV_EOF | EV_ONESHOT;
	assert.equal(collect(), [
		[fd, EVFILT_WRITE, flags, 0, 0, null],
		[fd, EVFILT_READ, flags, 0, 0, null],
	]);
	assert.equal(collect(), []);
	close(thread, fd);
	assert.equal([file.refs, fstat(thread, kq).size], [0, 0]);
});

test("knotes of a revoked vnode are dead when a scan meets them; a socket cannot be revoked", () => {
	const { file, fd, add, collect } = world({ type: "vnode" });
	add(EVFILT_READ);
	add(EVFILT_VNODE, NOTE_WRITE);
	file.set("read", { data: 1 });
	file.revoke();
	assert.equal(collect(), [[fd, EVFILT_READ, EV_ADD | EV_EOF | EV_ONESHOT, 0, 0, null]]);
	file.notify(NOTE_WRITE);
	assert.equal(collect(), [[fd, EVFILT_VNODE, EV_ADD | EV_EOF | EV_ONESHOT, NOTE_WRITE, 0, null]]);
	assert.is(
		codeOf(() => new SyntheticFile().revoke()),
		"EINVAL",
	);
});

test("bytes that are pushed can be read, in pieces, then nothing, then the end", () => {
	const { file, fd, add, collect, thread } = world();
	add(EVFILT_READ);
	const buffer = new Uint8Array(4);
	assert.is(
		codeOf(() => readNow(thread, fd, buffer)),
		"EAGAIN",
	);
	file.push(new Uint8Array([1, 2, 3]));
	file.push(new Uint8Array([]));
	file.push(new Uint8Array([4, 5, 6]));
	assert.equal(collect(), [[fd, EVFILT_READ, EV_ADD, 0, 6, null]]);
	assert.is(readNow(thread, fd, buffer), 4);
	assert.equal([...buffer], [1, 2, 3, 4]);
	assert.equal(collect(), [[fd, EVFILT_READ, EV_ADD, 0, 2, null]]);
	file.end();
	assert.is(readNow(thread, fd, new Uint8Array(0)), 0);
	assert.is(readNow(thread, fd, buffer), 2);
	assert.equal([...buffer.subarray(0, 2)], [5, 6]);
	assert.is(readNow(thread, fd, buffer), 0);
	assert.equal(collect(), [[fd, EVFILT_READ, EV_ADD | EV_EOF, 0, 0, null]]);
});

test("a device of a dozen lines works", () => {
	const log: string[] = [];
	const { file, fd, add, collect, thread } = world({
		read: (buffer) => buffer.fill(7).length,
		write: (buffer, self) => {
			self.set("read", { data: self.readiness("read").data + buffer.length });
			return buffer.length;
		},
		ioctl: (command, _argument, self) =>
			command === FIONREAD ? self.readiness("read").data : -errno.ENOTTY,
		stat: () => ({ mode: 0o600, size: 3, blksize: 512 }),
		close: () => log.push("closed"),
	});
	add(EVFILT_READ);
	assert.is(writeNow(thread, fd, new Uint8Array(9)), 9);
	assert.is(ioctl(thread, fd, FIONREAD), 9);
	assert.is(
		codeOf(() => ioctl(thread, fd, 1)),
		"ENOTTY",
	);
	assert.equal(fstat(thread, fd), { mode: 0o600, size: 3, blksize: 512 });
	assert.equal(collect(), [[fd, EVFILT_READ, EV_ADD, 0, 9, null]]);
	const buffer = new Uint8Array(2);
	assert.is(readNow(thread, fd, buffer), 2);
	assert.equal([...buffer], [7, 7]);
	const other = dup(thread, fd);
	close(thread, fd);
	assert.equal(log, []);
	close(thread, other);
	assert.equal(log, ["closed"]);
	assert.is(file.refs, 0);
});

test("operations that a synthetic file does not have fail as in the kernel", () => {
	const { fd, thread, file } = world();
	assert.is(
		codeOf(() => writeNow(thread, fd, new Uint8Array(1))),
		"ENXIO",
	);
	assert.is(
		codeOf(() => ioctl(thread, fd, FIONREAD)),
		"ENOTTY",
	);
	assert.equal(fstat(thread, fd), { mode: 0, size: 0, blksize: 0 });
	assert.is(ioctl(thread, fd, FIONBIO, 1), 0);
	assert.is(file.nonblocking, true);
	assert.is(fcntl(thread, fd, F_SETFL, 0), 0);
	assert.is(file.nonblocking, false);
	fcntl(thread, fd, F_SETFL, O_NONBLOCK);
	assert.is(file.nonblocking, true);
});

test("a synthetic file refuses wrong arguments", () => {
	const file = new SyntheticFile();
	for (const error of [-errno.EIO, Number.NaN, 0.5, "EIO"]) {
		assert.is(
			codeOf(() => file.deny("read", error as never)),
			"EINVAL",
		);
	}
	for (const readiness of [{ data: Number.NaN }, { data: "1" }, { fflags: 0.5 }, 0.5, 2 ** 53]) {
		assert.is(
			codeOf(() => file.set("read", readiness as never)),
			"EINVAL",
		);
	}
	assert.is(
		codeOf(() => file.push("bytes" as never)),
		"EFAULT",
	);
	assert.equal(file.readiness("read"), { data: 0, eof: false, hup: false, fflags: 0 });
});

test("a number is short for data, and leaves the other fields of a side as they are", () => {
	const { thread, file, fd } = world();
	const kq = kqueue(thread);
	const events = eventList(1);
	keventNow(thread, kq, [{ ident: fd, filter: EVFILT_WRITE, flags: EV_ADD | EV_CLEAR }], null);
	file.set("write", { eof: true, hup: true, fflags: errno.EPIPE });
	assert.is(keventNow(thread, kq, null, events), 1);
	file.setQuietly("write", 3);
	assert.is(keventNow(thread, kq, null, events), 0);
	file.set("write", 7);
	assert.is(keventNow(thread, kq, null, events), 1);
	assert.is(events[0]?.data, 7);
	assert.equal(file.readiness("write"), { data: 7, eof: true, hup: true, fflags: errno.EPIPE });
});

test("a read sleeps until bytes are pushed, a write until there is room", async () => {
	const written: number[] = [];
	const { thread, file, fd } = world({
		write: (buffer, self) => {
			if (self.readiness("write").data === 0) return -errno.EAGAIN;
			written.push(...buffer);
			return buffer.length;
		},
	});
	const buffer = new Uint8Array(4);
	const reading = read(thread, fd, buffer);
	assert.is(thread.state, "asleep");
	file.push(new Uint8Array([5, 6]));
	(thread.kernel.host as VirtualHost).settle();
	assert.equal([await reading, [...buffer]], [2, [5, 6, 0, 0]]);
	const writing = write(thread, fd, new Uint8Array([7]));
	assert.is(thread.state, "asleep");
	file.set("write", { data: 1 });
	(thread.kernel.host as VirtualHost).settle();
	assert.equal([await writing, written], [1, [7]]);
});

test("a file that cannot be waited for fails with EAGAIN in both forms", async () => {
	const { thread } = machine();
	class Deaf extends File {
		constructor() {
			super("socket");
		}
		override read(): number {
			return -errno.EAGAIN;
		}
	}
	const fd = openFile(thread, new Deaf());
	assert.is(await rejection(read(thread, fd, new Uint8Array(1))), "EAGAIN");
	assert.is(
		codeOf(() => readNow(thread, fd, new Uint8Array(1))),
		"EAGAIN",
	);
	assert.is(await rejection(write(thread, fd, new Uint8Array(1))), "ENXIO");
});

test("with EV_CLEAR an event is edge-triggered", () => {
	const { file, fd, collect, thread, kq } = world();
	const flags = EV_ADD | EV_CLEAR;
	keventNow(thread, kq, [{ ident: fd, filter: EVFILT_READ, flags }], null);
	file.push(new Uint8Array([1]));
	assert.equal(collect(), [[fd, EVFILT_READ, flags, 0, 1, null]]);
	assert.equal(collect(), []);
	file.push(new Uint8Array([2]));
	assert.equal(collect(), [[fd, EVFILT_READ, flags, 0, 2, null]]);
});

/** How many things the arrays move to their front while `act` runs. */
function moved(act: () => void): number {
	const { shift, splice } = Array.prototype;
	let count = 0;
	Array.prototype.shift = function () {
		count += this.length - 1;
		return shift.call(this);
	};
	Array.prototype.splice = function (...args: Parameters<typeof splice>) {
		count += this.length - args[1];
		return splice.apply(this, args);
	};
	try {
		act();
	} finally {
		Array.prototype.shift = shift;
		Array.prototype.splice = splice;
	}
	return count;
}

test("reading one of many chunks costs the same however many there are", () => {
	const [few = 0, many = 0] = [100, 1000].map((n) => {
		const { file, fd, thread } = world();
		for (let i = 0; i < n; i++) file.push(new Uint8Array([i, i + 1]));
		const buffer = new Uint8Array(3);
		const bytes: number[] = [];
		const moves = moved(() => {
			for (let left = 2 * n; left > 0; left -= 3)
				bytes.push(...buffer.subarray(0, readNow(thread, fd, buffer)));
		});
		assert.equal(
			bytes,
			Array.from({ length: 2 * n }, (_, i) => ((i >> 1) + (i & 1)) & 0xff),
		);
		return moves / n;
	});
	assert.ok(many <= few + 1, `${few} moved for each of 100 chunks, ${many} for each of 1000`);
});

test.run();
