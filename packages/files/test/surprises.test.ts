// What the kernel does and nobody expects: each is in docs/kqueue.md.
import { POLLIN, POLLOUT, poll, pollNow } from "@kqpoll/kqpoll";
import {
	close,
	EV_ADD,
	EV_DELETE,
	EV_DISPATCH,
	EV_ENABLE,
	EVFILT_READ,
	errno,
	eventList,
	keventNow,
	kqueue,
	openFile,
	SyntheticFile,
	type SystemError,
} from "@kqpoll/kqueue";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	bind,
	connectNow,
	getsockname,
	listen,
	sendNow,
	socket,
	socketpair,
} from "../src/index.ts";
import { type Address, SOCK_NONBLOCK } from "../src/socket.ts";
import { machine } from "./machine.ts";

test("a knote that was added before listen does not report connections, poll and a new one do", () => {
	const { host, thread } = machine();
	const kq = kqueue(thread);
	const fd = socket(thread, "inet", "stream");
	const change = { ident: fd, filter: EVFILT_READ };
	bind(thread, fd, 0);
	keventNow(thread, kq, [{ ...change, flags: EV_ADD }], null);
	listen(thread, fd, 5);
	const client = socket(thread, "inet", "stream", SOCK_NONBLOCK);
	assert.throws(
		() => connectNow(thread, client, getsockname(thread, fd) as Address),
		(error: SystemError) => error.code === "EINPROGRESS",
	);
	host.settle();
	assert.is(keventNow(thread, kq, null, eventList(1)), 0);
	assert.is(pollNow(thread, [{ fd, events: POLLIN, revents: 0 }]), 1);
	const again = [
		{ ...change, flags: EV_DELETE },
		{ ...change, flags: EV_ADD },
	];
	assert.is(keventNow(thread, kq, again, eventList(1)), 1);
});

test("EV_ADD does not enable an event that was disabled", () => {
	const { thread } = machine();
	const kq = kqueue(thread);
	const file = new SyntheticFile();
	const ident = openFile(thread, file);
	file.set("read", 5);
	const take = (flags: number): number =>
		keventNow(thread, kq, [{ ident, filter: EVFILT_READ, flags }], eventList(1));
	assert.equal([take(EV_ADD | EV_DISPATCH), take(EV_ADD), take(EV_ADD | EV_ENABLE)], [1, 0, 1]);
});

test("a seqpacket socket is writable while a longer message does not fit", () => {
	const { thread } = machine();
	const [fd] = socketpair(thread, "seqpacket", SOCK_NONBLOCK);
	sendNow(thread, fd, new Uint8Array(5000));
	assert.is(pollNow(thread, [{ fd, events: POLLOUT, revents: 0 }]), 1);
	assert.throws(
		() => sendNow(thread, fd, new Uint8Array(4000)),
		(error: SystemError) => error.code === "EAGAIN",
	);
});

test("closing a descriptor that a poll could not watch does not wake the poll", async () => {
	const { host, process, thread } = machine();
	const deaf = new SyntheticFile();
	deaf.deny("write", errno.EINVAL);
	const fd = openFile(thread, deaf);
	const other = process.spawnThread();
	const call = poll(other, [{ fd, events: POLLOUT, revents: 0 }], 50);
	close(thread, fd);
	host.settle();
	assert.is(other.state, "asleep");
	host.advance(50);
	assert.is(await call, 0);
});

test.run();
