// sock_accept, sock_recv, sock_send, sock_shutdown.
import { bind, connectNow, listen, pipe, socket, socketpair } from "@kqpoll/files";
import { close, type Thread, write, writeNow } from "@kqpoll/kqueue";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Calls, rights } from "./calls.ts";

const PEEK = 1;
const WAITALL = 2;
const NONBLOCK = 4;
const RD = 1;
const WR = 2;
const SIZE = 520;
const FLAGS = 528;
const BUFFER = 8192;

/** A guest whose descriptor 3 is one end of a pair; the other end belongs to its thread too. */
function paired(type: "stream" | "dgram"): { calls: Calls; main: Thread; far: number } {
	let far = -1;
	const calls = new Calls(({ main }) => {
		const [near, other] = socketpair(main, type);
		far = other;
		return { descriptors: [near], preopens: {} };
	});
	return { calls, main: calls.world.process.main, far };
}

function recv(calls: Calls, fd: number, room: number, flags = 0): string | [string, number] {
	const { world } = calls;
	const error = calls.call("sock_recv", fd, ...calls.iovs(BUFFER, room), flags, SIZE, FLAGS);
	if (error !== "SUCCESS") return error;
	return [world.text(BUFFER, world.u32(SIZE)), world.view.getUint16(FLAGS, true)];
}

function send(calls: Calls, fd: number, text: string, flags = 0): number | string {
	return calls.number("sock_send", fd, ...calls.iovs(...calls.put(text, BUFFER)), flags);
}

function put(main: Thread, fd: number, text: string): void {
	writeNow(main, fd, new TextEncoder().encode(text));
}

test("bytes of a stream are looked at, and received", () => {
	const { calls, main, far } = paired("stream");
	put(main, far, "hello");
	assert.equal(recv(calls, 3, 3, PEEK), ["hel", 0]);
	assert.equal(recv(calls, 3, 3), ["hel", 0]);
	assert.equal(recv(calls, 3, 100), ["lo", 0]);
	assert.is(recv(calls, 3, 1, 4), "INVAL");
	close(main, far);
	assert.equal(recv(calls, 3, 100), ["", 0]);
});

test("with WAITALL a receive sleeps until all is there", () => {
	const { calls, main, far } = paired("stream");
	put(main, far, "ab");
	const other = main.process.spawnThread();
	calls.world.host.setTimer(2e6, () => void write(other, far, new Uint8Array([99, 100])));
	assert.equal(recv(calls, 3, 4, WAITALL), ["abcd", 0]);
	assert.is(calls.world.host.now(), 2e6);
});

test("a message that is longer than the room is cut, and the guest is told", () => {
	const { calls, main, far } = paired("dgram");
	put(main, far, "a message");
	put(main, far, "x");
	assert.equal(
		[recv(calls, 3, 4, PEEK), recv(calls, 3, 4), recv(calls, 3, 4)],
		[
			["a me", 1],
			["a me", 1],
			["x", 0],
		],
	);
});

test("a message is sent as one, from several pieces", () => {
	const { calls, main, far } = paired("dgram");
	const { world } = calls;
	const list = world.iovs(world.put("ab"), world.put("cde"), world.put("f"));
	assert.is(calls.number("sock_send", 3, ...list, 0), 6);
	const into = world.iovs([BUFFER, 1], [BUFFER + 100, 2], [BUFFER + 200, 9]);
	assert.is(calls.call("fd_renumber", far, 3), "SUCCESS");
	assert.is(calls.call("sock_recv", 3, ...into, 0, SIZE, FLAGS), "SUCCESS");
	assert.equal(
		[world.text(BUFFER, 1), world.text(BUFFER + 100, 2), world.text(BUFFER + 200, 3)],
		["a", "bc", "def"],
	);
	assert.is(send(calls, 3, "x", 1), "INVAL");
	assert.is(main.process.fdp.get(far), null);
});

test("a direction that was shut down", () => {
	const { calls } = paired("stream");
	const shutdown = (how: number): string => calls.call("sock_shutdown", 3, how);
	assert.equal([0, 4, 7].map(shutdown), ["INVAL", "INVAL", "INVAL"]);
	assert.equal([shutdown(WR), send(calls, 3, "x")], ["SUCCESS", "PIPE"]);
	assert.equal([shutdown(RD), recv(calls, 3, 1)], ["SUCCESS", ["", 0]]);
	assert.is(shutdown(RD | WR), "SUCCESS");
});

