// Kevents with readable names: what each source emits.
import {
	acceptNow,
	bind,
	chmod,
	connect,
	link,
	listen,
	mkdir,
	openNow,
	pipe,
	rename,
	revoke,
	sendNow,
	setsockopt,
	shutdown,
	socket,
	socketpair,
	Tree,
	truncate,
	unlink,
} from "@kqpoll/files";
import { O_CREAT, O_RDWR } from "@kqpoll/files/fcntl";
import { MSG_OOB, SHUT_WR, SO_OOBINLINE, SOL_SOCKET } from "@kqpoll/files/socket";
import {
	EV_ONESHOT,
	EVFILT_TIMER,
	exec,
	exit,
	fork,
	kill,
	NOTE_CHILD,
	NOTE_EXIT,
	NOTE_FORK,
	NOTE_TRACK,
	NOTE_WRITE,
	type Process,
	pledge,
	sigaction,
	threadExit,
	waitpidNow,
	writeNow,
} from "@kqpoll/kqueue";
import { O_APPEND } from "@kqpoll/kqueue/fcntl";
import { SIG_IGN, SIGKILL, SIGUSR1, SIGUSR2 } from "@kqpoll/kqueue/signal";
import { type Observable, of, Subscription, tap } from "rxjs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	exceptional,
	fromKevent,
	kernelTimer,
	type ProcessEvent,
	processEvents,
	readable,
	signals,
	type VnodeEvent,
	vnodeChanges,
	withBackpressure,
	writable,
} from "../src/index.ts";
import { world } from "./world.ts";

/** The names of the fields of an event that are true. */
function flagged(event: object): string {
	return Object.entries(event)
		.filter(([, value]) => value === true)
		.map(([name]) => name)
		.join();
}

test("readable says how many bytes, and whether they are the last", () => {
	const w = world();
	const [a, b] = socketpair(w.thread, "stream");
	const subscription = w.listen(
		"",
		readable(w.thread, b),
		({ fd, bytes, eof, errno }) => `${fd === b} ${bytes} ${eof} ${errno}`,
	);
	writeNow(w.thread, a, new Uint8Array(7));
	assert.equal(w.heard(), [" true 7 false 0"]);
	shutdown(w.thread, a, SHUT_WR);
	assert.equal(w.heard(), [" true 7 true 0", " done"]);
	assert.is(subscription.closed, true);
	w.checkClean();
});

test("readable counts the connections of a listener", () => {
	const w = world();
	const listener = socket(w.thread, "local", "stream");
	bind(w.thread, listener, "name");
	listen(w.thread, listener, 5);
	const subscription = w.listen("", readable(w.thread, listener), ({ bytes }) => bytes);
	for (let i = 0; i < 2; i++) void connect(w.thread, socket(w.thread, "local", "stream"), "name");
	assert.equal(w.heard(), [" 2"]);
	acceptNow(w.thread, listener);
	subscription.unsubscribe();
	w.checkClean();
});

test("below a low-water mark there are no events", () => {
	const w = world();
	const [a, b] = socketpair(w.thread, "stream");
	const subscriptions = [
		w.listen("r", readable(w.thread, b, { lowat: 10 }), ({ bytes }) => bytes),
		w.listen("w", writable(w.thread, a, { lowat: 8192 }), ({ room }) => room),
	];
	assert.equal(w.heard(), ["w 8192"]);
	writeNow(w.thread, a, new Uint8Array(9));
	assert.equal(w.heard(), []);
	writeNow(w.thread, a, new Uint8Array(1));
	assert.equal(w.heard(), ["r 10"]);
	for (const subscription of subscriptions) subscription.unsubscribe();
	w.checkClean();
});

