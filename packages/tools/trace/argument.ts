// The arguments of operations, from text.
import type { Timespec } from "@kqpoll/kqueue/time";

/** A number, decimal or hexadecimal with 0x; 0 if it is missing or not a number. */
export function integer(text: string | undefined): number {
	return Number.parseInt(text ?? "", text?.includes("0x") ? 16 : 10) || 0;
}

/** A number in hexadecimal, with or without 0x. */
export function hexadecimal(text: string | undefined): number {
	return Number.parseInt(text ?? "", 16);
}

/** The entries of a list; `-` is an empty one. */
export function list(text: string | undefined): string[] {
	return text === undefined || text === "-" ? [] : text.split(";");
}

/** A timeout in nanoseconds, null for one that never ends. */
export function timespec(text: string | undefined): Timespec | null {
	if (text === "inf") return null;
	const ns = integer(text);
	return ns < 0 ? { sec: -1, nsec: 0 } : { sec: Math.floor(ns / 1e9), nsec: ns % 1e9 };
}

/** The flag if a mode begins with n, otherwise no flag. */
export function ifNonblocking(mode: string | undefined, flag: number): number {
	return mode?.startsWith("n") === true ? flag : 0;
}
