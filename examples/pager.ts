// A pager that reads text from a pipe and keys from a terminal, and redraws when the window
// changes: one wait, without a timeout, for three things. With select that takes a signal handler,
// a self-pipe and care; with kevent a changed window is an event like the others.
import { openDevice, tcgetattr, tcgetwinsize, tcsetattrNow } from "@kqpoll/files";
import { ECHO, ICANON, TCSANOW } from "@kqpoll/files/termios";
import {
	EV_ADD,
	EV_DELETE,
	EV_SET,
	EVFILT_READ,
	EVFILT_SIGNAL,
	eventList,
	exit,
	kevent,
	kqueue,
	readNow,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { SIGWINCH } from "@kqpoll/kqueue/signal";
import { perform } from "./pager-person.ts";

/** Shows what comes from descriptor 0 on the terminal, until q is typed; then the process exits. */
export async function pager(thread: Thread): Promise<void> {
	const tty = openDevice(thread, "tty");
	const before = tcgetattr(thread, tty);
	// Keys are read at once, and are not echoed.
	tcsetattrNow(thread, tty, TCSANOW, { ...before, lflag: before.lflag & ~(ICANON | ECHO) });
	const page = new Page();

	const kq = kqueue(thread);
	let changes = [
		EV_SET(0, EVFILT_READ, EV_ADD),
		EV_SET(tty, EVFILT_READ, EV_ADD),
		EV_SET(SIGWINCH, EVFILT_SIGNAL, EV_ADD),
	];
	const events = eventList(changes.length);
	const buffer = new Uint8Array(4096);
	for (let running = true; running; ) {
		const { row, col } = tcgetwinsize(thread, tty);
		writeNow(thread, tty, new TextEncoder().encode(page.draw(row, col)));
		const n = await kevent(thread, kq, changes, events, null);
		changes = [];
		for (const { ident, filter } of events.slice(0, n)) {
			// After a change of size it is enough to draw again.
			if (filter === EVFILT_SIGNAL) continue;
			const text = new TextDecoder().decode(buffer.subarray(0, readNow(thread, ident, buffer)));
			if (ident === tty) {
				for (const key of text) running &&= page.key(key, row);
			} else {
				page.add(text);
				// At its end a pipe stays readable, and every wait would report it.
				if (text === "") changes.push(EV_SET(0, EVFILT_READ, EV_DELETE));
			}
		}
	}
	tcsetattrNow(thread, tty, TCSANOW, before);
	exit(thread, 0);
}

/** The text, and the part of it that is shown. */
class Page {
	private text = "";
	private ended = false;
	private top = 0;

	/** Appends text; an empty chunk is its end. */
	add(text: string): void {
		this.text += text;
		if (text === "") this.ended = true;
	}

	/** Does what a key is for; returns false to quit. */
	key(key: string, rows: number): boolean {
		const page = rows - 1;
		const bottom = Math.max(0, this.lines.length - page);
		if (key === " ") this.top = Math.min(this.top + page, Math.max(this.top, bottom));
		if (key === "b") this.top = Math.max(0, this.top - page);
		return key !== "q";
	}

	private get lines(): string[] {
		return this.text.split("\n").slice(0, -1);
	}

	/** The characters that clear the screen and show the current part of the text. */
	draw(rows: number, columns: number): string {
		const shown = this.lines.slice(this.top, this.top + rows - 1);
		const last = this.top + shown.length === this.lines.length;
		const status = !last ? ":" : this.ended ? "(END)" : "(waiting for more)";
		const body = shown.map((line) => `${line.slice(0, columns)}\n`);
		return `\x1b[H\x1b[2J${body.join("")}${status}`;
	}
}

/** Lets a scripted person use the pager, in virtual time, and prints each screen. */
export const run = (print: (line: string) => void): Promise<void> => perform(pager, print);