test("connections are accepted, with O_NONBLOCK if the guest asks for it", () => {
	const calls = new Calls(({ main }) => {
		const listener = socket(main, "inet", "stream");
		bind(main, listener, 80);
		listen(main, listener, 5);
		return { descriptors: [listener] };
	});
	const { host, kernel } = calls.world;
	const client = kernel.spawn().main;
	const connect = (): void => {
		try {
			connectNow(client, socket(client, "inet", "stream"), 80);
		} catch {
			// It goes on in the background.
		}
	};
	host.setTimer(4e6, connect);
	const first = calls.number("sock_accept", 3, 0);
	assert.equal([first, host.now() >= 4e6], [5, true]);
	connect();
	const second = calls.number("sock_accept", 3, NONBLOCK);
	assert.equal(
		[calls.fdstat(5), calls.fdstat(6)],
		[
			{ type: 6, flags: 0, ...socketRights() },
			{ type: 6, flags: NONBLOCK, ...socketRights() },
		],
	);
	assert.is(recv(calls, second as number, 1), "AGAIN");
	assert.is(calls.number("sock_accept", 3, 1), "INVAL");
	assert.is(calls.number("sock_accept", 5, 0), "INVAL");
	connect();
	const { base } = socketRights();
	assert.is(calls.call("fd_fdstat_set_rights", 3, base, rights("fd_read")), "SUCCESS");
	const third = calls.number("sock_accept", 3, 0) as number;
	assert.is(send(calls, third, "x"), "NOTCAPABLE");
	assert.is(calls.call("fd_fdstat_set_flags", 3, NONBLOCK), "SUCCESS");
	assert.is(calls.number("sock_accept", 3, 0), "AGAIN");
});

function socketRights(): { base: bigint; inheriting: bigint } {
	const all = rights(
		"fd_read",
		"fd_write",
		"fd_fdstat_set_flags",
		"fd_filestat_get",
		"poll_fd_readwrite",
		"sock_shutdown",
		"sock_accept",
	);
	return { base: all, inheriting: all };
}

test("what is not a socket is NOTSOCK, what is not open BADF, and rights count", () => {
	const calls = new Calls(({ main }) => ({
		stdin: pipe(main)[0],
		descriptors: [socketpair(main, "stream")[0]],
	}));
	const all = (fd: number): string[] => [
		calls.call("sock_accept", fd, 0, SIZE),
		calls.call("sock_recv", fd, 0, 0, 0, SIZE, FLAGS),
		calls.call("sock_send", fd, 0, 0, 0, SIZE),
		calls.call("sock_shutdown", fd, WR),
	];
	assert.equal([all(0), all(4)], [Array(4).fill("NOTSOCK"), Array(4).fill("NOTSOCK")]);
	assert.equal([all(77), all(-1)], [Array(4).fill("BADF"), Array(4).fill("BADF")]);
	assert.is(calls.call("fd_fdstat_set_rights", 3, 0n, 0n), "SUCCESS");
	assert.equal(all(3), Array(4).fill("NOTCAPABLE"));
});

test("a wrong pointer is FAULT before anything is received, sent or accepted", () => {
	const { calls, main, far } = paired("stream");
	put(main, far, "ab");
	const list = calls.iovs(BUFFER, 2);
	const wild = 65_535;
	assert.equal(
		[
			calls.call("sock_recv", 3, ...list, 0, wild, FLAGS),
			calls.call("sock_recv", 3, ...list, 0, SIZE, wild),
			calls.call("sock_recv", 3, ...calls.iovs(wild, 2), 0, SIZE, FLAGS),
			calls.call("sock_recv", 3, wild, 1, 0, SIZE, FLAGS),
			calls.call("sock_send", 3, ...calls.iovs(BUFFER, -1), 0, SIZE),
			calls.call("sock_send", 3, ...calls.iovs(BUFFER, 2), 0, wild),
			calls.call("sock_accept", 3, 0, wild),
		],
		Array(7).fill("FAULT"),
	);
	assert.equal(recv(calls, 3, 9), ["ab", 0]);
});

test.run();
