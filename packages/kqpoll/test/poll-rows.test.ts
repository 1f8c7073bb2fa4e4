// The tables of poll, row by row: what is registered, which bits follow, who closes a descriptor.
import {
	close,
	dup,
	dup2,
	EV_ADD,
	EV_ENABLE,
	EVFILT_EXCEPT,
	EVFILT_READ,
	EVFILT_WRITE,
	errno,
	eventList,
	interrupt,
	kevent,
	keventNow,
	kqueue,
	NOTE_OOB,
	openFile,
	type Readiness,
	type Side,
	SyntheticFile,
	sigaction,
	type Thread,
} from "@kqpoll/kqueue";
import { __EV_POLL, __EV_SELECT, File, filterops, type Knote } from "@kqpoll/kqueue/kernel";
import { SIGUSR1, sigset, threadKill } from "@kqpoll/kqueue/signal";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	FdSet,
	POLL_NOHUP,
	POLLERR,
	POLLHUP,
	POLLIN,
	POLLNORM,
	POLLNVAL,
	POLLOUT,
	POLLPRI,
	POLLRDBAND,
	POLLRDNORM,
	POLLWRBAND,
	POLLWRNORM,
	type Pollfd,
	poll,
	pollNow,
	ppoll,
	pselect,
	select,
	selectNow,
} from "../src/index.ts";
import {
	checkMachine,
	entry,
	fileOf,
	knotes,
	type Machine,
	machine,
	readable,
	refusal,
	rejection,
	revents,
	UNWRITTEN,
} from "./machine.ts";

const ALL = POLLIN | POLLOUT | POLLPRI;
const HUNG_UP: Partial<Readiness> = { eof: true, hup: true };

/** A file that is not ready, and its descriptor. */
function silent(thread: Thread): { readonly fd: number; readonly file: SyntheticFile } {
	const file = new SyntheticFile();
	return { fd: openFile(thread, file), file };
}

/** One poll of one new file, after it was set up: the result and the revents. */
function answer(events: number, setUp: (file: SyntheticFile) => void): [number, number] {
	const made = machine();
	const { fd, file } = silent(made.thread);
	setUp(file);
	const fds = [entry(fd, events)];
	const result = pollNow(made.thread, fds);
	checkMachine(made);
	return [result, fds[0]?.revents as number];
}

/** Makes a file whose sides refuse to be watched with these errors. */
function denying(errors: Partial<Record<Side, number>>): (file: SyntheticFile) => void {
	return (file) => {
		for (const [side, number] of Object.entries(errors)) file.deny(side as Side, number);
	};
}

// 3.3, what an entry registers

/** The filters and notes that an entry with these events registers. */
const REGISTERED: readonly (readonly [events: number, ...(readonly [number, number])[]])[] = [
	[POLLIN, [EVFILT_READ, 0]],
	[POLLRDNORM, [EVFILT_READ, 0]],
	[POLLIN | POLLRDNORM, [EVFILT_READ, 0]],
	[POLLIN | POLLHUP, [EVFILT_READ, 0]],
	[POLLIN | POLLERR | POLLNVAL | POLLWRBAND, [EVFILT_READ, 0]],
	[POLLOUT, [EVFILT_WRITE, 0]],
	[POLLWRNORM, [EVFILT_WRITE, 0]],
	[POLLOUT | POLLHUP, [EVFILT_WRITE, 0]],
	[POLLPRI, [EVFILT_EXCEPT, NOTE_OOB]],
	[POLLRDBAND, [EVFILT_EXCEPT, NOTE_OOB]],
	[POLLPRI | POLLRDBAND | POLLHUP, [EVFILT_EXCEPT, NOTE_OOB]],
	[POLLIN | POLLOUT, [EVFILT_READ, 0], [EVFILT_WRITE, 0]],
	[POLLIN | POLLPRI, [EVFILT_READ, 0], [EVFILT_EXCEPT, NOTE_OOB]],
	[POLLOUT | POLLPRI, [EVFILT_WRITE, 0], [EVFILT_EXCEPT, NOTE_OOB]],
	[ALL, [EVFILT_READ, 0], [EVFILT_WRITE, 0], [EVFILT_EXCEPT, NOTE_OOB]],
	[-1, [EVFILT_READ, 0], [EVFILT_WRITE, 0], [EVFILT_EXCEPT, NOTE_OOB]],
	// Nothing asked for: a hang-up is watched for anyway.
	[0, [EVFILT_EXCEPT, 0]],
	[POLLHUP, [EVFILT_EXCEPT, 0]],
	[POLL_NOHUP, [EVFILT_EXCEPT, 0]],
	[POLL_NOHUP | POLLHUP, [EVFILT_EXCEPT, 0]],
	[POLL_NOHUP | POLLIN, [EVFILT_READ, 0]],
	// Only bits that cannot be asked for: the entry is skipped.
	[POLLERR],
	[POLLNVAL],
	[POLLWRBAND],
	[POLLERR | POLLHUP],
	[POLLNVAL | POLLHUP],
	[POLLWRBAND | POLLHUP],
	[0x0200],
	[0x0400],
	[0x0800],
	[0x2000],
	[0x4000],
	[-0x8000],
];

