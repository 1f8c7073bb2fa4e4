// What must hold of a terminal between calls.
import { kassert } from "@kqpoll/kqueue/kernel";
import { ICANON } from "./termios.ts";
import type { Tty } from "./tty.ts";
import { TTY_CHARMASK, TTY_QUOTE } from "./tty-queue.ts";

/**
 * For diagnostics: throws a Panic unless a terminal's queues, marks, sleepers and session agree.
 * `remote` says that its input comes in pieces, which wait in `canq` in any mode.
 */
export function ttyCheck(tp: Tty, remote: boolean): void {
	const { rawq, canq, outq, lflag } = tp;
	rawq.check(TTY_CHARMASK | TTY_QUOTE);
	canq.check(TTY_CHARMASK | TTY_QUOTE);
	outq.check(TTY_CHARMASK);
	const lines = (lflag & ICANON) !== 0 || remote;
	kassert(lines || canq.count === 0, "lines wait in canonical mode alone");
	kassert(tp.column >= 0 && tp.rocol >= 0, "columns begin at 0");
	kassert(!tp.retyping, "input is processed again before a call returns");
	const marked = 0 <= tp.lowat && tp.lowat < tp.hiwat && tp.hiwat < outq.limit;
	kassert(marked || !tp.isOpen, "an open terminal has its marks in order");
	kassert(
		!lines || canq.count === 0 || tp.readers.first === null,
		"no reader sleeps beside a line",
	);
	kassert(
		outq.count > 0 || tp.writers.first === null || tp.quiet,
		"no writer sleeps when all is printed",
	);
	kassert(tp.session === null || tp.session.tty === tp, "a session knows its terminal");
	kassert(
		tp.pgrp === null || tp.pgrp.session === tp.session,
		"the foreground is of the terminal's session",
	);
}
