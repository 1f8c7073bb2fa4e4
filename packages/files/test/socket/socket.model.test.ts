// Random programs over connected stream sockets against a naive model of two streams of bytes.
import { POLLHUP, POLLIN, POLLOUT } from "@kqpoll/kqpoll";
import {
	close,
	EV_ADD,
	EV_CLEAR,
	EV_EOF,
	EVFILT_READ,
	EVFILT_WRITE,
	ioctl,
	keventNow,
	kqueue,
} from "@kqpoll/kqueue";
import { FIONREAD } from "@kqpoll/kqueue/ioctl";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { acceptNow, bind, connectNow, listen } from "../../src/socket/connect-calls.ts";
import { recv, recvNow } from "../../src/socket/recv-calls.ts";
import { send, sendNow } from "../../src/socket/send-calls.ts";
import { shutdown, socket, socketpair } from "../../src/socket/socket-calls.ts";
import { MSG_EOR, MSG_PEEK, MSG_WAITALL, SHUT_WR } from "../../src/socket/socket-constants.ts";
import { checkMachine, codeOf, collect, type Machine, machine, revents } from "../machine.ts";

const LOWAT = 2048;

type Family = "local" | "tcp";

/** How much a direction of a connection holds. */
const ROOM: Readonly<Record<Family, number>> = { local: 8192, tcp: 32768 };

function connection(m: Machine, family: Family): [number, number] {
	const { thread, host } = m;
	if (family === "local") return socketpair(thread, "stream");
	const listener = socket(thread, "inet", "stream");
	bind(thread, listener, 80);
	listen(thread, listener, 1);
	const a = socket(thread, "inet", "stream");
	codeOf(() => connectNow(thread, a, 80));
	host.settle();
	const b = acceptNow(thread, listener);
	close(thread, listener);
	return [a, b];
}

const size = fc.oneof(fc.nat(3000), fc.nat(40_000));
const command = fc.oneof(
	{
		weight: 12,
		arbitrary: fc.record({
			op: fc.constantFrom("send" as const, "recv" as const, "peek" as const),
			end: fc.nat(1),
			n: size,
		}),
	},
	fc.record({ op: fc.constant("shut" as const), end: fc.nat(1), n: fc.constant(0) }),
);

/** One direction. */
interface Stream {
	/** The bytes on their way. */
	bytes: number[];
	/** Whether no more will be sent. */
	shut: boolean;
}