test("an entry registers READ, WRITE and EXCEPT as its events say", () => {
	for (const [events, ...filters] of REGISTERED) {
		const { thread } = machine();
		const fds = [entry(silent(thread).fd, events)];
		assert.is(pollNow(thread, fds), 0);
		const found = knotes(thread).map(({ filter, sfflags }) => [filter, sfflags]);
		assert.equal([events, ...found.reverse()], [events, ...filters]);
		assert.equal([fds[0]?.events, fds[0]?.revents], [events, 0]);
	}
});

test("each entry has its own knotes, with the serial and the number of the entry", () => {
	const { thread } = machine();
	const { fd } = silent(thread);
	const fds = [entry(fd, POLLIN), entry(-1, POLLIN), entry(fd, POLLIN), entry(fd, 0)];
	pollNow(thread, fds);
	const first = thread.kqserial - fds.length;
	assert.equal(
		knotes(thread).map((kn) => [kn.filter, kn.flags, kn.pollid, (kn.udata as number) - first]),
		[
			[EVFILT_EXCEPT, EV_ADD | EV_ENABLE | __EV_POLL, 4, 3],
			[EVFILT_READ, EV_ADD | EV_ENABLE | __EV_POLL, 3, 2],
			[EVFILT_READ, EV_ADD | EV_ENABLE | __EV_POLL, 1, 0],
		],
	);
});

test("select registers each set's filter, with the serial of the call", () => {
	const { thread } = machine();
	const { fd } = silent(thread);
	const set = new FdSet([fd]);
	selectNow(thread, 1, set.copy(), set.copy(), set.copy());
	const serial = thread.kqserial - 1;
	const flags = EV_ADD | EV_ENABLE | __EV_SELECT;
	assert.equal(
		knotes(thread).map((kn) => [kn.filter, kn.sfflags, kn.flags, kn.pollid, kn.udata]),
		[
			[EVFILT_EXCEPT, NOTE_OOB, flags, 0, serial],
			[EVFILT_WRITE, 0, flags, 0, serial],
			[EVFILT_READ, 0, flags, 0, serial],
		],
	);
});

test("an entry with only bits that cannot be asked for gets nothing, even if closed or hung up", async () => {
	const { thread, host } = machine();
	const { fd, file } = silent(thread);
	for (const side of ["read", "write"] as const) file.set(side, HUNG_UP);
	file.set("except", { hup: true });
	const passedOver = [POLLERR, POLLNVAL, POLLWRBAND, POLLERR | POLLHUP, 0x0200];
	const fds = passedOver.flatMap((events) => [entry(fd, events), entry(99, events)]);
	const promise = poll(thread, fds, 1000);
	host.advance(999);
	assert.is(thread.state, "asleep");
	host.advance(1);
	assert.is(await promise, 0);
	assert.equal(
		revents(fds),
		fds.map(() => 0),
	);
});

test("the constants with two names are the same bits", () => {
	assert.equal([POLLNORM, POLLWRNORM], [POLLRDNORM, POLLOUT]);
});

/** What each side's refusal becomes in revents, for an entry that asks only for that side. */
const REFUSALS: readonly (readonly [name: keyof typeof errno, read: number, write: number])[] = [
	["EOPNOTSUPP", 0, 0],
	["EINVAL", 0, 0],
	["EBADF", POLLNVAL, POLLNVAL],
	["ENXIO", POLLERR, POLLERR],
	["ENODEV", POLLERR, POLLERR],
	["ENOMEM", POLLERR, POLLERR],
	["ESRCH", POLLERR, POLLERR],
	["EIO", POLLERR, POLLERR],
	["EACCES", POLLERR, POLLERR],
];

test("errors of registering become revents", () => {
	for (const [name, read, write] of REFUSALS) {
		const error = errno[name];
		const row = (revents: number) => [name, revents === 0 ? 0 : 1, revents];
		assert.equal([name, ...answer(POLLIN, denying({ read: error }))], row(read));
		assert.equal([name, ...answer(POLLOUT, denying({ write: error }))], row(write));
		assert.equal([name, ...answer(POLLPRI, denying({ except: error }))], row(read));
		assert.equal([name, ...answer(0, denying({ except: error }))], row(read));
	}
});

