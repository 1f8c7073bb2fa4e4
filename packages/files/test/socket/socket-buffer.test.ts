// The buffer of a socket: pieces of a stream that are put together, records, and what they cost.
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { setsockopt } from "../../src/socket/option-calls.ts";
import { recv } from "../../src/socket/recv-calls.ts";
import { sendNow } from "../../src/socket/send-calls.ts";
import { type Packet, SockBuf } from "../../src/socket/socket-buffer.ts";
import { socketpair } from "../../src/socket/socket-calls.ts";
import {
	MSG_WAITALL,
	SO_RCVBUF,
	SO_RCVLOWAT,
	SO_SNDBUF,
	SOL_SOCKET,
} from "../../src/socket/socket-constants.ts";
import { machine } from "../machine.ts";

function packetOf(bytes: Uint8Array, fields: Partial<Packet> = {}): Packet {
	return {
		bytes,
		memory: bytes.buffer.byteLength,
		address: null,
		rights: null,
		header: 0,
		record: false,
		eor: false,
		urgent: false,
		payer: null,
		next: null,
		...fields,
	};
}

function packetsOf(buffer: SockBuf): Packet[] {
	const packets: Packet[] = [];
	for (let at = buffer.first; at !== null; at = at.next) packets.push(at);
	return packets;
}

test("a stream keeps its bytes and its records, however they come and go", () => {
	const step = fc.record({
		n: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 600 })),
		act: fc.constantFrom("append", "append", "append", "record", "urgent", "drop"),
		account: fc.nat(1),
	});
	fc.assert(
		fc.property(fc.array(step, { maxLength: 40, size: "max" }), (steps) => {
			const { kernel } = machine();
			const payers = [kernel.spawn().account, kernel.spawn().account];
			const buffer = new SockBuf(100_000, 1);
			const model: [value: number, begins: boolean][] = [];
			let next = 0;
			for (const { n, act, account } of steps) {
				if (act === "drop") {
					const { first } = buffer;
					if (first === null) continue;
					const taken = Math.min(n, first.bytes.length);
					model.splice(0, taken);
					buffer.drop(taken);
				} else {
					const bytes = Uint8Array.from({ length: n }, () => next++ & 0xff);
					const record = act === "record";
					model.push(
						...Array.from(bytes, (value, i): [number, boolean] => [value, record && i === 0]),
					);
					const payer = payers[account] ?? null;
					buffer.append(packetOf(bytes, { record, urgent: act === "urgent", payer }));
				}
				buffer.check();
				assert.is(
					payers.reduce((sum, each) => sum + each.bytes.used, 0),
					model.length,
				);
				assert.is(
					packetsOf(buffer)
						.flatMap(({ bytes }) => [...bytes])
						.join(),
					model.map(([value]) => value).join(),
				);
				const later = packetsOf(buffer).slice(1);
				assert.is(
					buffer.hasNextRecord,
					later.some((packet) => packet.record),
				);
			}
			buffer.flush();
			for (const { bytes, packets } of payers) assert.equal([bytes.used, packets.used], [0, 0]);
		}),
		{ numRuns: 60 },
	);
});

test("bytes of another account, and those before and after an urgent one, are not put together", () => {
	const { kernel } = machine();
	const [one, other] = [kernel.spawn().account, kernel.spawn().account];
	const buffer = new SockBuf(1000, 1);
	const add = (fields: Partial<Packet>): void => buffer.append(packetOf(Uint8Array.of(1), fields));
	for (const payer of [one, one, one, other, other, one]) add({ payer });
	assert.equal(
		packetsOf(buffer).map(({ bytes }) => bytes.length),
		[1, 2, 1, 1, 1],
	);
	buffer.flush();
	for (const urgent of [false, false, true, false, false]) add({ urgent });
	assert.equal(
		packetsOf(buffer).map(({ bytes }) => bytes.length),
		[1, 1, 1, 1, 1],
	);
});

test("nothing is written to memory behind the bytes of a packet that is not the buffer's own", () => {
	const buffer = new SockBuf(1000, 1);
	const all = Uint8Array.of(1, 2, 3, 4);
	buffer.append(packetOf(all.subarray(0, 2)));
	buffer.append(packetOf(Uint8Array.of(9)));
	assert.equal([...all], [1, 2, 3, 4]);
});

for (const [name, flags, lowat] of [
	["MSG_WAITALL", MSG_WAITALL, 1],
	["SO_RCVLOWAT", 0, 3200],
] as const) {
	test(`${name}: a receiver that sleeps looks at few pieces for each byte that is sent`, async () => {
		const costs: number[] = [];
		for (const n of [300, 3000]) {
			const { thread, process, host, kernel } = machine();
			kernel.diagnostics = false;
			const [a, b] = socketpair(thread, "stream");
			setsockopt(thread, a, SOL_SOCKET, SO_SNDBUF, 8192);
			setsockopt(thread, b, SOL_SOCKET, SO_RCVBUF, 8192);
			setsockopt(thread, b, SOL_SOCKET, SO_RCVLOWAT, lowat);
			const receiving = recv(process.spawnThread(), b, new Uint8Array(3200), flags);
			host.settle();
			let looked = 0;
			const { bytes } = process.account;
			const one = Uint8Array.of(1);
			for (let i = 0; i < 3200; i++) {
				sendNow(thread, a, one);
				if (i < n) looked += process.account.packets.used;
				host.settle();
			}
			assert.is(bytes.used, 0);
			assert.is(await receiving, 3200);
			costs.push(looked / n);
		}
		const [few, many] = costs as [number, number];
		assert.ok(many < 3 * few, `${few} pieces for each byte, then ${many}`);
	});
}

test("the few bytes that are left of many do not keep the memory of all", () => {
	const buffer = new SockBuf(1 << 20, 1);
	const held = (): number[] => packetsOf(buffer).map(({ bytes }) => bytes.buffer.byteLength);
	const many = new Uint8Array(1 << 20);
	many.fill(7, -5);
	const packet = packetOf(many);
	buffer.append(packet);
	buffer.drop(1000);
	assert.equal(held(), [1 << 20]);
	buffer.drop(many.length - 1005);
	assert.equal(held(), [5]);
	assert.equal([...packet.bytes], [7, 7, 7, 7, 7]);
	buffer.drop(5);
	buffer.append(packetOf(many.subarray(0, 5000)));
	buffer.append(packetOf(many.subarray(-5)));
	assert.equal(held(), [5000, 4096]);
	const [first] = packetsOf(buffer) as [Packet];
	buffer.flush();
	assert.is(first.bytes.buffer.byteLength, 0);
});

test.run();