test("writable says how much room there is, and whether a reader is left", () => {
	const w = world();
	const [r, wr] = pipe(w.thread);
	w.listen("", writable(w.thread, wr), ({ room, eof }) => `${room} ${eof}`);
	assert.equal(w.heard(), [" 16384 false"]);
	w.listen("read end", writable(w.thread, r), ({ room }) => room);
	assert.equal(w.heard(), ["read end 16384"]);
	w.process.fdp.get(r);
	exit(w.thread, 0);
	assert.equal(w.heard().sort(), [" ESRCH", "read end ESRCH"]);
	w.checkClean();
});

test("exceptional reports out-of-band data", () => {
	const w = world();
	const listener = socket(w.thread, "inet", "stream");
	bind(w.thread, listener, 80);
	listen(w.thread, listener, 1);
	const a = socket(w.thread, "inet", "stream");
	void connect(w.thread, a, 80);
	w.host.settle();
	const b = acceptNow(w.thread, listener);
	setsockopt(w.thread, b, SOL_SOCKET, SO_OOBINLINE, 1);
	const subscription = w.listen("", exceptional(w.thread, b), ({ oob }) => oob);
	sendNow(w.thread, a, new Uint8Array(3));
	assert.equal(w.heard(), []);
	sendNow(w.thread, a, new Uint8Array(1), MSG_OOB);
	assert.equal(w.heard(), [" true"]);
	subscription.unsubscribe();
	w.checkClean();
});

test("vnodeChanges says what has changed", () => {
	const w = world();
	const tree = new Tree();
	const { thread } = w;
	const fd = openNow(thread, tree, "f", O_CREAT | O_RDWR | O_APPEND);
	const dir = openNow(thread, tree, "/", 0);
	const subscriptions = [
		w.listen<VnodeEvent>("f", vnodeChanges(thread, fd), flagged),
		w.listen<VnodeEvent>("/", vnodeChanges(thread, dir), flagged),
		w.listen<VnodeEvent>("only", vnodeChanges(thread, fd, NOTE_WRITE), flagged),
	];
	const steps: [() => unknown, string[]][] = [
		[
			() => writeNow(thread, fd, new Uint8Array(3)),
			["f written,extended", "only written,extended"],
		],
		[() => truncate(thread, tree, "f", 1), ["f attributes,truncated"]],
		[() => chmod(thread, tree, "f", 0o600), ["f attributes"]],
		[() => link(thread, tree, "f", "g"), ["/ written", "f linked"]],
		[() => rename(thread, tree, "f", "h"), ["/ written", "f renamed"]],
		[() => mkdir(thread, tree, "d"), ["/ written,linked"]],
		[() => unlink(thread, tree, "g"), ["/ written", "f deleted"]],
	];
	for (const [act, expected] of steps) {
		act();
		assert.equal(w.heard().sort(), expected);
	}
	revoke(thread, tree, "h");
	assert.equal(w.heard().sort(), ["f done", "f revoked", "only ", "only done"]);
	for (const subscription of subscriptions) subscription.unsubscribe();
	w.checkClean();
});

test("processEvents says what a process does, and how it ends", () => {
	const w = world();
	const show = (event: ProcessEvent): string =>
		`${flagged(event)} ${event.exitStatus} ${event.exitSignal}`;
	const child = fork(w.thread);
	w.listen("child", processEvents(w.thread, child.pid), show);
	fork(child.main);
	assert.equal(w.heard(), ["child forked null null"]);
	exec(child.main);
	assert.equal(w.heard(), ["child execed null null"]);
	exit(child.main, 7);
	assert.equal(w.heard(), ["child exited 7 null", "child done"]);
	const killed = fork(w.thread);
	w.listen("killed", processEvents(w.thread, killed.pid, NOTE_EXIT), show);
	kill(w.thread, killed.pid, SIGKILL);
	assert.equal(w.heard(), [`killed exited null ${SIGKILL}`, "killed done"]);
	waitpidNow(w.thread, killed.pid);
	w.listen("gone", processEvents(w.thread, killed.pid));
	assert.equal(w.heard(), ["gone ESRCH"]);
	w.checkClean();
});