test("EPIPE from WRITE is a hang-up", () => {
	assert.equal(answer(POLLOUT, denying({ write: errno.EPIPE })), [1, POLLHUP]);
	assert.equal(answer(ALL, denying({ write: errno.EPIPE })), [1, POLLHUP]);
});

test("EPERM from WRITE is ignored, when the entry asks for more", () => {
	const readableToo = (file: SyntheticFile) => {
		file.deny("write", errno.EPERM);
		file.set("except", { hup: true });
		file.set("read", { data: 1 });
	};
	assert.equal(answer(POLLIN | POLLOUT, readableToo), [1, POLLIN]);
	assert.equal(answer(POLLPRI | POLLOUT, readableToo), [1, POLLHUP]);
	assert.equal(answer(POLLIN | POLLOUT, denying({ write: errno.EPERM })), [0, 0]);
});

test("after EPERM from WRITE alone the entry watches for a hang-up instead", async () => {
	assert.equal(answer(POLLOUT, denying({ write: errno.EPERM })), [0, 0]);
	for (const events of [POLLOUT, POLLOUT | POLLHUP, POLLOUT | POLLERR | POLLWRBAND]) {
		const { thread, host } = machine();
		const { fd, file } = silent(thread);
		file.deny("write", errno.EPERM);
		const fds = [entry(fd, events)];
		const promise = poll(thread, fds, -1);
		assert.equal(
			knotes(thread).map(({ filter, sfflags }) => [filter, sfflags]),
			[[EVFILT_EXCEPT, 0]],
		);
		file.set("except", { data: 1 });
		host.settle();
		assert.is(thread.state, "asleep");
		file.set("except", { hup: true });
		host.settle();
		assert.equal([await promise, ...revents(fds)], [1, POLLHUP]);
	}
});

test("an error of the second try after EPERM counts like any other", () => {
	const errors = [errno.EINVAL, errno.EOPNOTSUPP, errno.ENXIO, errno.EPERM];
	assert.equal(
		errors.map((error) => answer(POLLOUT, denying({ write: errno.EPERM, except: error }))),
		[
			[0, 0],
			[0, 0],
			[1, POLLERR],
			[0, 0],
		],
	);
});

test("after an error the entry's other filters are still registered, and it counts once", () => {
	const ready = (errors: Partial<Record<Side, number>>) => (file: SyntheticFile) => {
		denying(errors)(file);
		file.set("read", { data: 1 });
		file.set("write", { data: 1 });
		file.set("except", { data: 1 });
	};
	const { EIO, EINVAL, EPIPE, EBADF } = errno;
	assert.equal(answer(ALL, ready({})), [1, ALL]);
	assert.equal(answer(ALL, ready({ read: EIO })), [1, POLLERR | POLLOUT | POLLPRI]);
	assert.equal(answer(ALL, ready({ write: EPIPE })), [1, POLLHUP | POLLIN | POLLPRI]);
	assert.equal(answer(ALL, ready({ except: EINVAL })), [1, POLLIN | POLLOUT]);
	assert.equal(answer(ALL, ready({ read: EIO, write: EPIPE, except: EINVAL })), [
		1,
		POLLERR | POLLHUP,
	]);
	assert.equal(answer(ALL, ready({ read: EBADF })), [1, POLLNVAL]);
});

test("a closed descriptor is POLLNVAL, with any events", () => {
	const { thread } = machine();
	const fds = [POLLIN, POLLOUT, POLLPRI, ALL, 0, POLLHUP, POLLIN | POLLNVAL].map((events) =>
		entry(5, events),
	);
	assert.is(pollNow(thread, fds), fds.length);
	assert.equal(
		revents(fds),
		fds.map(() => POLLNVAL),
	);
});

// 3.4, waiting

test("with nothing registered a poll returns at once, or sleeps for all its time", async () => {
	const { thread, host } = machine();
	const fds = [entry(-1, POLLIN)];
	assert.is(await poll(thread, fds, 0), 0);
	const timed = poll(thread, fds, 50);
	host.advance(49);
	assert.is(thread.state, "asleep");
	host.advance(1);
	assert.is(await timed, 0);
	const forever = poll(thread, [], -1);
	host.advance(1e9);
	interrupt(thread);
	host.settle();
	assert.is(await rejection(forever), "EINTR poll");
});

