// OpenBSD's and NetBSD's own tests of poll and select, under their names: arguments, results and
// signal masks, and the script of select for a pipe. docs/regress.md says what each does; the code
// is ours.
import {
	FdSet,
	POLLHUP,
	POLLIN,
	POLLNVAL,
	POLLOUT,
	type Pollfd,
	poll,
	ppoll,
	pselect,
	selectNow,
} from "@kqpoll/kqpoll";
import {
	close,
	kill,
	readNow,
	sigaction,
	sigprocmask,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { NSIG, SIG_BLOCK, SIG_SETMASK, SIGTERM, SIGUSR1, sigset } from "@kqpoll/kqueue/signal";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openDevice } from "../src/device/device-calls.ts";
import { pipe } from "../src/pipe/pipe.ts";
import { codeOf, machine, outcome } from "./machine.ts";

/** All signals. */
const FULL = sigset(...Array.from({ length: NSIG - 1 }, (_, i) => i + 1));

function bytes(n: number): Uint8Array {
	return new Uint8Array(n);
}

/** The mask of a thread. */
function maskOf(thread: Thread): number {
	return sigprocmask(thread, SIG_BLOCK, 0);
}

test("pollnval: a poll of a closed descriptor returns POLLNVAL at once", async () => {
	const { thread } = machine();
	pipe(thread);
	close(thread, 0);
	const fds = [{ fd: 0, events: POLLIN | POLLHUP, revents: 0 }];
	assert.is(await poll(thread, fds, -1), 1);
	assert.is(fds[0]?.revents, POLLNVAL);
});

test("pollretval: the result counts the entries with revents", async () => {
	const { thread } = machine();
	const [r, w] = pipe(thread);
	const device = openDevice(thread, "zero");
	const closed = device + 1;
	const kinds: Pollfd[] = [
		{ fd: r, events: POLLIN, revents: 0 },
		{ fd: w, events: POLLIN | POLLOUT, revents: POLLOUT },
		{ fd: device, events: POLLIN, revents: POLLIN },
		{ fd: closed, events: POLLOUT, revents: POLLNVAL },
		{ fd: -1, events: POLLIN, revents: 0 },
	];
	const expected = Array.from({ length: 20 }, () => kinds).flat();
	const fds = expected.map((entry) => ({ ...entry, revents: -1 }));
	assert.is(await poll(thread, fds, -1), 60);
	assert.equal(fds, expected);
});

test("t_poll err: a value that is not an array and a timeout below -1 are refused", async () => {
	const { thread } = machine();
	const [r] = pipe(thread);
	const fds = [{ fd: r, events: POLLIN, revents: 0 }];
	assert.is(await outcome(poll(thread, -1 as unknown as Pollfd[], -1)), "EFAULT");
	assert.is(await outcome(poll(thread, fds, -2)), "EINVAL");
});

test("t_ppoll basic: entries are independent", async () => {
	const { thread, host } = machine();
	const [r, w] = pipe(thread);
	const reader = { fd: r, events: POLLIN, revents: -1 };
	const writer = { fd: w, events: POLLOUT, revents: -1 };
	const wait = (...fds: Pollfd[]) => host.run(() => ppoll(thread, fds, { sec: 1, nsec: 0 }));
	assert.equal([await wait(reader), reader.revents, writer.revents], [0, 0, -1]);
	assert.is(host.now(), 1e9);
	assert.equal([await wait(writer), reader.revents, writer.revents], [1, 0, POLLOUT]);
	assert.equal([await wait(reader, writer), reader.revents, writer.revents], [1, 0, POLLOUT]);
	writeNow(thread, w, bytes(1));
	assert.equal([await wait(reader, writer), reader.revents, writer.revents], [2, POLLIN, POLLOUT]);
	assert.is(host.now(), 1e9);
});

test("t_ppoll err: a value that is not an array and a timeout out of range are refused", async () => {
	const { thread } = machine();
	const [r] = pipe(thread);
	const fds = [{ fd: r, events: POLLIN, revents: 0 }];
	const second = { sec: 1, nsec: 0 };
	assert.is(await outcome(ppoll(thread, -1 as unknown as Pollfd[], second)), "EFAULT");
	assert.is(await outcome(ppoll(thread, fds, { sec: -1, nsec: -1 })), "EINVAL");
});

test("t_ppoll sigmask: the mask of a ppoll that does not sleep is gone when it returns", async () => {
	const { thread, process } = machine();
	const fds = [{ fd: openDevice(thread, "null"), events: POLLIN, revents: 0 }];
	const taken: number[] = [];
	sigaction(thread, SIGUSR1, (signal) => taken.push(signal));
	assert.is(await ppoll(thread, fds, { sec: 5, nsec: 0 }, FULL), 1);
	kill(thread, process.pid, SIGUSR1);
	assert.equal([taken, maskOf(thread)], [[SIGUSR1], 0]);
});

test("t_select pselect_sigmask: with an empty mask a signal interrupts, and the old mask is restored", async () => {
	const { thread, kernel, process, host } = machine();
	const [, device] = [openDevice(thread, "null"), openDevice(thread, "null")];
	const set = new FdSet([device]);
	const killer = kernel.spawn();
	const taken: number[] = [];
	sigaction(thread, SIGTERM, (signal) => taken.push(signal));
	sigprocmask(thread, SIG_SETMASK, FULL);
	const before = maskOf(thread);
	// Only descriptor 0 counts, and it is not in the set.
	const call = outcome(pselect(thread, 1, set, null, null, null, 0));
	host.settle();
	assert.is(thread.state, "asleep");
	kill(killer.main, process.pid, SIGTERM);
	host.settle();
	assert.equal([await call, taken, maskOf(thread)], ["EINTR", [SIGTERM], before]);
});

test("t_select pselect_timeout: a pselect with a timeout of 0 restores the mask too", async () => {
	const { thread } = machine();
	const [, device] = [openDevice(thread, "null"), openDevice(thread, "null")];
	const set = new FdSet([device]);
	sigprocmask(thread, SIG_SETMASK, FULL);
	const before = maskOf(thread);
	assert.is(await pselect(thread, 1, set, null, null, { sec: 0, nsec: 0 }, 0), 0);
	assert.is(maskOf(thread), before);
});

/** The result of select, then which of the sets asked for have the descriptor. */
function choose(thread: Thread, fd: number, asked: string): string {
	const sets = [..."rwe"].map((set) => (asked.includes(set) ? new FdSet([fd]) : null));
	const [r = null, w = null, e = null] = sets;
	const n = selectNow(thread, fd + 1, r, w, e);
	return n + [..."rwe"].filter((_, i) => sets[i]?.has(fd)).join("");
}

test("select_iocond pipe: the sets of every step", () => {
	const { thread } = machine();
	const [p, c] = pipe(thread);
	assert.equal([choose(thread, c, "rwe"), choose(thread, p, "re")], ["1w", "0"]);
	writeNow(thread, c, bytes(1));
	assert.equal([choose(thread, c, "rwe"), choose(thread, p, "re")], ["1w", "1r"]);
	readNow(thread, p, bytes(1));
	assert.is(choose(thread, p, "r"), "0");
	let written = 0;
	while (choose(thread, c, "w") === "1w") written += writeNow(thread, c, bytes(1024));
	let got = 0;
	while (choose(thread, p, "r") === "1r") got += readNow(thread, p, bytes(1024));
	assert.equal([written, got], [16384, 16384]);
	close(thread, c);
	assert.is(choose(thread, p, "re"), "1r");
	assert.is(
		codeOf(() => choose(thread, c, "rwe")),
		"EBADF",
	);
});

test.run();