test("a child that has exited already is told of until it is waited for", () => {
	const w = world();
	const watchers = (pid: number): [string, Observable<ProcessEvent>][] => [
		["plain", processEvents(w.thread, pid)],
		["fork", processEvents(w.thread, pid, NOTE_FORK)],
		["track", processEvents(w.thread, pid, NOTE_TRACK)],
	];
	for (const end of [
		(child: Process) => exit(child.main, 7),
		(child: Process) => void kill(w.thread, child.pid, SIGKILL),
	]) {
		const child = fork(w.thread);
		const [early, late]: ProcessEvent[][] = [[], []];
		for (const [, events] of watchers(child.pid)) events.subscribe((event) => early?.push(event));
		end(child);
		w.host.settle();
		for (const [name, events] of watchers(child.pid)) {
			w.listen(name, events.pipe(tap((event) => late?.push(event))), ({ exited }) => exited);
			assert.equal(w.log, [], "nothing inside of subscribe");
			assert.equal(w.heard(), [`${name} true`, `${name} done`]);
		}
		assert.equal(late, early);
		assert.is(late?.length, 3);
		const slow = withBackpressure(({ exitStatus }: ProcessEvent) => of(exitStatus));
		w.listen("slow", processEvents(w.thread, child.pid).pipe(slow));
		processEvents(w.thread, child.pid)
			.subscribe(() => assert.unreachable())
			.unsubscribe();
		assert.equal(w.heard(), [`slow ${late?.[0]?.exitStatus}`, "slow done"]);
		assert.is(waitpidNow(w.thread, child.pid)?.status, late?.[0]?.kevent.data);
		for (const [name, events] of watchers(child.pid)) {
			w.listen(name, events);
			assert.equal(w.heard(), [`${name} ESRCH`]);
		}
	}
	w.checkClean();
});

test("a late subscriber of a process is told the same, also when others follow it", () => {
	const told = [false, true].map((followed) => {
		const w = world();
		const child = fork(w.thread);
		const events = processEvents(w.thread, child.pid, NOTE_EXIT | NOTE_FORK | NOTE_TRACK);
		const subscription = followed ? events.subscribe() : Subscription.EMPTY;
		const grandchild = fork(child.main);
		const great = fork(grandchild.main);
		exit(grandchild.main, 3);
		const show = ({ pid, exitStatus }: ProcessEvent): string => `${pid - child.pid} ${exitStatus}`;
		// Not the caller's child: it is for its own parent to ask.
		w.listen("grandchild", processEvents(w.thread, grandchild.pid, NOTE_TRACK), show);
		const before = w.heard();
		exit(child.main, 5);
		w.listen("child", events, show);
		const after = w.heard();
		waitpidNow(w.thread, child.pid);
		w.listen("gone", events, show);
		const gone = w.heard();
		exit(great.main, 0);
		w.host.settle();
		assert.is(subscription.closed, true);
		w.checkClean();
		return [before, after, gone];
	});
	assert.equal(told[0], [["grandchild ESRCH"], ["child 0 5", "child done"], ["gone ESRCH"]]);
	assert.equal(told[1], told[0]);
});

test("a late subscriber of a process whose thread may not watch it, or has exited, is refused", () => {
	const w = world();
	const child = fork(w.thread);
	exit(child.main, 7);
	w.listen("flags", processEvents(w.thread, child.pid, 0.5));
	const other = w.process.spawnThread();
	w.listen("ended", processEvents(other, child.pid));
	threadExit(other);
	w.listen("exited", processEvents(other, child.pid));
	pledge(w.thread, "stdio");
	w.listen("pledged", processEvents(w.thread, child.pid));
	assert.equal(w.heard().sort(), ["ended ESRCH", "exited ESRCH", "flags EINVAL", "pledged EPERM"]);
	w.checkClean();
});