test("with a result at registration a poll does not sleep, but takes what is ready now", async () => {
	const { thread } = machine();
	const fds = [
		entry(silent(thread).fd, POLLIN),
		entry(99, POLLIN),
		entry(readable(thread), POLLIN),
		entry(-1, 0),
		entry(silent(thread).fd, POLLOUT),
	];
	assert.is(await poll(thread, fds, -1), 2);
	assert.is(thread.state, "running");
	assert.equal(revents(fds), [0, POLLNVAL, POLLIN, 0, 0]);
	const only = [entry(99, POLLIN)];
	assert.equal([await poll(thread, only, -1), ...revents(only)], [1, POLLNVAL]);
});

test("with a result at registration and nothing ready a poll does not sleep either", async () => {
	const { thread } = machine();
	const fds = [entry(silent(thread).fd, POLLIN), entry(99, POLLIN)];
	const promise = poll(thread, fds, -1);
	assert.is(thread.state, "running");
	assert.equal([await promise, ...revents(fds)], [1, 0, POLLNVAL]);
	const set = new FdSet([0]);
	fileOf(thread, 0).deny("write", errno.EPIPE);
	const selected = select(thread, 1, set, set.copy(), null, null);
	assert.is(thread.state, "running");
	assert.equal([await selected, [...set]], [1, []]);
});

test("all that is ready is reported in one call, even more than eight", () => {
	const { thread } = machine();
	const fds = Array.from({ length: 30 }, (_, i) =>
		entry(i % 3 === 0 ? silent(thread).fd : readable(thread), i % 2 === 0 ? POLLIN : ALL),
	);
	assert.is(pollNow(thread, fds), 20);
	assert.equal(
		revents(fds),
		fds.map((_, i) => (i % 3 === 0 ? 0 : POLLIN)),
	);
});

test("a poll that slept reports all that is ready when it runs again", async () => {
	const { thread, host } = machine();
	const files = [silent(thread), silent(thread), silent(thread)];
	const fds = files.map(({ fd }) => entry(fd, POLLIN));
	const promise = poll(thread, fds, -1);
	files[2]?.file.push(new Uint8Array(1));
	files[0]?.file.push(new Uint8Array(1));
	host.settle();
	assert.equal([await promise, ...revents(fds)], [2, POLLIN, 0, POLLIN]);
});

test("a wake-up for a knote of an earlier call does not end the wait", async () => {
	const { thread, host } = machine();
	const [earlier, now] = [silent(thread), silent(thread)];
	pollNow(thread, [entry(earlier.fd, POLLIN), entry(now.fd, POLLIN)]);
	const fds = [entry(now.fd, POLLIN)];
	const promise = poll(thread, fds, 100);
	host.advance(60);
	earlier.file.push(new Uint8Array(1));
	host.advance(39);
	assert.is(thread.state, "asleep");
	assert.equal(
		knotes(thread).map(({ ident, pollid }) => [ident, pollid]),
		[
			[now.fd, 1],
			[now.fd, 2],
		],
		"the knote that woke it is dropped, one that did not stays",
	);
	host.advance(1);
	assert.equal([await promise, ...revents(fds)], [0, 0]);
});

test("a wake-up whose reason has gone again does not end the wait", async () => {
	const { thread, host } = machine();
	const { fd, file } = silent(thread);
	const fds = [entry(fd, POLLIN)];
	const promise = poll(thread, fds, 100);
	host.advance(60);
	file.push(new Uint8Array(1));
	file.setQuietly("read", { data: 0 });
	host.advance(39);
	assert.is(thread.state, "asleep");
	file.push(new Uint8Array(1));
	host.settle();
	assert.equal([await promise, ...revents(fds)], [1, POLLIN]);
});

/** A file whose EXCEPT is always active, and is not a hang-up. */
class LoudFile extends File {
	constructor() {
		super("socket");
	}

	override kqfilter(kn: Knote): number {
		kn.fop = filterops({ name: "loud", detach: () => {}, event: () => true });
		return 0;
	}
}

test("an event that nobody asked for ends the wait early with 0", async () => {
	const { thread } = machine();
	const loud = openFile(thread, new LoudFile());
	const fds = [entry(loud, 0), entry(silent(thread).fd, POLLIN)];
	assert.is(await poll(thread, fds, -1), 0);
	assert.equal(revents(fds), [0, 0]);
	assert.is(thread.state, "running");
});

// 3.6, what an event becomes

