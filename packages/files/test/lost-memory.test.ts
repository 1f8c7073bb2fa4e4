// Buffers whose memory shrinks, grows or goes away while a call sleeps, and lists of buffers.
import { POLLIN, pollNow } from "@kqpoll/kqpoll";
import { fork, read, readNow, sigaction, type Thread, write, writeNow } from "@kqpoll/kqueue";
import { O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { SIG_DFL, SIGPIPE } from "@kqpoll/kqueue/signal";
import { IOV_MAX, preadv, pwritev, readv, readvNow, writev, writevNow } from "@kqpoll/kqueue/uio";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { O_CREAT, O_RDWR } from "../src/fcntl.ts";
import {
	openNow,
	openpty,
	pipe,
	pipe2,
	recv,
	recvNow,
	send,
	sendNow,
	socketpair,
	Tree,
} from "../src/index.ts";
import { MSG_WAITALL } from "../src/socket.ts";
import { codeOf, type Machine, machine, outcome } from "./machine.ts";

/** Memory, and how it goes away. */
interface Memory {
	readonly name: string;
	/** An array of `length` bytes. */
	readonly bytes: (length: number) => Uint8Array;
	readonly lose: () => void;
}

/** What the types of the language level do not know yet. */
const { WebAssembly: wasmOf } = globalThis as unknown as {
	readonly WebAssembly: {
		readonly Memory: new (pages: {
			initial: number;
		}) => {
			readonly buffer: ArrayBuffer;
			grow(pages: number): number;
		};
	};
};

interface Resizable extends ArrayBuffer {
	resize(size: number): void;
}

/** Each time new memory, for each way to lose it. */
function memories(): Memory[] {
	const make = ArrayBuffer as unknown as new (n: number, options: object) => Resizable;
	const resizable = new make(300_000, { maxByteLength: 300_000 });
	const wasm = new wasmOf.Memory({ initial: 5 });
	const plain = new ArrayBuffer(300_000);
	return [
		{
			name: "a buffer that shrinks",
			bytes: (n) => new Uint8Array(resizable, 0, n),
			lose: () => resizable.resize(1),
		},
		{
			name: "a buffer that shrinks, and an array that tracks it",
			bytes: (n) => {
				resizable.resize(n);
				return new Uint8Array(resizable);
			},
			lose: () => resizable.resize(1),
		},
		{
			name: "WASM memory that grows",
			bytes: (n) => new Uint8Array(wasm.buffer, 0, n),
			lose: () => wasm.grow(1),
		},
		{
			name: "a buffer that is detached",
			bytes: (n) => new Uint8Array(plain, 0, n),
			lose: () => structuredClone(plain, { transfer: [plain] }),
		},
	];
}

/** A pair of descriptors, of which the first is read and the second is written. */
type Pair = readonly [name: string, open: (thread: Thread) => readonly [number, number]];

const PAIRS: readonly Pair[] = [
	["a pipe", (thread) => pipe(thread)],
	["a local stream", (thread) => socketpair(thread, "stream")],
	["a pty", (thread) => openpty(thread)],
];

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

/** What can be read now. */
function left(thread: Thread, fd: number): number[] | unknown {
	const buffer = new Uint8Array(100);
	try {
		return [...buffer.subarray(0, readNow(thread, fd, buffer))];
	} catch (error) {
		return (error as { code: string }).code;
	}
}

/** The outcome of a call that another thread makes while it sleeps, after `act`. */
async function meanwhile(
	{ host, process }: Machine,
	call: (thread: Thread) => Promise<number>,
	act: () => void,
): Promise<unknown> {
	const thread = process.spawnThread();
	let result: unknown = "still asleep";
	outcome(call(thread)).then((value) => {
		result = value;
	});
	host.settle();
	act();
	host.settle();
	await new Promise((resolve) => setImmediate(resolve));
	return [result, thread.state];
}

for (const [kind, open] of PAIRS) {
	test(`a read of ${kind} into memory that goes away fails, and the bytes stay`, async () => {
		for (const { name, bytes: make, lose } of memories()) {
			const world = machine();
			const { thread } = world;
			const [r, w] = open(thread);
			const found = await meanwhile(
				world,
				(other) => read(other, r, make(10)),
				() => {
					lose();
					writeNow(thread, w, bytes(97, 98));
				},
			);
			assert.equal(found, ["EFAULT", "running"], name);
			assert.equal(left(thread, r), [97, 98], name);
		}
	});

	test(`a write to ${kind} from memory that goes away ends with what was written`, async () => {
		for (const { name, bytes: make, lose } of memories()) {
			const world = machine();
			const { thread } = world;
			const [r, w] = open(thread);
			let taken = 0;
			const found = (await meanwhile(
				world,
				(other) => write(other, w, make(200_000)),
				() => {
					lose();
					for (let n = 1; n > 0; taken += n) {
						const buffer = new Uint8Array(200_000);
						n = pollNow(thread, [{ fd: r, events: POLLIN, revents: 0 }]);
						if (n > 0) n = readNow(thread, r, buffer);
						world.host.settle();
					}
				},
			)) as [number, string];
			assert.equal(found, [taken, "running"], name);
			assert.ok(taken > 0 && taken < 200_000, name);
		}
	});
}

test("memory that goes away is noticed by code that was compiled for resizable buffers, too", async () => {
	for (const { name, bytes: make, lose } of memories()) {
		const world = machine();
		const { thread } = world;
		const [master, slave] = openpty(thread);
		const resizable = memories()[0]?.bytes(10) as Uint8Array;
		const other = world.process.spawnThread();
		for (let i = 0; i < 12_000; i++) {
			const reading = read(other, master, i % 2 === 0 ? resizable : new Uint8Array(10));
			writeNow(thread, slave, bytes(96));
			world.host.settle();
			await reading;
		}
		const found = await meanwhile(
			world,
			(late) => read(late, master, make(10)),
			() => {
				lose();
				writeNow(thread, slave, bytes(97, 98));
			},
		);
		assert.equal(found, ["EFAULT", "running"], name);
		assert.equal(left(thread, master), [97, 98], name);
	}
});

test("a receive into memory that goes away fails, and the message stays", async () => {
	for (const type of ["stream", "dgram", "seqpacket"] as const) {
		for (const { name, bytes: make, lose } of memories()) {
			const world = machine();
			const { thread } = world;
			const [a, b] = socketpair(thread, type);
			const found = await meanwhile(
				world,
				(other) => recv(other, b, make(10)),
				() => {
					lose();
					sendNow(thread, a, bytes(1, 2));
				},
			);
			assert.equal(found, ["EFAULT", "running"], `${name}, ${type}`);
			assert.equal(left(thread, b), [1, 2], `${name}, ${type}`);
		}
	}
});

test("a receive of all bytes into memory that goes away returns what it has received", async () => {
	for (const { name, bytes: make, lose } of memories()) {
		const world = machine();
		const { thread } = world;
		const [a, b] = socketpair(thread, "stream");
		sendNow(thread, a, bytes(1, 2));
		const found = await meanwhile(
			world,
			(other) => recv(other, b, make(200_000), MSG_WAITALL),
			() => {
				lose();
				sendNow(thread, a, bytes(3, 4));
			},
		);
		assert.equal(found, [2, "running"], name);
		assert.equal(left(thread, b), [3, 4], name);
	}
});

test("a send from memory that goes away ends with what was sent", async () => {
	for (const { name, bytes: make, lose } of memories()) {
		const world = machine();
		const { host, thread } = world;
		const [a, b] = socketpair(thread, "stream");
		const found = (await meanwhile(
			world,
			(other) => send(other, a, make(200_000)),
			() => {
				lose();
				recvNow(thread, b, new Uint8Array(200_000));
				host.settle();
			},
		)) as [number, string];
		assert.is(found[1], "running", name);
		assert.ok(found[0] > 0 && found[0] < 200_000, name);
	}
});

test("a buffer that grows while a call sleeps counts as it was", async () => {
	const world = machine();
	const { thread } = world;
	const [r, w] = pipe(thread);
	const make = ArrayBuffer as unknown as new (n: number, options: object) => Resizable;
	const buffer = new make(2, { maxByteLength: 8 });
	const found = await meanwhile(
		world,
		(other) => read(other, r, new Uint8Array(buffer)),
		() => {
			buffer.resize(8);
			writeNow(thread, w, bytes(1, 2, 3));
		},
	);
	assert.equal(found, [2, "running"]);
	assert.equal([...new Uint8Array(buffer)], [1, 2, 0, 0, 0, 0, 0, 0]);
	assert.equal(left(thread, r), [3]);
});

test("an array that says it has another length shows no bytes of others, and corrupts nothing", () => {
	for (const length of [70, -5, Number.NaN, Number.POSITIVE_INFINITY, 10n, "3", null]) {
		for (const [kind, open] of PAIRS) {
			const { thread } = machine();
			const [r, w] = open(thread);
			const victim = fork(thread).main;
			sigaction(victim, SIGPIPE, SIG_DFL);
			writeNow(victim, w, bytes(83, 69, 67));
			readNow(victim, r, new Uint8Array(100));
			const lying = (...values: number[]): Uint8Array =>
				Object.defineProperty(bytes(...values), "length", { value: length });
			assert.is(writeNow(thread, w, lying(1, 2)), 2, kind);
			assert.equal(left(victim, r), [1, 2], kind);
			writeNow(victim, w, bytes(5, 6));
			const into = lying(0, 0, 0);
			assert.is(readNow(thread, r, into), 2, kind);
			assert.equal([into[0], into[1], into[2]], [5, 6, 0], kind);
			assert.is(left(victim, r), "EAGAIN", kind);
		}
	}
});

test("a list of buffers is read once: what becomes of it while the call sleeps has no effect", async () => {
	const world = machine();
	const { thread } = world;
	const [r, w] = pipe(thread);
	const into = [new Uint8Array(2), new Uint8Array(2)];
	const list: unknown[] = [...into];
	const found = await meanwhile(
		world,
		(other) => readv(other, r, list as Uint8Array[]),
		() => {
			list[0] = null;
			list.length = 1;
			writeNow(thread, w, bytes(1, 2, 3, 4, 5));
		},
	);
	assert.equal(found, [4, "running"]);
	assert.equal(into, [bytes(1, 2), bytes(3, 4)]);
	assert.equal(left(thread, r), [5]);
});

test("a vectored read with a buffer that has lost its memory takes nothing", async () => {
	for (const { name, bytes: make, lose } of memories()) {
		const world = machine();
		const { thread } = world;
		const [r, w] = pipe(thread);
		const found = await meanwhile(
			world,
			(other) => readv(other, r, [new Uint8Array(2), make(2)]),
			() => {
				lose();
				writeNow(thread, w, bytes(1));
			},
		);
		assert.equal(found, ["EFAULT", "running"], name);
		assert.equal(left(thread, r), [1], name);
	}
});

test("a buffer without memory in a list is refused before anything is moved", () => {
	const { thread } = machine();
	const [r, w] = pipe(thread);
	writeNow(thread, w, bytes(1, 2));
	for (const { name, bytes: make, lose } of memories().slice(2)) {
		const list = [make(2), new Uint8Array(2)];
		lose();
		assert.is(
			codeOf(() => readvNow(thread, r, list)),
			"EFAULT",
			name,
		);
		assert.is(
			codeOf(() => writevNow(thread, w, list)),
			"EFAULT",
			name,
		);
	}
	assert.equal(left(thread, r), [1, 2]);
});

test("more than IOV_MAX buffers are EINVAL, and so are more than 2^31-1 bytes", () => {
	const { thread } = machine();
	const [r, w] = pipe(thread);
	const large = new Uint8Array(2 ** 30);
	const many = (n: number, each: Uint8Array): Uint8Array[] => new Array(n).fill(each);
	for (const [call, fd] of [
		[readvNow, r],
		[writevNow, w],
		[(thread: Thread, fd: number, list: Uint8Array[]) => preadv(thread, fd, list, 0), r],
		[(thread: Thread, fd: number, list: Uint8Array[]) => pwritev(thread, fd, list, 0), w],
	] as const) {
		assert.is(
			codeOf(() => call(thread, fd, many(IOV_MAX + 1, bytes(1)))),
			"EINVAL",
		);
		assert.is(
			codeOf(() => call(thread, fd, many(2, large))),
			"EINVAL",
		);
		assert.is(
			codeOf(() => call(thread, 99, many(2, large))),
			"EINVAL",
		);
	}
	assert.is(writevNow(thread, w, many(IOV_MAX, bytes(7))), IOV_MAX);
	assert.is(readvNow(thread, r, many(IOV_MAX, new Uint8Array(1))), IOV_MAX);
});

test("a vectored write takes memory for a piece, not for all bytes", () => {
	const { thread } = machine();
	const [r, w] = pipe(thread);
	const [a] = socketpair(thread, "dgram");
	const list: Uint8Array[] = new Array(20).fill(new Uint8Array(100_000_000));
	const before = process.memoryUsage().arrayBuffers;
	assert.is(writevNow(thread, w, list), 65_536);
	assert.is(
		codeOf(() => writevNow(thread, a, list)),
		"EMSGSIZE",
	);
	assert.is(readvNow(thread, r, list), 65_536);
	assert.ok(process.memoryUsage().arrayBuffers - before < 50_000_000);
});

test("a vectored transfer of several pieces moves every byte to its place", async () => {
	const world = machine();
	const { thread } = world;
	const size = 3_000_001;
	const parts = [0, 1, 2].map((k) =>
		Uint8Array.from({ length: size }, (_, i) => (i * (k + 3)) >> 4),
	);
	const all = Buffer.concat(parts);
	const fd = openNow(thread, new Tree(), "file", O_CREAT | O_RDWR);
	assert.is(writevNow(thread, fd, parts), all.length);
	const into = [new Uint8Array(4_500_000), new Uint8Array(1), new Uint8Array(5_000_000)];
	assert.is(preadv(thread, fd, into, 0), all.length);
	assert.ok(Buffer.concat(into).subarray(0, all.length).equals(all));
	assert.is(pwritev(thread, fd, parts, 5), all.length);
	assert.is(preadv(thread, fd, into, 5), all.length);
	assert.ok(Buffer.concat(into).subarray(0, all.length).equals(all));
	const [r, w] = pipe(thread);
	const got: Buffer[] = [];
	const found = await meanwhile(
		world,
		(other) => writev(other, w, parts),
		() => {
			const buffer = new Uint8Array(100_000);
			while (pollNow(thread, [{ fd: r, events: POLLIN, revents: 0 }]) > 0) {
				got.push(Buffer.from(buffer.subarray(0, readNow(thread, r, buffer))));
				world.host.settle();
			}
		},
	);
	assert.equal(found, [all.length, "running"]);
	assert.ok(Buffer.concat(got).equals(all));
});

test("a vectored write that does not block returns how much there was room for", () => {
	const { thread } = machine();
	const [, w] = pipe2(thread, O_NONBLOCK);
	const part = new Uint8Array(3_000_000);
	assert.is(writevNow(thread, w, [part, part]), 65_536);
	assert.is(
		codeOf(() => writevNow(thread, w, [part, part])),
		"EAGAIN",
	);
});

test.run();
