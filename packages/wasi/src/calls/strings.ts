// args_get, args_sizes_get, environ_get, environ_sizes_get: what the guest was started with.
import { type Guest, SUCCESS } from "../guest/guest.ts";

/** Writes the arguments to `buffer`, each with a NUL after it, and pointers to them to `pointers`. */
export function args_get(guest: Guest, pointers: number, buffer: number): number {
	return put(guest, guest.strings.args, pointers, buffer);
}

/** Writes how many arguments there are, and how many bytes they take. */
export function args_sizes_get(guest: Guest, count: number, size: number): number {
	return measure(guest, guest.strings.args, count, size);
}

/** As {@link args_get}, for the environment. */
export function environ_get(guest: Guest, pointers: number, buffer: number): number {
	return put(guest, guest.strings.env, pointers, buffer);
}

/** As {@link args_sizes_get}, for the environment. */
export function environ_sizes_get(guest: Guest, count: number, size: number): number {
	return measure(guest, guest.strings.env, count, size);
}

function sizeOf(strings: readonly Uint8Array[]): number {
	return strings.reduce((sum, { length }) => sum + length + 1, 0);
}

function measure(
	{ memory }: Guest,
	strings: readonly Uint8Array[],
	count: number,
	size: number,
): number {
	memory.check(count, 4);
	memory.setU32(size, sizeOf(strings));
	memory.setU32(count, strings.length);
	return SUCCESS;
}

function put(
	{ memory }: Guest,
	strings: readonly Uint8Array[],
	pointers: number,
	buffer: number,
): number {
	memory.check(pointers, 4 * strings.length);
	let at = memory.check(buffer, sizeOf(strings));
	strings.forEach((string, i) => {
		memory.setU32((pointers >>> 0) + 4 * i, at);
		memory.setBytes(at, string);
		memory.setU8(at + string.length, 0);
		at += string.length + 1;
	});
	return SUCCESS;
}
