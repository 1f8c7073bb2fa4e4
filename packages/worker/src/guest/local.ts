// The functions of WASI that need no kernel: arguments and environment, and in real time clocks and random
// bytes.
import { wasiErrno } from "@kqpoll/wasi/kernel";
import type { Local, Strings } from "../abi/messages.ts";
import { fillRandom, monotonicSince, wallClock } from "../platform.ts";
import type { Exchange, Value } from "./exchange.ts";
import type { GuestMemory } from "./memory.ts";

const CLOCK_REALTIME = 0;
const CLOCK_MONOTONIC = 1;
/** The platform's wall clock has whole milliseconds: further off, it was set since the kernel looked. */
const SET_NS = 2e6;

/** The imports that need no kernel, by name. */
export function localOf(
	{ args, env, origin }: Local,
	memory: GuestMemory,
	exchange: Exchange,
): Record<string, (...values: never[]) => number> {
	const strings = {
		args_get: putOf(memory, args),
		args_sizes_get: measureOf(memory, args),
		environ_get: putOf(memory, env),
		environ_sizes_get: measureOf(memory, env),
	};
	if (origin === null) return strings;
	return {
		...strings,
		clock_time_get: clockOf(memory, exchange, origin),
		random_get: (buffer: number, length: number) => {
			fillRandom(memory.bytes(buffer, length));
			return wasiErrno.SUCCESS;
		},
	};
}

function measureOf(memory: GuestMemory, { bytes, offsets }: Strings) {
	return (count: number, size: number): number => {
		const counted = memory.view(count, 4);
		memory.view(size, 4).setUint32(0, bytes.length, true);
		counted.setUint32(0, offsets.length, true);
		return wasiErrno.SUCCESS;
	};
}

function putOf(memory: GuestMemory, { bytes, offsets }: Strings) {
	return (pointers: number, buffer: number): number => {
		const list = memory.view(pointers, 4 * offsets.length);
		memory.bytes(buffer, bytes.length).set(bytes);
		offsets.forEach((offset, i) => {
			list.setUint32(4 * i, (buffer >>> 0) + offset, true);
		});
		return wasiErrno.SUCCESS;
	};
}

function clockOf(memory: GuestMemory, exchange: Exchange, origin: number) {
	return (id: number, precision: bigint, time: number): number => {
		const now = timeOf(id, origin, exchange.mailbox.wall);
		if (now < 0) return exchange.call("clock_time_get", [id, precision, time] as Value[]);
		memory.view(time, 8).setBigUint64(0, BigInt(Math.trunc(now)), true);
		return wasiErrno.SUCCESS;
	};
}

/** The time of a clock as the kernel's thread would see it, -1 if that has to be asked. */
function timeOf(id: number, origin: number, wall: number): number {
	const monotonic = monotonicSince(origin);
	switch (id) {
		case CLOCK_MONOTONIC:
			return monotonic;
		case CLOCK_REALTIME: {
			const realtime = monotonic + wall;
			return Math.abs(realtime - wallClock()) < SET_NS ? realtime : -1;
		}
		default:
			return -1;
	}
}
