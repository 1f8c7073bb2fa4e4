// A machine with a pty, for the tests of terminals.

import { fcntl, readNow, writeNow } from "@kqpoll/kqueue";
import { F_SETFL, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { openpty, tcsetattrNow } from "../../src/index.ts";
import { TCSANOW, type Termios, TTYDEF, type Winsize } from "../../src/termios.ts";
import { codeOf, type Machine, machine } from "../machine.ts";

/** A pty, both ends of which do not block, and what a person does at it. */
export interface Terminal extends Machine {
	readonly master: number;
	readonly slave: number;
	/** Types; returns how many characters went in, or the error code. */
	type(text: string): unknown;
	/** What was printed since the last call; "EAGAIN" for nothing, "" at the end. */
	screen(): string;
	/** What the program reads: up to `n` bytes; "EAGAIN" for nothing yet, "" at the end of file. */
	read(n?: number): string;
	/** The program prints; returns how many characters went in, or the error code. */
	print(text: string): unknown;
	/** The program changes the settings. */
	set(changes: Partial<Termios>): void;
}

/** Makes a terminal with the settings of TTYDEF, except for `changes`. */
export function terminal(changes: Partial<Termios> = {}, winsize: Winsize | null = null): Terminal {
	const m = machine();
	const { thread } = m;
	let termios = { ...TTYDEF, ...changes };
	const [master, slave] = openpty(thread, termios, winsize);
	for (const fd of [master, slave]) fcntl(thread, fd, F_SETFL, O_NONBLOCK);
	const put = (fd: number, text: string): unknown => count(() => writeNow(thread, fd, bytes(text)));
	const get = (fd: number, n: number): string => {
		const buffer = new Uint8Array(n);
		const got = count(() => readNow(thread, fd, buffer));
		return typeof got === "number" ? string(buffer.subarray(0, got)) : String(got);
	};
	return {
		...m,
		master,
		slave,
		type: (text) => put(master, text),
		print: (text) => put(slave, text),
		screen: () => get(master, 10_000),
		read: (n = 10_000) => get(slave, n),
		set(more) {
			termios = { ...termios, ...more };
			tcsetattrNow(thread, slave, TCSANOW, termios);
		},
	};
}

/** The bytes of a text whose characters are all below 256. */
export function bytes(text: string): Uint8Array {
	return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** The reverse of {@link bytes}. */
export function string(from: Uint8Array): string {
	return String.fromCharCode(...from);
}

/** What a call returns, or the code of what it throws. */
export function count(call: () => number): unknown {
	let n: unknown;
	const code = codeOf(() => {
		n = call();
	});
	return code === "no error" ? n : code;
}

/** A character with the control key. */
export function ctrl(letter: string): string {
	return String.fromCharCode(letter.charCodeAt(0) & 0x1f);
}
