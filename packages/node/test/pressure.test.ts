// Full sockets: an end that does not read holds up its writer, in both directions, and nothing
// spins.
import { once } from "node:events";
import type { Socket } from "node:net";
import { send } from "@kqpoll/files";
import { POLLIN, POLLOUT, poll } from "@kqpoll/kqpoll";
import {
	close,
	EVFILT_READ,
	EVFILT_WRITE,
	eventList,
	kevent,
	NOTE_LOWAT,
	read,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openSocket } from "../src/index.ts";
import { codeOf, gone, outcome, pause, revents, tcpPair, until, watch, world } from "./world.ts";

/** More than all buffers on the way hold together. */
const LOTS = 16_000_000;

async function pair() {
	const w = world();
	const [mine, peer] = await tcpPair();
	peer.on("error", () => {});
	return { ...w, w, mine, peer, fd: openSocket(w.thread, mine) };
}

/** Bytes that differ enough to show a lost or repeated one. */
function pattern(n: number): Buffer {
	return Buffer.from(Uint32Array.from({ length: n / 4 }, (_, i) => i * 2654435761).buffer);
}

/** Whether a condition holds for some turns of the event loop. */
async function stays(holds: () => boolean): Promise<boolean> {
	for (let turn = 0; turn < 10; turn++) {
		await pause(15);
		if (!holds()) return false;
	}
	return true;
}

/** Writes until nothing moves any more; returns how many bytes were written. */
async function fill(socket: Socket, data: Buffer): Promise<number> {
	for (let at = 0; at < data.length; ) {
		const piece = data.subarray(at, at + 65536);
		at += piece.length;
		if (socket.write(piece)) continue;
		if (await stays(() => socket.writableNeedDrain)) return at;
	}
	return data.length;
}

test("a descriptor that nobody reads stops the sender, and reading lets it go on", async () => {
	const { thread, mine, peer, fd } = await pair();
	const data = pattern(LOTS);
	const taken = await fill(peer, data);
	assert.ok(taken < LOTS, `${taken} bytes were taken`);
	assert.equal(
		[peer.write(data.subarray(taken, taken + 4)), await stays(() => peer.writableNeedDrain)],
		[false, true],
	);
	// What this side holds: one receive buffer, and what Node reads before it stops.
	assert.ok(mine.readableLength <= mine.readableHighWaterMark + 65536, `${mine.readableLength}`);
	peer.end(data.subarray(taken + 4));
	const got = Buffer.alloc(LOTS);
	let at = 0;
	for (let n = -1; n !== 0; at += n) n = await read(thread, fd, got.subarray(at, at + 100_000));
	assert.equal([at, got.equals(data)], [LOTS, true]);
	close(thread, fd);
});

test("a descriptor is not writable while its other end does not read", async () => {
	const { w, thread, mine, peer, fd } = await pair();
	const chunk = new Uint8Array(65536);
	let sent = 0;
	do while (revents(thread, POLLOUT, fd)[0] === POLLOUT) sent += writeNow(thread, fd, chunk);
	while (!(await stays(() => revents(thread, POLLOUT, fd)[0] === 0)));
	assert.ok(mine.writableLength <= mine.writableHighWaterMark, `${mine.writableLength}`);
	assert.is(
		codeOf(() => writeNow(thread, fd, chunk)),
		"EAGAIN",
	);
	let got = 0;
	peer.on("data", (piece) => {
		got += piece.length;
	});
	const fds = [{ fd, events: POLLOUT, revents: 0 }];
	assert.equal([await poll(thread, fds, -1), fds[0]?.revents], [1, POLLOUT]);
	const lowat = {
		ident: fd,
		filter: EVFILT_WRITE,
		fflags: NOTE_LOWAT,
		data: mine.writableHighWaterMark,
	};
	assert.is((await until(w, lowat))[2], mine.writableHighWaterMark);
	close(thread, fd);
	await once(peer, "end");
	assert.is(got, sent);
	peer.destroy();
});

test("a writer sleeps whenever there is no room, and every byte arrives in order", async () => {
	const { thread, peer, fd } = await pair();
	const data = pattern(LOTS);
	const got: Buffer[] = [];
	peer.on("data", (piece) => {
		got.push(piece);
		peer.pause();
		setImmediate(() => peer.resume());
	});
	assert.is(await write(thread, fd, data), LOTS);
	close(thread, fd);
	await once(peer, "end");
	assert.ok(Buffer.concat(got).equals(data));
	peer.destroy();
});

test("a writer whose other end never reads sleeps until it is aborted, or the end is gone", async () => {
	const { thread, mine, peer, fd } = await pair();
	const controller = new AbortController();
	const sending = outcome(send(thread, fd, new Uint8Array(LOTS), 0, { signal: controller.signal }));
	await stays(() => true);
	controller.abort();
	const sent = (await sending) as number;
	assert.ok(sent > 0 && sent < LOTS, `${sent}`);
	const more = outcome(write(thread, fd, new Uint8Array(LOTS)));
	await pause();
	peer.resetAndDestroy();
	// Node's error depends on whether it was about to read or to write.
	assert.ok(["ECONNRESET", "EPIPE"].includes(String(await more)));
	close(thread, fd);
	await gone(mine);
});

test("a wait on idle sockets uses no processor time", async () => {
	const w = world();
	const { thread, kq } = w;
	const pairs = await Promise.all(Array.from({ length: 20 }, tcpPair));
	const fds = pairs.map(([mine]) => openSocket(thread, mine));
	watch(w, ...fds.map((ident) => ({ ident, filter: EVFILT_READ })));
	const poller = w.process.spawnThread();
	const polling = poll(
		poller,
		fds.map((fd) => ({ fd, events: POLLIN, revents: 0 })),
		1000,
	);
	await pause(20);
	const before = process.cpuUsage();
	assert.is(await kevent(thread, kq, null, eventList(1), { sec: 1, nsec: 0 }), 0);
	const { user, system } = process.cpuUsage(before);
	assert.is(await polling, 0);
	assert.ok(user + system < 200_000, `${(user + system) / 1000} ms of 1000 ms`);
	for (const fd of fds) close(thread, fd);
	for (const [, peer] of pairs) peer.destroy();
});

test.run();