for (const family of ["local", "tcp"] as const) {
	test(`${family}: no byte is lost, repeated or reordered, and calls do what poll reports`, () => {
		fc.assert(
			fc.property(fc.array(command, { maxLength: 40, size: "max" }), (commands) => {
				const m = machine();
				const { thread } = m;
				const fds = connection(m, family);
				/** `streams[end]` is what is to be read at that end. */
				const streams: [Stream, Stream] = [
					{ bytes: [], shut: false },
					{ bytes: [], shut: false },
				];
				const room = (end: number) => roomOf(family, (streams[end] as Stream).bytes.length);
				let next = 0;
				/** What the last send returned, and whether the last receive found something. */
				let sent: unknown = 0;
				let there = false;
				for (const { op, end, n } of commands) {
					const fd = fds[end] as number;
					const notified = family === "local" ? watchers() : null;
					const from = streams[end] as Stream;
					const to = streams[1 - end] as Stream;
					if (op === "shut") {
						shutdown(thread, fd, SHUT_WR);
						to.shut = true;
					} else if (op === "send") {
						const data = Uint8Array.from({ length: n }, () => next++ & 0xff);
						const taken = accepted(family, to.bytes.length, n);
						const expected = to.shut ? "EPIPE" : taken === 0 && n > 0 ? "EAGAIN" : taken;
						sent = expected;
						assert.is(
							result(() => sendNow(thread, fd, data)),
							expected,
						);
						if (!to.shut) to.bytes.push(...data.subarray(0, taken));
					} else {
						const buffer = new Uint8Array(n);
						const held = family === "tcp" ? Math.min(from.bytes.length, 16384) : from.bytes.length;
						const given = Math.min(held, n);
						there = held > 0;
						const expected = given === 0 && n > 0 && !from.shut ? "EAGAIN" : given;
						const flags = op === "peek" ? MSG_PEEK : 0;
						assert.is(
							result(() => recvNow(thread, fd, buffer, flags)),
							expected,
						);
						assert.equal([...buffer.subarray(0, given)], from.bytes.slice(0, given));
						if (op === "recv") from.bytes.splice(0, given);
					}
					if (notified !== null) checkNotified(notified, op, end);
					for (const e of [0, 1]) checkEnd(e);
				}
				checkMachine(m);

				/** A kqueue that shows each notification of both ends once. */
				function watchers(): number {
					const kq = kqueue(thread);
					const changes = fds.flatMap((ident) =>
						[EVFILT_READ, EVFILT_WRITE].map((filter) => ({
							ident,
							filter,
							flags: EV_ADD | EV_CLEAR,
						})),
					);
					keventNow(thread, kq, changes, null);
					collect(thread, kq);
					return kq;
				}

				/**
				 * A send notifies the receiver if that has something, a receive the sender if there was
				 * something; whatever they moved.
				 */
				function checkNotified(kq: number, op: string, end: number): void {
					const got = collect(thread, kq).map(([fd, filter]) => [fd, filter]);
					close(thread, kq);
					const peer = fds[1 - end] as number;
					const arrived = streams[1 - end] as Stream;
					if (op === "send" && !arrived.shut && sent !== "EAGAIN")
						assert.equal(got, arrived.bytes.length > 0 ? [[peer, EVFILT_READ]] : []);
					if (op === "peek") assert.equal(got, []);
					if (op !== "recv") return;
					const active = room(end) >= LOWAT || (streams[end] as Stream).shut;
					assert.equal(got, there && active ? [[peer, EVFILT_WRITE]] : []);
				}

				function checkEnd(e: number): void {
					const fd = fds[e] as number;
					const { bytes, shut } = streams[e] as Stream;
					const other = streams[1 - e] as Stream;
					const waiting = family === "tcp" ? Math.min(bytes.length, 16384) : bytes.length;
					// The end of a TCP stream comes after its bytes have left the sender.
					const eof = shut && bytes.length === waiting;
					const sent = other.bytes.length <= 16384;
					const over = family === "tcp" && eof && other.shut && sent;
					const readable = waiting > 0 || eof;
					const writable = other.shut || room(1 - e) >= LOWAT;
					const expected = (readable ? POLLIN : 0) | (over ? POLLHUP : writable ? POLLOUT : 0);
					assert.equal(revents(thread, POLLIN | POLLOUT, fd), [expected]);
					assert.is(ioctl(thread, fd, FIONREAD), waiting);
					const kq = kqueue(thread);
					for (const filter of [EVFILT_READ, EVFILT_WRITE])
						keventNow(thread, kq, [{ ident: fd, filter, flags: EV_ADD }], null);
					const read = [fd, EVFILT_READ, EV_ADD | (eof ? EV_EOF : 0), 0, waiting];
					const write = [fd, EVFILT_WRITE, EV_ADD | (other.shut ? EV_EOF : 0), 0, room(1 - e)];
					assert.equal(collect(thread, kq), [
						...(readable ? [read] : []),
						...(writable ? [write] : []),
					]);
					close(thread, kq);
				}
			}),
			{ numRuns: 100 },
		);
	});

	test(`${family}: sleeping ends move every byte, with any sizes and turns`, async () => {
		const sizes = fc.array(fc.integer({ min: 1, max: 30_000 }), { minLength: 1, maxLength: 8 });
		await fc.assert(
			fc.asyncProperty(sizes, sizes, fc.boolean(), async (writes, reads, all) => {
				const m = machine();
				const { thread, process, host, kernel } = m;
				const [a, b] = connection(m, family);
				const writer = process.spawnThread();
				const total = writes.reduce((sum, n) => sum + n, 0);
				const sent = Uint8Array.from({ length: total }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
				const received: number[] = [];
				await host.run(async () => {
					const writing = (async () => {
						let at = 0;
						for (const n of writes) {
							assert.is(await send(writer, a, sent.subarray(at, at + n)), n);
							at += n;
						}
						close(writer, a);
					})();
					for (let turn = 0; ; turn++) {
						const buffer = new Uint8Array(reads[turn % reads.length] as number);
						const n = await recv(thread, b, buffer, all ? MSG_WAITALL : 0);
						if (n === 0) break;
						assert.ok(!all || n === buffer.length || received.length + n === total);
						received.push(...buffer.subarray(0, n));
					}
					await writing;
				});
				assert.equal(Uint8Array.from(received), sent);
				assert.equal([kernel.sleepers, kernel.timeouts.size], [0, 0]);
			}),
			{ numRuns: 40 },
		);
	});
}

const packet = fc.oneof(
	fc.constant(0),
	fc.integer({ min: 1, max: 40 }),
	fc.integer({ min: 3000, max: 9000 }),
);
const packetCommand = fc.record({
	op: fc.constantFrom("send" as const, "record" as const, "recv" as const, "peek" as const),
	n: packet,
});

test("local: packets keep their bounds, and empty ones are seen only as the end of a record", () => {
	fc.assert(
		fc.property(fc.array(packetCommand, { maxLength: 40, size: "max" }), (commands) => {
			const m = machine();
			const { thread } = m;
			const [a, b] = socketpair(thread, "seqpacket");
			let packets: { n: number; eor: boolean }[] = [];
			const held = () => packets.reduce((sum, each) => sum + each.n, 0);
			for (const { op, n } of commands) {
				if (op === "send" || op === "record") {
					const full = ROOM.local - held() < n;
					const expected = n > ROOM.local ? "EMSGSIZE" : full ? "EAGAIN" : n;
					const flags = op === "record" ? MSG_EOR : 0;
					assert.is(
						result(() => sendNow(thread, a, new Uint8Array(n), flags)),
						expected,
					);
					if (expected === n) packets.push({ n, eor: op === "record" });
				} else {
					// A receiver without a buffer takes the first packet, whatever that is.
					while (n > 0 && packets[0]?.n === 0 && !packets[0].eor) packets.shift();
					const first = packets[0];
					const expected = first !== undefined ? Math.min(first.n, n) : n === 0 ? 0 : "EAGAIN";
					if (op === "recv") packets = packets.slice(1);
					const flags = op === "peek" ? MSG_PEEK : 0;
					assert.is(
						result(() => recvNow(thread, b, new Uint8Array(n), flags)),
						expected,
					);
				}
				assert.is(ioctl(thread, b, FIONREAD), held());
				assert.equal(revents(thread, POLLIN, b), [held() > 0 ? POLLIN : 0]);
				const room = ROOM.local - held();
				assert.equal(revents(thread, POLLOUT, a), [room >= LOWAT ? POLLOUT : 0]);
			}
			checkMachine(m);
		}),
		{ numRuns: 300 },
	);
});

/** How much room a sender sees when `underWay` bytes are on their way. */
function roomOf(family: Family, underWay: number): number {
	if (family === "local") return ROOM.local - underWay;
	return 16384 - Math.max(0, underWay - 16384);
}

/** How many of `n` bytes are taken when `underWay` bytes are on their way. */
function accepted(family: Family, underWay: number, n: number): number {
	let done = 0;
	while (done < n) {
		const space = roomOf(family, underWay + done);
		if (space < n - done && space < LOWAT) break;
		done += Math.min(space, n - done);
	}
	return done;
}

function result(call: () => number): unknown {
	let n: unknown;
	const code = codeOf(() => {
		n = call();
	});
	return code === "no error" ? n : code;
}

test.run();