/** How a file is set up, what is asked, and the expected revents. */
const CONVERSIONS: readonly (readonly [
	what: string,
	sides: Partial<Record<Side, Partial<Readiness>>>,
	events: number,
	revents: number,
])[] = [
	["data", { read: { data: 1 } }, POLLIN, POLLIN],
	["data by its other name", { read: { data: 1 } }, POLLRDNORM, POLLRDNORM],
	["data by both names", { read: { data: 1 } }, POLLIN | POLLRDNORM, POLLIN | POLLRDNORM],
	["data that nobody asked for", { read: { data: 1 } }, POLLOUT, 0],
	["end of file without data", { read: { eof: true } }, POLLIN, POLLIN],
	["end of file is not a hang-up", { read: { eof: true } }, 0, 0],
	["hang-up of READ", { read: HUNG_UP }, POLLIN, POLLIN | POLLHUP],
	[
		"hang-up of READ with data",
		{ read: { ...HUNG_UP, data: 4 } },
		POLLRDNORM,
		POLLRDNORM | POLLHUP,
	],
	["room", { write: { data: 1 } }, POLLOUT, POLLOUT],
	["room by its other name", { write: { data: 1 } }, POLLWRNORM, POLLOUT],
	["no reader any more", { write: { eof: true } }, POLLOUT, POLLOUT],
	["hang-up of WRITE", { write: HUNG_UP }, POLLOUT, POLLHUP],
	["hang-up of WRITE with room", { write: { ...HUNG_UP, data: 4 } }, POLLOUT, POLLHUP],
	["urgent data", { except: { data: 1 } }, POLLPRI, POLLPRI],
	["urgent data by its other name", { except: { data: 1 } }, POLLRDBAND, POLLRDBAND],
	["urgent data that nobody asked for", { except: { data: 1 } }, 0, 0],
	["hang-up of EXCEPT", { except: { hup: true } }, POLLPRI, POLLHUP],
	["hang-up of EXCEPT with urgent data", { except: { hup: true, data: 1 } }, POLLPRI, POLLHUP],
	["hang-up for an entry without events", { except: { hup: true } }, 0, POLLHUP],
	["hang-up for an entry with POLLHUP", { except: { hup: true } }, POLLHUP, POLLHUP],
	["hang-up for the kernel's own bit", { except: { hup: true } }, POLL_NOHUP, POLLHUP],
	["a hang-up of a side that is not watched", { except: { hup: true } }, POLLIN, 0],
	[
		"hang-up of READ and room",
		{ read: HUNG_UP, write: { data: 1 } },
		ALL,
		POLLIN | POLLHUP | POLLOUT,
	],
	[
		"hang-up of all",
		{ read: HUNG_UP, write: HUNG_UP, except: { hup: true } },
		ALL,
		POLLIN | POLLHUP,
	],
	["all", { read: { data: 1 }, write: { data: 1 }, except: { data: 1 } }, ALL, ALL],
	["errors in events", { read: { data: 1 } }, POLLIN | POLLERR | POLLNVAL, POLLIN],
];

test("an event becomes the bits of revents that were asked for, and hang-ups", () => {
	for (const [what, sides, events, revents] of CONVERSIONS) {
		const made = answer(events, (file) => {
			for (const [side, readiness] of Object.entries(sides)) file.set(side as Side, readiness);
		});
		assert.equal([what, ...made], [what, revents === 0 ? 0 : 1, revents]);
	}
});

test("an entry that is not open stays so, with any other events", () => {
	const made = answer(POLLIN | POLLOUT, (file) => {
		file.deny("read", errno.EBADF);
		file.set("write", { data: 1 });
	});
	assert.equal(made, [1, POLLNVAL]);
});

/** A file that can be read, and calls a function when it is watched, or when it is asked again. */
class CallingFile extends File {
	attached: () => void = () => {};
	asked: () => void = () => {};

	constructor() {
		super("socket");
	}

	override kqfilter(kn: Knote): number {
		let first = true;
		kn.fop = filterops({
			name: "calling",
			detach: () => {},
			event: () => {
				if (!first) this.asked();
				first = false;
				return true;
			},
		});
		this.attached();
		return 0;
	}
}

test("a descriptor that is closed while events are collected is POLLNVAL and nothing else", () => {
	const made = machine();
	const { thread } = made;
	const { fd, file } = silent(thread);
	file.push(new Uint8Array(1));
	const [closing, writing] = [new CallingFile(), new CallingFile()];
	closing.asked = () => close(thread, fd);
	writing.attached = () => file.set("write", { data: 1 });
	const fds = [
		entry(fd, POLLIN | POLLOUT),
		entry(openFile(thread, closing), POLLIN),
		entry(openFile(thread, writing), POLLIN),
	];
	assert.is(pollNow(thread, fds), 3, "READ is collected, then the close, then WRITE");
	assert.equal(revents(fds), [POLLNVAL, POLLIN, POLLIN]);
	checkMachine(made);
});

