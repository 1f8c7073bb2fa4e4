// Random programs over a pipe against a naive model of two streams of bytes.
import { POLLHUP, POLLIN, POLLOUT } from "@kqpoll/kqpoll";
import {
	close,
	dup,
	EV_ADD,
	EV_CLEAR,
	EV_EOF,
	EVFILT_READ,
	EVFILT_WRITE,
	eventList,
	fork,
	keventNow,
	kqueue,
	read,
	readNow,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { pipe } from "../../src/index.ts";
import { checkMachine, codeOf, collect, machine, outcome, revents } from "../machine.ts";

const LIMIT = 16384;

/** One direction: the bytes on their way, and whether it can still be written and read. */
interface Stream {
	bytes: number[];
	limit: number;
}

const command = fc.oneof(
	fc.record({ op: fc.constant("write" as const), end: fc.nat(1), n: fc.nat(20_000) }),
	fc.record({ op: fc.constant("read" as const), end: fc.nat(1), n: fc.nat(20_000) }),
	fc.record({
		op: fc.constantFrom("dup" as const, "close" as const),
		end: fc.nat(1),
		n: fc.nat(9),
	}),
);

test("no byte is lost, repeated or reordered, and calls do what poll and kevent report", () => {
	fc.assert(
		fc.property(fc.array(command, { maxLength: 40, size: "max" }), (commands) => {
			const m = machine();
			const { thread } = m;
			const kq = kqueue(thread);
			const fds = pipe(thread).map((fd) => [fd]) as [number[], number[]];
			// inbox[e] is what is to be read from end e.
			const inbox: [Stream, Stream] = [
				{ bytes: [], limit: LIMIT },
				{ bytes: [], limit: LIMIT },
			];
			let next = 0;
			for (const { op, end, n } of commands) {
				const mine = fds[end] as number[];
				const other = fds[1 - end] as number[];
				const fd = mine[n % Math.max(1, mine.length)];
				if (fd === undefined) continue;
				const into = inbox[1 - end] as Stream;
				const from = inbox[end] as Stream;
				const notified = other.length > 0 ? watchers() : null;
				if (op === "dup") mine.push(dup(thread, fd));
				else if (op === "close") {
					mine.splice(mine.indexOf(fd), 1);
					close(thread, fd);
					if (mine.length === 0) from.bytes = [];
				} else if (op === "write") {
					const data = Uint8Array.from({ length: n }, () => next++ & 0xff);
					const result = codeOrCount(() => writeNow(thread, fd, data));
					if (other.length === 0) assert.is(result, "EPIPE");
					else {
						if (n > LIMIT && into.bytes.length === 0) into.limit = 65536;
						const room = into.limit - into.bytes.length;
						const taken = n <= 512 && n > room ? 0 : Math.min(n, room);
						assert.is(result, taken === 0 && n > 0 ? "EAGAIN" : taken);
						into.bytes.push(...data.subarray(0, taken));
					}
				} else {
					const buffer = new Uint8Array(n);
					const result = codeOrCount(() => readNow(thread, fd, buffer));
					const given = from.bytes.splice(0, n);
					const empty = given.length === 0 && n > 0 && other.length > 0;
					assert.is(result, empty ? "EAGAIN" : given.length);
					assert.equal([...buffer.subarray(0, given.length)], given);
				}
				if (notified !== null) checkNotified(notified, op, end);
				for (const e of [0, 1]) checkEnd(e);
			}
			for (const fd of fds.flat()) close(thread, fd);
			assert.equal(collect(thread, kq), []);
			checkMachine(m);

			/** A kqueue that shows each notification of both ends once. */
			function watchers(): number {
				const queue = kqueue(thread);
				const changes = fds.flatMap(([fd]) =>
					[EVFILT_READ, EVFILT_WRITE].map((filter) => ({
						ident: fd as number,
						filter,
						flags: EV_ADD | EV_CLEAR,
					})),
				);
				keventNow(thread, queue, changes, null);
				collect(thread, queue);
				return queue;
			}

			/**
			 * A write notifies the watchers of a direction if there is something to read, a read does if
			 * there is room; whatever they moved.
			 */
			function checkNotified(queue: number, op: string, end: number): void {
				const got = collect(thread, queue).map(([fd, filter]) => [fd, filter]);
				close(thread, queue);
				if (op !== "read" && op !== "write") return;
				const to = op === "write" ? 1 - end : end;
				const { bytes, limit } = inbox[to] as Stream;
				const room = limit - bytes.length >= 512;
				const posts = op === "write" ? bytes.length > 0 : room;
				const expected = [
					...(posts && bytes.length > 0 ? [[fds[to]?.[0], EVFILT_READ]] : []),
					...(posts && room ? [[fds[1 - to]?.[0], EVFILT_WRITE]] : []),
				];
				assert.equal(got.sort(byFilter), expected.sort(byFilter));
			}

			function checkEnd(e: number): void {
				const [fd] = fds[e] as number[];
				if (fd === undefined) return;
				const gone = fds[1 - e]?.length === 0;
				const data = (inbox[e] as Stream).bytes.length;
				const to = inbox[1 - e] as Stream;
				const room = to.limit - to.bytes.length;
				const readable = gone || data > 0;
				const expected =
					(readable ? POLLIN : 0) | (gone ? POLLHUP : 0) | (!gone && room >= 512 ? POLLOUT : 0);
				assert.equal(revents(thread, POLLIN | POLLOUT, fd), [expected]);
				const changes = [EVFILT_READ, EVFILT_WRITE].map((filter) => ({
					ident: fd,
					filter,
					flags: EV_ADD,
				}));
				const queue = kqueue(thread);
				const errors = eventList(2);
				keventNow(thread, queue, changes.slice(0, 1), null);
				const refused = keventNow(thread, queue, changes.slice(1), gone ? errors : null);
				assert.is(refused, gone ? 1 : 0);
				const flags = EV_ADD | (gone ? EV_EOF : 0);
				assert.equal(collect(thread, queue), [
					...(readable ? [[fd, EVFILT_READ, flags, 0, data]] : []),
					...(!gone && room >= 512 ? [[fd, EVFILT_WRITE, EV_ADD, 0, room]] : []),
				]);
				close(thread, queue);
			}
		}),
		{ numRuns: 150 },
	);
});

function byFilter(one: unknown[], other: unknown[]): number {
	return (other[1] as number) - (one[1] as number);
}

function codeOrCount(call: () => number): unknown {
	let result: unknown;
	const code = codeOf(() => {
		result = call();
	});
	return code === "no error" ? result : code;
}

test("sleeping readers and writers move every byte, with any sizes and turns", async () => {
	await fc.assert(
		fc.asyncProperty(
			fc.array(fc.integer({ min: 1, max: 30_000 }), { minLength: 1, maxLength: 12 }),
			fc.array(fc.integer({ min: 1, max: 30_000 }), { minLength: 1, maxLength: 6 }),
			fc.boolean(),
			async (writes, reads, forked) => {
				const m = machine();
				const { thread, process, host, kernel } = m;
				const [r, w] = pipe(thread);
				const writer = forked ? fork(thread).main : process.spawnThread();
				if (forked) close(writer, r);
				const total = writes.reduce((a, b) => a + b, 0);
				const sent = Uint8Array.from({ length: total }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
				const received: number[] = [];
				await host.run(async () => {
					const writing = (async () => {
						let at = 0;
						for (const n of writes) {
							assert.is(await write(writer, w, sent.subarray(at, at + n)), n);
							at += n;
						}
						close(writer, w);
						if (forked) close(thread, w);
					})();
					for (let turn = 0; ; turn++) {
						const buffer = new Uint8Array(reads[turn % reads.length] as number);
						const n = await read(thread, r, buffer);
						if (n === 0) break;
						received.push(...buffer.subarray(0, n));
					}
					await writing;
				});
				assert.is(received.length, total);
				assert.equal(Uint8Array.from(received), sent);
				assert.is(await outcome(read(thread, r, new Uint8Array(1))), 0);
				assert.equal([kernel.sleepers, kernel.timeouts.size], [0, 0]);
			},
		),
		{ numRuns: 40 },
	);
});

test.run();
