// Devices: what they read and write, how ready they are, and what their watchers are told.
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI, poll } from "@kqpoll/kqpoll";
import {
	close,
	EV_ADD,
	EV_EOF,
	EV_ONESHOT,
	EV_RECEIPT,
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
	lseek,
	NOTE_CHANGE,
	openFile,
	read,
	readNow,
	type Thread,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import { F_GETFD, F_GETFL, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { FIONBIO, FIONREAD } from "@kqpoll/kqueue/ioctl";
import { S_IFCHR } from "@kqpoll/kqueue/stat";
import { pread, pwrite, SEEK_CUR, SEEK_END, SEEK_SET } from "@kqpoll/kqueue/unistd";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ChangingDevice } from "../../src/device/changing-device.ts";
import { DetachableDevice } from "../../src/device/detachable-device.ts";
import { type DeviceName, openDevice } from "../../src/device/device-calls.ts";
import { O_CLOEXEC } from "../../src/shared/open-file.ts";
import { O_RDONLY, O_WRONLY } from "../../src/shared/vnode-flags.ts";
import { checkMachine, codeOf, collect, machine, outcome, revents, selected } from "../machine.ts";

const ALL = POLLIN | POLLOUT | POLLPRI;
const NAMES: readonly DeviceName[] = ["null", "zero", "full", "random"];

/** The errno of adding a knote. */
function add(thread: Thread, kq: number, ident: number, filter: number, fflags = 0): number {
	const events = eventList(1);
	keventNow(thread, kq, [{ ident, filter, flags: EV_ADD | EV_RECEIPT, fflags }], events);
	return events[0]?.data ?? -1;
}

function reading(thread: Thread, fd: number, n: number): unknown {
	const buffer = new Uint8Array(n).fill(255);
	return codeOf(() => {
		throw [...buffer.subarray(0, readNow(thread, fd, buffer))];
	});
}

function writing(thread: Thread, fd: number, n: number): unknown {
	return codeOf(() => {
		throw writeNow(thread, fd, new Uint8Array(n));
	});
}

test("null is empty, zero and full read as zeros, random reads as the host's bits", () => {
	const { thread } = machine();
	const fds = NAMES.map((name) => openDevice(thread, name));
	const got = fds.map((fd) => reading(thread, fd, 3));
	assert.equal(got.slice(0, 3), [[], [0, 0, 0], [0, 0, 0]]);
	const other = machine();
	const bits = other.kernel.host.random();
	assert.equal(got[3], [bits & 0xff, (bits >>> 8) & 0xff, (bits >>> 16) & 0xff]);
	assert.is((reading(thread, fds[3] as number, 5000) as number[]).length, 5000);
	assert.equal(
		fds.map((fd) => reading(thread, fd, 0)),
		[[], [], [], []],
	);
});

test("a device is opened by a thread alone", () => {
	const { process } = machine();
	for (const name of ["null", "tty", "ttyp0"] as const)
		assert.is(
			codeOf(() => openDevice(process as unknown as Thread, name)),
			"EFAULT",
		);
});

test("all but full take everything", async () => {
	const { thread } = machine();
	const fds = NAMES.map((name) => openDevice(thread, name));
	assert.equal(
		fds.map((fd) => writing(thread, fd, 70_000)),
		[70_000, 70_000, "ENOSPC", 70_000],
	);
	assert.equal(
		fds.map((fd) => writing(thread, fd, 0)),
		[0, 0, 0, 0],
	);
	const results: unknown[] = [];
	for (const fd of fds) results.push(await outcome(write(thread, fd, new Uint8Array(9))));
	for (const fd of fds) results.push(await outcome(read(thread, fd, new Uint8Array(9))));
	assert.equal(results, [9, 9, "ENOSPC", 9, 0, 9, 9, 9]);
});

test("devices are always ready for poll, select and kevent, and have no exceptional conditions", () => {
	const m = machine();
	const { thread } = m;
	const fds = NAMES.map((name) => openDevice(thread, name));
	assert.equal(revents(thread, ALL, ...fds), new Array(4).fill(POLLIN | POLLOUT));
	assert.equal(revents(thread, 0, ...fds), [0, 0, 0, 0]);
	assert.equal(
		fds.map((fd) => selected(thread, fd)),
		new Array(4).fill([true, true, false]),
	);
	const data: number[][] = [];
	for (const fd of fds) {
		const kq = kqueue(thread);
		const errors = [EVFILT_READ, EVFILT_WRITE, EVFILT_EXCEPT, EVFILT_VNODE, EVFILT_DEVICE].map(
			(filter) => add(thread, kq, fd, filter),
		);
		assert.equal(errors, [0, 0, errno.EINVAL, errno.EINVAL, errno.EINVAL]);
		data.push(collect(thread, kq).map((event) => event[4] as number));
		checkMachine(m);
	}
	assert.equal(data, [
		[0, 0],
		[0, 0],
		[0, 0],
		[2048, 8192],
	]);
});

test("devices are character devices, with flags, an offset and few controls", () => {
	const { thread } = machine();
	for (const name of NAMES) {
		const fd = openDevice(thread, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		assert.equal(fstat(thread, fd), { mode: S_IFCHR | 0o666, size: 0, blksize: 65536 });
		assert.equal([fcntl(thread, fd, F_GETFL), fcntl(thread, fd, F_GETFD)], [O_NONBLOCK, 1]);
		assert.is(writing(thread, fd, 1), "EBADF");
		assert.is(reading(thread, openDevice(thread, name, O_WRONLY), 1), "EBADF");
		assert.is(ioctl(thread, fd, FIONBIO, false), 0);
		assert.is(fcntl(thread, fd, F_GETFL), 0);
		assert.is(
			codeOf(() => ioctl(thread, fd, FIONREAD)),
			"ENOTTY",
		);
	}
	const zero = openDevice(thread, "zero");
	reading(thread, zero, 7);
	const moves = [
		[0, SEEK_CUR],
		[5, SEEK_CUR],
		[4, SEEK_END],
		[3, SEEK_SET],
		[-4, SEEK_CUR],
		[0.5, SEEK_SET],
		[0, 3],
		[0, SEEK_CUR],
	] as const;
	assert.equal(
		moves.map(([offset, whence]) =>
			codeOf(() => {
				throw lseek(thread, zero, offset, whence);
			}),
		),
		[7, 12, 4, 3, "EINVAL", "EINVAL", "EINVAL", 3],
	);
});

test("pread and pwrite do what read and write do, and leave the offset where it is", () => {
	const { thread } = machine();
	const at = (name: DeviceName): unknown[] => {
		const fd = openDevice(thread, name);
		lseek(thread, fd, 5, SEEK_SET);
		const buffer = new Uint8Array(2).fill(255);
		const results = [
			codeOf(() => {
				throw [...buffer.subarray(0, pread(thread, fd, buffer, 7))];
			}),
			codeOf(() => {
				throw pwrite(thread, fd, buffer, 9);
			}),
		];
		return [...results, lseek(thread, fd, 0, SEEK_CUR)];
	};
	assert.equal((["null", "zero", "full"] as const).map(at), [
		[[], 2, 5],
		[[0, 0], 2, 5],
		[[0, 0], "ENOSPC", 5],
	]);
});

test("a device that does not exist, and wrong flags, are refused", () => {
	const { thread } = machine();
	const bad: readonly [unknown, unknown][] = [
		["tty", 2],
		["", 2],
		[7, 2],
		["null", 3],
		["null", 0.5],
		["null", "r"],
	];
	assert.equal(
		bad.map(([name, flags]) => codeOf(() => openDevice(thread, name as never, flags as never))),
		["ENXIO", "ENXIO", "ENXIO", "EINVAL", "EINVAL", "EINVAL"],
	);
	assert.is(openDevice(thread, "null"), 0);
	assert.is(
		codeOf(() => {
			for (;;) openDevice(thread, "null");
		}),
		"EMFILE",
	);
});

test("a revoked device reads and writes nothing, and is hung up", () => {
	const { thread } = machine();
	const device = new DetachableDevice({ read: () => 1, write: () => 1 });
	const fd = openFile(thread, device);
	device.revoked = true;
	assert.equal([reading(thread, fd, 1), writing(thread, fd, 1)], ["EIO", "EIO"]);
	const one = new Uint8Array(1);
	assert.equal([() => pread(thread, fd, one, 0), () => pwrite(thread, fd, one, 0)].map(codeOf), [
		"EIO",
		"EIO",
	]);
	assert.equal(revents(thread, ALL, fd), [POLLIN | POLLHUP]);
	assert.equal(revents(thread, 0, fd), [POLLHUP]);
	assert.equal(selected(thread, fd), [true, true, false]);
	const kq = kqueue(thread);
	const filters = [EVFILT_READ, EVFILT_WRITE, EVFILT_EXCEPT, EVFILT_VNODE, EVFILT_DEVICE];
	const { EINVAL } = errno;
	assert.equal(
		filters.map((filter) => add(thread, kq, fd, filter)),
		[0, 0, EINVAL, EINVAL, EINVAL],
	);
	const flags = EV_ADD | EV_RECEIPT | EV_EOF | EV_ONESHOT;
	assert.equal(collect(thread, kq), [
		[fd, EVFILT_READ, flags, 0, 0],
		[fd, EVFILT_WRITE, flags, 0, 0],
	]);
	assert.equal(collect(thread, kq), []);
});

test("a driver says what a device does, and operations that it lacks are not supported", () => {
	const { thread } = machine();
	const bare = openFile(thread, new DetachableDevice());
	assert.equal([reading(thread, bare, 1), writing(thread, bare, 1)], ["ENODEV", "ENODEV"]);
	assert.is(
		codeOf(() => ioctl(thread, bare, 1)),
		"ENOTTY",
	);
	assert.equal(revents(thread, ALL, bare), [POLLIN | POLLOUT]);
	const seen: unknown[] = [];
	const full = openFile(
		thread,
		new DetachableDevice({
			read: (buffer) => buffer.fill(7, 0, 2).length - 1,
			write: (buffer) => seen.push([...buffer]),
			ioctl: (command, argument) => seen.push([command, argument]),
		}),
	);
	assert.equal(reading(thread, full, 3), [7, 7]);
	assert.is(writing(thread, full, 1), 1);
	assert.is(ioctl(thread, full, 5, "x"), 2);
	assert.equal(seen, [[0], [5, "x"]]);
});

/** A device with `bytes` bytes to read and `room` bytes of room. */
class Counter {
	bytes = 0;
	room = 0;
	readonly device: ChangingDevice = new ChangingDevice({
		readable: () => this.bytes,
		writable: () => this.room,
		read: () => (this.bytes > 0 ? this.bytes-- : -errno.EAGAIN),
		write: () => (this.room > 0 ? this.room-- : -errno.EAGAIN),
	});
}

test("a device is as ready as its driver says, and wakes sleepers when it is told to", async () => {
	const m = machine();
	const { thread, host } = m;
	const counter = new Counter();
	const fd = openFile(thread, counter.device);
	assert.equal(revents(thread, ALL, fd), [0]);
	assert.equal(reading(thread, fd, 1), "EAGAIN");
	const reader = thread.process.spawnThread();
	const poller = thread.process.spawnThread();
	const fds = [{ fd, events: POLLIN, revents: 0 }];
	const calls = Promise.all([read(reader, fd, new Uint8Array(4)), poll(poller, fds, 1000)]);
	counter.bytes = 1;
	counter.room = 3;
	counter.device.notify();
	host.settle();
	assert.equal(revents(thread, ALL, fd), [POLLOUT]);
	counter.bytes = 2;
	counter.device.notify();
	host.settle();
	assert.equal(await calls, [1, 1]);
	assert.equal(fds, [{ fd, events: POLLIN, revents: POLLIN }]);
	const kq = kqueue(thread);
	assert.equal([add(thread, kq, fd, EVFILT_READ), add(thread, kq, fd, EVFILT_WRITE)], [0, 0]);
	assert.equal(collect(thread, kq), [
		[fd, EVFILT_READ, EV_ADD | EV_RECEIPT, 0, 2],
		[fd, EVFILT_WRITE, EV_ADD | EV_RECEIPT, 0, 3],
	]);
	checkMachine(m);
});

test("detaching a device ends its watchers and sleepers, and it cannot be watched again", async () => {
	const m = machine();
	const { thread, host } = m;
	const { device } = new Counter();
	const fd = openFile(thread, device);
	const kq = kqueue(thread);
	const filters = [EVFILT_READ, EVFILT_WRITE, EVFILT_DEVICE];
	assert.equal(
		filters.map((filter) => add(thread, kq, fd, filter, NOTE_CHANGE)),
		[0, 0, 0],
	);
	assert.equal(collect(thread, kq), []);
	const threads = [0, 1, 2].map(() => thread.process.spawnThread()) as [Thread, Thread, Thread];
	const fds = [
		{ fd, events: POLLIN | POLLOUT, revents: 0 },
		{ fd, events: POLLPRI, revents: 0 },
	];
	const calls = Promise.all([
		outcome(read(threads[0], fd, new Uint8Array(1))),
		outcome(write(threads[1], fd, new Uint8Array(1))),
		poll(threads[2], fds, 1000),
	]);
	assert.is(device.detached, false);
	device.detach();
	device.detach();
	host.settle();
	assert.is(device.detached, true);
	assert.equal(await calls, ["ENXIO", "ENXIO", 1]);
	assert.equal(
		fds.map((entry) => entry.revents),
		[POLLIN | POLLHUP, 0],
	);
	const flags = EV_ADD | EV_RECEIPT | EV_EOF | EV_ONESHOT;
	assert.equal(collect(thread, kq), [
		[fd, EVFILT_DEVICE, flags, 0, 0],
		[fd, EVFILT_WRITE, flags, 0, 0],
		[fd, EVFILT_READ, flags, 0, 0],
	]);
	assert.equal(collect(thread, kq), []);
	const { ENXIO } = errno;
	assert.equal(
		[...filters, EVFILT_VNODE].map((filter) => add(thread, kq, fd, filter)),
		[ENXIO, ENXIO, ENXIO, ENXIO],
	);
	assert.equal([reading(thread, fd, 1), writing(thread, fd, 1)], ["ENXIO", "ENXIO"]);
	assert.is(
		codeOf(() => ioctl(thread, fd, 1)),
		"ENXIO",
	);
	assert.equal(revents(thread, ALL, fd), [POLLERR]);
	assert.is(fstat(thread, fd).mode, S_IFCHR | 0o666);
	checkMachine(m);
	close(thread, fd);
	checkMachine(m);
});

test("a device that changes notifies its watchers for NOTE_CHANGE, and no others", () => {
	const { thread } = machine();
	const { device } = new Counter();
	const fd = openFile(thread, device);
	const [kq, deaf] = [kqueue(thread), kqueue(thread)];
	add(thread, kq, fd, EVFILT_DEVICE, NOTE_CHANGE);
	add(thread, deaf, fd, EVFILT_DEVICE, 0);
	assert.equal(collect(thread, kq), []);
	device.change();
	const event = [fd, EVFILT_DEVICE, EV_ADD | EV_RECEIPT, NOTE_CHANGE, 0];
	assert.equal([collect(thread, kq), collect(thread, deaf)], [[event], []]);
	assert.equal(collect(thread, kq), [event]);
	assert.is(add(thread, kq, fd, EVFILT_VNODE), errno.EINVAL);
	assert.is(add(thread, kq, fd, EVFILT_EXCEPT), errno.EINVAL);
});

/** kq-random of OpenBSD's regression tests. */
test("what READ says of random can be read", () => {
	const { thread } = machine();
	const fd = openDevice(thread, "random", O_RDONLY | O_NONBLOCK);
	const kq = kqueue(thread);
	add(thread, kq, fd, EVFILT_READ);
	const data = collect(thread, kq)[0]?.[4] as number;
	const n = Math.floor((data + 7) / 8);
	assert.is((reading(thread, fd, n) as number[]).length, 256);
});

test("a driver that cannot be read, or whose members are not functions, is EFAULT", () => {
	const { proxy, revoke } = Proxy.revocable({}, {});
	revoke();
	for (const driver of [proxy, null, { readable: 7 }, { read: "bytes" }])
		assert.is(
			codeOf(() => new DetachableDevice(driver as never)),
			"EFAULT",
		);
});

test("a read or write in which the driver unplugs the device does not begin to sleep", async () => {
	const { thread, host } = machine();
	const unplug = (): number => {
		device.detach();
		return -errno.EAGAIN;
	};
	let device = new DetachableDevice({ read: unplug });
	const reader = outcome(read(thread, openFile(thread, device), new Uint8Array(1)));
	device = new DetachableDevice({ write: unplug });
	const writer = outcome(
		write(thread.process.spawnThread(), openFile(thread, device), new Uint8Array(1)),
	);
	host.settle();
	assert.is(thread.kernel.sleepers, 0);
	assert.equal(await Promise.all([reader, writer]), ["ENXIO", "ENXIO"]);
});

test.run();