test("each of several entries for one descriptor has its own answer and counts", () => {
	const { thread } = machine();
	const fd = readable(thread);
	fileOf(thread, fd).set("write", { data: 1 });
	const asked = [POLLIN, POLLOUT, POLLIN | POLLOUT, 0, POLLPRI, POLLIN];
	const fds = asked.map((events) => entry(fd, events));
	assert.is(pollNow(thread, fds), 4);
	assert.equal(revents(fds), [POLLIN, POLLOUT, POLLIN | POLLOUT, 0, 0, POLLIN]);
});

test("an object that goes away is a hang-up for every entry on it", async () => {
	const { thread, host } = machine();
	const { fd, file } = silent(thread);
	const fds = [POLLIN, POLLOUT, POLLPRI, 0, ALL].map((events) => entry(fd, events));
	const promise = poll(thread, fds, -1);
	file.invalidate();
	host.settle();
	assert.is(await promise, 5);
	assert.equal(revents(fds), [POLLIN | POLLHUP, POLLHUP, POLLHUP, POLLHUP, POLLIN | POLLHUP]);
});

// 3.7, how it ends

test("success and time-out write every entry's revents", async () => {
	const { thread, host } = machine();
	const fds = [entry(readable(thread), POLLIN), entry(silent(thread).fd, POLLIN), entry(-1, 0)];
	assert.is(pollNow(thread, fds), 1);
	assert.equal(revents(fds), [POLLIN, 0, 0]);
	const idle = [entry(silent(thread).fd, POLLIN), entry(-1, POLLIN), entry(99, POLLWRBAND)];
	const promise = ppoll(thread, idle, { sec: 0, nsec: 1000 });
	assert.equal(revents(idle), [UNWRITTEN, UNWRITTEN, UNWRITTEN]);
	host.advance(1);
	assert.equal([await promise, ...revents(idle)], [0, 0, 0, 0]);
});

test("an interruption writes revents of 0 and fails with EINTR", async () => {
	for (const watched of [true, false]) {
		const { thread, host } = machine();
		const fds = [entry(watched ? silent(thread).fd : -1, POLLIN), entry(-1, POLLIN)];
		const promise = rejection(poll(thread, fds, -1));
		interrupt(thread);
		host.settle();
		assert.equal([await promise, ...revents(fds)], ["EINTR poll", 0, 0]);
	}
});

test("an interruption has priority over ready entries, which the next call reports", async () => {
	const { thread, host, process } = machine();
	const { fd, file } = silent(thread);
	sigaction(thread, SIGUSR1, () => {});
	const other = process.spawnThread();
	const fds = [entry(fd, POLLIN)];
	const set = new FdSet([fd]);
	const polled = rejection(poll(thread, fds, -1));
	file.push(new Uint8Array(1));
	threadKill(other, thread, SIGUSR1);
	host.settle();
	assert.equal([await polled, ...revents(fds)], ["EINTR poll", 0]);
	assert.equal([pollNow(thread, fds), ...revents(fds)], [1, POLLIN]);

	file.set("read", { data: 0 });
	const selected = rejection(select(thread, 1, set, null, null, null));
	file.push(new Uint8Array(1));
	threadKill(other, thread, SIGUSR1);
	host.settle();
	assert.equal([await selected, [...set]], ["EINTR select", [fd]]);
	assert.equal([selectNow(thread, 1, set, null, null), [...set]], [1, [fd]]);
});

test("any other error writes nothing", async () => {
	const { thread } = machine();
	const fds = [entry(readable(thread), POLLIN), entry(99, POLLIN), null as never as Pollfd];
	assert.is(
		refusal(() => pollNow(thread, fds)),
		"EFAULT poll",
	);
	assert.equal(revents(fds.slice(0, 2)), [UNWRITTEN, UNWRITTEN]);
	class BrokenFile extends File {
		constructor() {
			super("socket");
		}
		override kqfilter(): number {
			throw new Error("broken");
		}
	}
	const broken = [fds[0] as Pollfd, entry(openFile(thread, new BrokenFile()), POLLIN)];
	assert.is(
		refusal(() => pollNow(thread, broken)),
		"Error: broken",
	);
	assert.equal(revents(broken), [UNWRITTEN, UNWRITTEN]);
	const set = new FdSet([0, 1]);
	assert.is(await rejection(select(thread, 2, set, null, null, null)), "Error: broken");
	assert.equal([...set], [0, 1]);
	assert.is(pollNow(thread, fds.slice(0, 2)), 2, "the next poll works");
});

