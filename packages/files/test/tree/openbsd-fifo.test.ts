// OpenBSD's own tests of fifos, under their names. docs/regress.md says what each does; the code is
// ours.
import {
	FdSet,
	POLLHUP,
	POLLIN,
	POLLNVAL,
	POLLOUT,
	POLLPRI,
	poll,
	pollNow,
	select,
	selectNow,
} from "@kqpoll/kqpoll";
import { close, fork, kill, read, readNow, sigaction, type Thread, writeNow } from "@kqpoll/kqueue";
import { O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { SIGALRM } from "@kqpoll/kqueue/signal";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { O_RDONLY, O_RDWR, O_WRONLY } from "../../src/shared/vnode-flags.ts";
import { unlink } from "../../src/tree/name-calls.ts";
import { open, openNow } from "../../src/tree/open-calls.ts";
import { codeOf, outcome } from "../machine.ts";
import { bytes, drain, type World, world } from "./fifo-world.ts";

const ALL = POLLIN | POLLOUT | POLLPRI;
const NS_PER_MS = 1e6;

/** Both ends, opened like by two processes: the reader's open waits for the writer's. */
async function ends(): Promise<World & { p: number; c: number }> {
	const w = world();
	const reader = open(w.process.spawnThread(), w.tree, "p", O_RDONLY);
	const c = w.open(O_WRONLY);
	w.host.settle();
	return { ...w, c, p: await reader };
}

/** The result of poll for a descriptor, then the revents of each entry. */
function poll1(thread: Thread, fd: number, ...events: number[]): number[] {
	const fds = events.map((each) => ({ fd, events: each, revents: -1 }));
	return [pollNow(thread, fds), ...fds.map(({ revents }) => revents)];
}

/** The result of select for a descriptor in these sets, then the sets in which it still is. */
function select1(thread: Thread, fd: number, names: string): string {
	const sets = [..."rwe"].map((name) => (names.includes(name) ? new FdSet([fd]) : null));
	const [r = null, w = null, e = null] = sets;
	const n = selectNow(thread, fd + 1, r, w, e);
	return `${n}${[..."rwe"].filter((_, i) => sets[i]?.has(fd)).join("")}`;
}

test("poll_iocond fifo: the events of every step", async () => {
	const { thread, p, c } = await ends();
	assert.equal(poll1(thread, c, ALL), [1, POLLOUT]);
	assert.equal(poll1(thread, p, POLLIN | POLLPRI), [0, 0]);
	writeNow(thread, c, bytes(1));
	assert.equal(poll1(thread, c, ALL), [1, POLLOUT]);
	assert.equal(poll1(thread, p, POLLIN | POLLPRI), [1, POLLIN]);
	readNow(thread, p, bytes(1));
	assert.equal(poll1(thread, p, POLLIN), [0, 0]);
	let written = 0;
	for (let said = poll1(thread, c, POLLOUT); said[0] === 1; said = poll1(thread, c, POLLOUT)) {
		assert.equal(said, [1, POLLOUT]);
		written += writeNow(thread, c, bytes(1024));
	}
	let got = 0;
	for (let said = poll1(thread, p, POLLIN); said[0] === 1; said = poll1(thread, p, POLLIN)) {
		assert.equal(said, [1, POLLIN]);
		got += readNow(thread, p, bytes(1024));
	}
	assert.equal([written, got], [8192, 8192]);
	close(thread, c);
	assert.equal(poll1(thread, p, ALL, 0), [2, POLLIN | POLLHUP, POLLHUP]);
	assert.equal(poll1(thread, c, 0), [1, POLLNVAL]);
});

test("select_iocond fifo: the sets of every step", async () => {
	const { thread, p, c } = await ends();
	assert.equal([select1(thread, c, "rwe"), select1(thread, p, "re")], ["1w", "0"]);
	writeNow(thread, c, bytes(1));
	assert.equal([select1(thread, c, "rwe"), select1(thread, p, "re")], ["1w", "1r"]);
	readNow(thread, p, bytes(1));
	assert.is(select1(thread, p, "r"), "0");
	let written = 0;
	while (select1(thread, c, "w") === "1w") written += writeNow(thread, c, bytes(1024));
	let got = 0;
	while (select1(thread, p, "r") === "1r") got += readNow(thread, p, bytes(1024));
	assert.equal([written, got], [8192, 8192]);
	close(thread, c);
	assert.is(select1(thread, p, "re"), "1r");
	assert.is(
		codeOf(() => select1(thread, c, "rwe")),
		"EBADF",
	);
});

/** Does something that an alarm interrupts after two seconds. */
async function alarmed(
	{ host, thread, process }: World,
	call: () => Promise<number>,
): Promise<unknown> {
	sigaction(thread, SIGALRM, () => {});
	const alarm = host.setTimer(host.now() + 2000 * NS_PER_MS, () =>
		kill(thread, process.pid, SIGALRM),
	);
	const result = await outcome(call());
	host.clearTimer(alarm);
	return result;
}

/** The result of poll and the revents; an alarm interrupts it. */
async function alarmedPoll(w: World, fd: number, events: number, ms: number): Promise<unknown[]> {
	const fds = [{ fd, events, revents: -1 }];
	return [await alarmed(w, () => poll(w.thread, fds, ms)), fds[0]?.revents];
}

/** The result of select and the sets, which are unchanged when it fails. */
async function alarmedSelect(w: World, fd: number, names: string, ms: number): Promise<unknown[]> {
	const sets = [..."rw"].map((name) => (names.includes(name) ? new FdSet([fd]) : null));
	const [r = null, wr = null] = sets;
	const timeout = ms < 0 ? null : { sec: 0, usec: 0 };
	const result = await alarmed(w, () => select(w.thread, fd + 1, r, wr, null, timeout));
	return [result, [..."rw"].filter((_, i) => sets[i]?.has(fd)).join("")];
}

for (const mode of ["blocking", "nonblocking"]) {
	for (const wait of ["timeout 0", "timeout -1"]) {
		test(`fifofs runtest, ${mode}, ${wait}: a fifo open for both, empty and with data`, async () => {
			const w = world();
			const { host, tree, thread } = w;
			await host.run(async () => {
				const flags = O_RDWR | (mode === "blocking" ? 0 : O_NONBLOCK);
				const fd = (await alarmed(w, () => open(thread, tree, "p", flags))) as number;
				unlink(thread, tree, "p");
				const ms = wait === "timeout 0" ? 0 : -1;
				const nothing = ms === 0 ? 0 : "EINTR";
				const polls = async () => [
					await alarmedPoll(w, fd, POLLIN | POLLOUT, ms),
					await alarmedPoll(w, fd, POLLIN, ms),
					await alarmedPoll(w, fd, POLLOUT, ms),
					await alarmedPoll(w, fd, 0, ms),
				];
				const selects = async () => [
					await alarmedSelect(w, fd, "rw", ms),
					await alarmedSelect(w, fd, "r", ms),
					await alarmedSelect(w, fd, "w", ms),
					await alarmedSelect(w, fd, "", ms),
				];
				assert.equal(await polls(), [
					[1, POLLOUT],
					[nothing, 0],
					[1, POLLOUT],
					[nothing, 0],
				]);
				assert.equal(await selects(), [
					[1, "w"],
					[nothing, ms === 0 ? "" : "r"],
					[1, "w"],
					[nothing, ""],
				]);
				assert.is(writeNow(thread, fd, bytes(4, 1)), 4);
				assert.equal(await polls(), [
					[1, POLLIN | POLLOUT],
					[1, POLLIN],
					[1, POLLOUT],
					[nothing, 0],
				]);
				assert.equal(await selects(), [
					[2, "rw"],
					[1, "r"],
					[1, "w"],
					[nothing, ""],
				]);
				assert.equal(drain(thread, fd, 1024), [1, 2, 3, 4]);
			});
			assert.is(host.now(), wait === "timeout 0" ? 0 : 6 * 2000 * NS_PER_MS);
		});
	}
}

type Ask = (w: World, fd: number) => Promise<unknown>;

/** What the reader asks while there is a writer, its answer, and after how many milliseconds. */
const EOF_PASSES: readonly { name: string; ask: Ask; hears: unknown; after: number }[] = [
	{
		name: "poll IN|OUT",
		ask: (w, fd) => alarmedPoll(w, fd, POLLIN | POLLOUT, -1),
		hears: [1, POLLIN | POLLHUP],
		after: 100,
	},
	{
		name: "poll IN",
		ask: (w, fd) => alarmedPoll(w, fd, POLLIN, -1),
		hears: [1, POLLIN | POLLHUP],
		after: 100,
	},
	{
		name: "poll OUT",
		ask: (w, fd) => alarmedPoll(w, fd, POLLOUT, -1),
		hears: [1, POLLHUP],
		after: 100,
	},
	{
		name: "poll none",
		ask: (w, fd) => alarmedPoll(w, fd, 0, -1),
		hears: [1, POLLHUP],
		after: 100,
	},
	{
		name: "select r+w",
		ask: (w, fd) => alarmedSelect(w, fd, "rw", -1),
		hears: [1, "r"],
		after: 100,
	},
	{
		name: "select r",
		ask: (w, fd) => alarmedSelect(w, fd, "r", -1),
		hears: [1, "r"],
		after: 100,
	},
	{
		name: "select w",
		ask: (w, fd) => alarmedSelect(w, fd, "w", -1),
		hears: ["EINTR", "w"],
		after: 2000,
	},
	{
		name: "select none",
		ask: (w, fd) => alarmedSelect(w, fd, "", -1),
		hears: ["EINTR", ""],
		after: 2000,
	},
];

for (const { name, ask, hears, after } of EOF_PASSES) {
	for (const fifo of ["fresh", "used"]) {
		test(`fifofs eoftest, ${name}, ${fifo}: a reader is told when the writer goes`, async () => {
			const w = world();
			const { host, tree, thread } = w;
			const fd = w.open(O_RDONLY | O_NONBLOCK);
			const writer = fork(thread).main;
			close(writer, fd);
			if (fifo === "used") {
				close(writer, openNow(writer, tree, "p", O_WRONLY));
				assert.is(readNow(thread, fd, bytes(1)), 0);
			}
			await host.run(async () => {
				const to = await open(writer, tree, "p", O_WRONLY);
				host.setTimer(100 * NS_PER_MS, () => close(writer, to));
				assert.equal([await ask(w, fd), host.now()], [hears, after * NS_PER_MS]);
				assert.is(await read(thread, fd, bytes(1)), 0);
			});
		});
	}
}

test.run();