test("processEvents follows children with NOTE_TRACK, until the last has exited", () => {
	const w = world();
	const child = fork(w.thread);
	const show = ({ pid, parent, ...event }: ProcessEvent): string =>
		`${pid - child.pid} ${flagged(event)} ${parent === null ? "" : parent - child.pid}`;
	w.listen("", processEvents(w.thread, child.pid, NOTE_EXIT | NOTE_FORK | NOTE_TRACK), show);
	const grandchild = fork(child.main);
	assert.equal(w.heard().sort(), [" 0 forked ", " 1  0"]);
	exit(child.main, 0);
	assert.equal(w.heard(), [" 0 exited "]);
	exit(grandchild.main, 0);
	assert.equal(w.heard(), [" 1 exited ", " done"]);
	assert.ok(NOTE_CHILD);
	w.checkClean();
});

test("signals are counted, even when the process ignores or handles them", () => {
	const w = world();
	sigaction(w.thread, SIGUSR1, SIG_IGN);
	sigaction(w.thread, SIGUSR2, () => {});
	const subscriptions = [SIGUSR1, SIGUSR2].map((signal) =>
		w.listen("", signals(w.thread, signal), ({ signal, count }) => `${signal} ${count}`),
	);
	for (const signal of [SIGUSR1, SIGUSR2, SIGUSR1]) kill(w.thread, w.process.pid, signal);
	assert.equal(w.heard().sort(), [" 30 2", " 31 1"]);
	for (const subscription of subscriptions) subscription.unsubscribe();
	w.listen("bad", signals(w.thread, 99));
	assert.equal(w.heard(), ["bad EINVAL"]);
	w.checkClean();
});

test("a timer counts its periods, or expires once and completes", () => {
	const w = world();
	const periodic = w.listen("p", kernelTimer(w.thread, 10), ({ expirations }) => expirations);
	w.listen("o", kernelTimer(w.thread, 15, { oneshot: true }), ({ expirations }) => expirations);
	w.host.advance(20);
	assert.equal(w.heard(), ["p 1", "o 1", "o done", "p 1"]);
	periodic.unsubscribe();
	w.listen("bad", kernelTimer(w.thread, Number.NaN));
	assert.equal(w.heard(), ["bad EINVAL"]);
	w.checkClean();
});

test("parts of a millisecond are rounded up, never down", () => {
	const w = world();
	const at = (): number => w.host.now() / 1e6;
	const once = { oneshot: true };
	w.listen("half", kernelTimer(w.thread, 0.5, once), at);
	w.listen("below 0", kernelTimer(w.thread, -0.5, once), at);
	w.listen("more", kernelTimer(w.thread, 2.001, once), at);
	w.listen("whole", kernelTimer(w.thread, 2, once), at);
	const change = { ident: 1, filter: EVFILT_TIMER, flags: EV_ONESHOT, data: 3.5 };
	w.listen("kevent", fromKevent(w.thread, change), at);
	for (const ms of [Number.NaN, Number.POSITIVE_INFINITY, "5" as never])
		w.listen("bad", kernelTimer(w.thread, ms), at);
	assert.equal(w.heard(), ["bad EINVAL", "bad EINVAL", "bad EINVAL"]);
	w.host.advance(10);
	const lines = w.heard().filter((line) => !line.endsWith("done"));
	assert.equal(lines, ["half 1", "below 0 1", "whole 2", "more 3", "kevent 4"]);
	w.checkClean();
});

test("every event carries the kevent that it was made of", () => {
	const w = world();
	const kevents: unknown[] = [];
	const subscription = readable(w.thread, w.fd).subscribe(({ kevent }) =>
		kevents.push(kevent.data),
	);
	w.file.set("read", { data: 4 });
	w.host.settle();
	assert.equal(kevents, [4]);
	subscription.unsubscribe();
	w.checkClean();
});

test.run();