test("a mask holds while its poll waits and no longer", async () => {
	const { thread, host, process } = machine();
	const { fd } = silent(thread);
	let handled = 0;
	sigaction(thread, SIGUSR1, () => handled++);
	const other = process.spawnThread();
	const waits = [
		() => ppoll(thread, [entry(fd, POLLIN)], { sec: 1, nsec: 0 }, sigset(SIGUSR1)),
		() => pselect(thread, 1, new FdSet([fd]), null, null, { sec: 1, nsec: 0 }, sigset(SIGUSR1)),
	];
	for (const [round, wait] of waits.entries()) {
		const promise = wait();
		assert.is(thread.sigmask, sigset(SIGUSR1));
		threadKill(other, thread, SIGUSR1);
		host.advance(999);
		assert.equal([thread.state, handled], ["asleep", round]);
		host.advance(1);
		assert.equal([await promise, thread.sigmask, handled], [0, 0, round + 1]);
	}
});

// 3.8, another thread closes a descriptor that is waited for

/** A machine with a sleeper beside the main thread, and a descriptor that stays silent. */
interface Waiting extends Machine {
	readonly sleeper: Thread;
	readonly fd: number;
	readonly file: SyntheticFile;
}

function waiting(): Waiting {
	const made = machine();
	const { fd, file } = silent(made.thread);
	return { ...made, sleeper: made.process.spawnThread(), fd, file };
}

/** The ways in which another thread can close a descriptor that a call waits for. */
const CLOSES: readonly (readonly [string, (thread: Thread, fd: number) => void])[] = [
	["close", close],
	["dup2", (thread, fd) => dup2(thread, readable(thread), fd)],
	[
		"close and dup2",
		(thread, fd) => {
			const copy = dup(thread, fd);
			close(thread, fd);
			dup2(thread, copy, fd);
		},
	],
];

for (const [name, take] of CLOSES) {
	test(`poll wakes with POLLNVAL after ${name} by another thread`, async () => {
		const made = waiting();
		const { thread, sleeper, fd, host } = made;
		const fds = [entry(silent(thread).fd, POLLIN), entry(fd, POLLIN)];
		const promise = poll(sleeper, fds, -1);
		take(thread, fd);
		host.settle();
		assert.equal([await promise, ...revents(fds)], [1, 0, POLLNVAL]);
		checkMachine(made);
	});

	test(`select fails with EBADF after ${name} by another thread`, async () => {
		const made = waiting();
		const { thread, sleeper, fd, host } = made;
		const set = new FdSet([fd, 90]);
		const idle = silent(thread).fd;
		const other = new FdSet([idle]);
		const promise = rejection(pselect(sleeper, 20, set, other, null, null));
		take(thread, fd);
		host.settle();
		assert.equal([await promise, [...set], [...other]], ["EBADF select", [fd, 90], [idle]]);
		checkMachine(made);
	});

	test(`kevent is not told after ${name} by another thread, and goes on waiting`, async () => {
		const made = waiting();
		const { thread, sleeper, fd, file, host } = made;
		const kq = kqueue(thread);
		keventNow(thread, kq, [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }], null);
		const promise = kevent(sleeper, kq, null, eventList(1), { sec: 1, nsec: 0 });
		take(thread, fd);
		file.push(new Uint8Array(1));
		host.advance(999);
		assert.is(sleeper.state, "asleep");
		host.advance(1);
		assert.is(await promise, 0);
		checkMachine(made);
	});
}

test("a close counts once for an entry with three filters, and for every entry on the number", async () => {
	const made = waiting();
	const { thread, sleeper, fd, host } = made;
	const fds = [entry(fd, ALL), entry(fd, 0), entry(fd, POLLOUT), entry(-1, ALL)];
	const promise = poll(sleeper, fds, -1);
	close(thread, fd);
	host.settle();
	assert.equal([await promise, ...revents(fds)], [3, POLLNVAL, POLLNVAL, POLLNVAL, 0]);
	assert.equal(knotes(sleeper), []);
	checkMachine(made);
});

test("a close overrides what was ready, and other ready entries are reported with it", async () => {
	const made = waiting();
	const { thread, sleeper, fd, file, host } = made;
	const ready = silent(thread);
	const fds = [entry(fd, ALL), entry(ready.fd, POLLIN)];
	const promise = poll(sleeper, fds, -1);
	file.push(new Uint8Array(1));
	ready.file.push(new Uint8Array(1));
	close(thread, fd);
	host.settle();
	assert.equal([await promise, ...revents(fds)], [2, POLLNVAL, POLLIN]);
});

test("all threads that wait for the descriptor are told, each by its own call", async () => {
	const made = waiting();
	const { thread, process, fd, host } = made;
	const copy = dup(thread, fd);
	const kq = kqueue(thread);
	keventNow(thread, kq, [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }], null);
	const [a, b, c, d, e] = [1, 2, 3, 4, 5].map(() => process.spawnThread()) as [
		Thread,
		Thread,
		Thread,
		Thread,
		Thread,
	];
	const fds = [entry(fd, POLLIN)];
	const others = [entry(copy, POLLIN)];
	const outcomes = Promise.all([
		poll(a, fds, 1000),
		ppoll(b, fds, { sec: 1, nsec: 0 }),
		rejection(select(c, 9, null, null, new FdSet([fd]), { sec: 1, usec: 0 })),
		kevent(d, kq, null, eventList(1), { sec: 1, nsec: 0 }),
		poll(e, others, 1000),
	]);
	close(thread, fd);
	host.advance(1000);
	assert.equal(await outcomes, [1, 1, "EBADF select", 0, 0]);
	assert.equal([...revents(fds), ...revents(others)], [POLLNVAL, 0]);
	checkMachine(made);
});

test("the file is released at the close, not when its poller has run", async () => {
	const made = machine();
	let closed = 0;
	const fd = openFile(made.thread, new SyntheticFile({ close: () => closed++ }));
	const sleeper = made.process.spawnThread();
	const promise = poll(sleeper, [entry(fd, ALL)], -1);
	close(made.thread, fd);
	assert.equal([closed, sleeper.state], [1, "ready"]);
	made.host.settle();
	assert.is(await promise, 1);
});

test("a close between two polls has no effect on the second", () => {
	const made = waiting();
	const { thread, sleeper, fd } = made;
	const fds = [entry(fd, POLLIN)];
	const set = new FdSet([fd]);
	assert.is(pollNow(sleeper, fds), 0);
	assert.is(selectNow(sleeper, 1, set, null, null), 0);
	close(thread, fd);
	assert.equal(
		knotes(sleeper).map((kn) => [kn.fop.name, kn.fp]),
		[
			["badfd", null],
			["badfd", null],
		],
	);
	assert.is(readable(thread), fd);
	assert.equal([pollNow(sleeper, fds), ...revents(fds)], [1, POLLIN]);
	set.set(fd);
	assert.equal([selectNow(sleeper, 1, set, null, null), [...set]], [1, [fd]]);
	assert.equal(
		knotes(sleeper).map((kn) => kn.fop.name),
		["read"],
	);
	checkMachine(made);
});

test("a knote that a close left behind is dropped by the next scan, if it is not asked for again", () => {
	const made = waiting();
	const { thread, sleeper, fd } = made;
	const other = silent(thread).fd;
	pollNow(sleeper, [entry(fd, ALL)]);
	close(thread, fd);
	assert.equal(
		knotes(sleeper).map((kn) => [kn.ident, kn.fop.name]),
		[
			[fd, "badfd"],
			[fd, "badfd"],
			[fd, "badfd"],
		],
	);
	const fds = [entry(other, POLLIN)];
	assert.equal([pollNow(sleeper, fds), ...revents(fds)], [0, 0]);
	assert.equal(
		knotes(sleeper).map((kn) => [kn.ident, kn.fop.name]),
		[[other, "read"]],
	);
	checkMachine(made);
});

test("a thread that closes a descriptor that it polled before leaves nothing behind", () => {
	const { thread } = machine();
	const { fd } = silent(thread);
	pollNow(thread, [entry(fd, ALL)]);
	selectNow(thread, 1, new FdSet([fd]), null, null);
	assert.is(knotes(thread).length, 4);
	close(thread, fd);
	assert.equal(knotes(thread), []);
});

test("a second close of the number does not change what the first left behind", async () => {
	const made = waiting();
	const { thread, sleeper, fd, host } = made;
	const fds = [entry(fd, POLLIN)];
	pollNow(sleeper, fds);
	close(thread, fd);
	assert.is(silent(thread).fd, fd);
	close(thread, fd);
	assert.equal(
		knotes(sleeper).map((kn) => kn.fop.name),
		["badfd"],
	);
	assert.equal([pollNow(sleeper, fds), ...revents(fds)], [1, POLLNVAL]);
	assert.is(silent(thread).fd, fd);
	const promise = poll(sleeper, fds, -1);
	fileOf(thread, fd).push(new Uint8Array(1));
	host.settle();
	assert.equal([await promise, ...revents(fds)], [1, POLLIN]);
});

test("the close of another number of the same file is not reported", async () => {
	const made = waiting();
	const { thread, sleeper, fd, file, host } = made;
	const copy = dup(thread, fd);
	const fds = [entry(fd, POLLIN)];
	const promise = poll(sleeper, fds, -1);
	close(thread, copy);
	host.settle();
	assert.is(sleeper.state, "asleep");
	file.push(new Uint8Array(1));
	host.settle();
	assert.equal([await promise, ...revents(fds)], [1, POLLIN]);
});

test.run();
