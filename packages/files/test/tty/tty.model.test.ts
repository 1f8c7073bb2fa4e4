// Random typing at a terminal, against a naive model that always draws the whole line.
import { EV_ADD, EVFILT_READ, eventList, ioctl, keventNow, kqueue } from "@kqpoll/kqueue";
import { FIONREAD } from "@kqpoll/kqueue/ioctl";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	ALTWERASE,
	ECHO,
	ECHOCTL,
	ECHOE,
	ECHOK,
	ECHOKE,
	ECHONL,
	ECHOPRT,
	ICANON,
	ICRNL,
	IEXTEN,
	IGNCR,
	IMAXBEL,
	INLCR,
	ISIG,
	ISTRIP,
	IXANY,
	IXON,
	NOFLSH,
	OXTABS,
	PARMRK,
	TTYDEF,
	VDISCARD,
	VDSUSP,
	VEOF,
	VEOL,
	VEOL2,
	VERASE,
	VINTR,
	VKILL,
	VLNEXT,
	VQUIT,
	VREPRINT,
	VSTART,
	VSTOP,
	VSUSP,
	VWERASE,
} from "../../src/tty/termios.ts";
import { TIOCOUTQ, TIOCSTART } from "../../src/tty/tty-constants.ts";
import { ctrl, type Terminal, terminal } from "./tty-world.ts";

/** The last line of a screen without a right edge, and the place of the cursor. */
class Screen {
	column = 0;
	private cells: string[] = [];

	print(text: string): void {
		for (const c of text) {
			if (c === "\n") this.cells = [];
			else if (c === "\r") this.column = 0;
			else if (c === "\b") this.column = Math.max(0, this.column - 1);
			else if (c === "\t") this.column = (this.column + 8) & ~7;
			else if (c >= " " && c !== "\x7f") this.set(this.column++, c);
		}
	}

	set(column: number, c: string): void {
		while (this.cells.length < column) this.cells.push(" ");
		this.cells[column] = c;
	}

	/** Whether there is nothing from the cursor on. */
	get ends(): boolean {
		return this.cells.slice(this.column).every((cell) => cell === " ");
	}

	get look(): readonly [string, number] {
		return [this.cells.join("").trimEnd(), this.column];
	}

	copy(): Screen {
		const copy = new Screen();
		copy.column = this.column;
		copy.cells = [...this.cells];
		return copy;
	}
}

/** A character that was typed, perhaps after ^V. */
interface Key {
	readonly c: string;
	readonly quoted: boolean;
}

const NL: Key = { c: "\n", quoted: false };
const CC = TTYDEF.cc.map((c, place) => (place === VEOL ? 0x3b : place === VEOL2 ? 0x21 : c));

/**
 * What a person and a program see of a line editor: the line is a list, and the screen is always
 * drawn from what was there before the line and what is left of the line.
 */
class Editor {
	/** OXTABS: whether a tab is printed as blanks; otherwise the screen goes to the next tab stop. */
	private readonly expands: boolean;
	iflag: number;
	lflag: number;
	/** The line that is being typed. */
	line: Key[] = [];
	/** The finished lines. */
	ready: Key[] = [];
	stopped = false;
	/**
	 * Whether the screen can be predicted: a kernel miscounts in some cases, and output may be lost.
	 */
	legible = true;
	private discarding = false;
	private retyping = false;
	private literal: "no" | "shown" | "hidden" = "no";
	/** ECHOPRT: whether a \ waits for its /. */
	private erasing = false;
	/** What is on the screen before the part of the line that was typed without output in between. */
	private base = new Screen();
	private shown: Key[] = [];
	/** How far to the right the line has reached. */
	private reach = 0;
	/** How many characters the kernel takes for being on the screen as they were typed. */
	private count = 0;
	/** Whether the line was printed again behind finished lines. */
	private behind = false;

	constructor(expands: boolean, iflag: number, lflag: number) {
		this.expands = expands;
		this.iflag = iflag;
		this.lflag = lflag;
	}

	private on(flag: number): boolean {
		return (this.lflag & flag) !== 0;
	}

	private does({ c, quoted }: Key, place: number): boolean {
		return !quoted && c.charCodeAt(0) === CC[place];
	}

	private ends(key: Key): boolean {
		const marks = this.on(IEXTEN) ? [VEOF, VEOL, VEOL2] : [VEOF, VEOL];
		return (key.c === "\n" && !key.quoted) || marks.some((place) => this.does(key, place));
	}

	/** How a character looks in a column. */
	private glyph({ c, quoted }: Key, column: number): string {
		if (c === "\t" && !quoted) return this.expands ? " ".repeat(8 - (column % 8)) : c;
		if (c === "\n" && !quoted) return "\r\n";
		if (c === "\x7f") return "^?";
		return c < " " ? `^${String.fromCharCode(c.charCodeAt(0) + 64)}` : c;
	}

	/** The expected screen. */
	picture(): Screen {
		const screen = this.base.copy();
		for (let column = screen.column; column < this.reach; column++) screen.set(column, " ");
		for (const key of this.shown) screen.print(this.glyph(key, screen.column));
		if (this.literal === "shown") screen.set(screen.column, "^");
		return screen;
	}

	/** What is drawn stays; what follows is drawn behind it. */
	private freeze(): void {
		this.base = this.picture();
		if (this.literal === "shown") this.literal = "hidden";
		this.shown = [];
		this.reach = this.base.column;
	}

	/** Something is printed that is not the line. */
	private say(text: string): void {
		this.freeze();
		const at = text.lastIndexOf("\n");
		if (at >= 0) {
			this.base = new Screen();
			this.legible = true;
		}
		for (const c of text.slice(at + 1)) {
			this.base.print(c === "\t" ? this.glyph({ c, quoted: false }, this.base.column) : c);
		}
		this.reach = this.base.column;
	}

	/** Shows what is typed, if it is echoed. */
	private echo(key: Key): void {
		this.discarding = false;
		const newline = key.c === "\n" && !key.quoted;
		if (!this.on(ECHO) && !(this.on(ECHONL) && newline)) return;
		this.freeze();
		this.say(this.glyph(key, this.base.column));
	}

	private reprint(): void {
		this.echo({ c: ctrl("R"), quoted: false });
		this.say("\n");
		for (const key of this.ready) this.echo(key);
		this.freeze();
		if (this.on(ECHO)) {
			this.shown = [...this.line];
			this.reach = this.picture().column;
		}
		this.count = this.line.length;
		this.behind = this.base.column > 0;
		this.erasing = false;
	}

	/** The last character of the line is erased. */
	private rub(): void {
		const key = this.line.pop() as Key;
		if (!this.on(ECHO)) return;
		if (this.on(ECHOE)) {
			const tab = key.c === "\t" && !key.quoted;
			if (this.count === 0 || (tab && this.count < this.line.length)) {
				this.reprint();
				return;
			}
			// Its width follows from the whole line, of which one character is elsewhere.
			if (tab && (this.count === this.line.length || this.behind)) this.legible = false;
			this.shown.pop();
		} else if (this.on(ECHOPRT)) {
			if (!this.erasing) this.say("\\");
			this.erasing = true;
			this.echo(key);
		} else {
			this.echo({ c: "\x7f", quoted: false });
		}
		this.discarding = false;
		this.count--;
	}

	private rubWord(): void {
		const last = () => this.line.at(-1);
		const isBlank = (key: Key | undefined) => !key?.quoted && (key?.c === " " || key?.c === "\t");
		while (isBlank(last())) this.rub();
		if (last() === undefined) return;
		this.rub();
		const isWord = (key: Key | undefined) => /[\w\x80-\xff]/.test(key?.c ?? "");
		const word = isWord(last());
		while (last() !== undefined && !isBlank(last())) {
			if (this.on(ALTWERASE) && isWord(last()) !== word) break;
			this.rub();
		}
	}

	private kill(key: Key): void {
		if (!this.on(ECHO) && this.on(ECHONL) && this.on(ECHOKE)) this.legible = false;
		if (this.on(ECHOKE) && !this.on(ECHOPRT) && this.count === this.line.length) {
			while (this.line.length > 0) this.rub();
		} else {
			this.echo(key);
			if (this.on(ECHOK | ECHOKE)) this.echo(NL);
			this.line = [];
			this.count = 0;
		}
		this.erasing = false;
	}

	private forgetInput(): void {
		this.freeze();
		this.line = [];
		this.ready = [];
		this.count = 0;
		this.erasing = false;
		this.literal = "no";
	}

	private forgetOutput(): void {
		// Not on the screen yet: the kernel goes on counting in the column where it was.
		if (this.stopped || this.retyping) this.legible = false;
		this.stopped = false;
	}

	/** A key, or a character that was typed in another mode. */
	type(c: string, quoted = false): void {
		let key: Key = { c, quoted };
		if (c === "\xff" && !quoted && (this.iflag & (PARMRK | ISTRIP)) === PARMRK) {
			// Both are there and neither is shown.
			this.legible = false;
			this.line.push({ c, quoted: true }, { c, quoted: true });
		} else {
			const strips = (this.iflag & ISTRIP) !== 0 && !this.retyping;
			if (strips) key = { c: String.fromCharCode(c.charCodeAt(0) & 0x7f), quoted };
			if (this.literal !== "no") key = { c: key.c, quoted: true };
			if (key.quoted) this.literal = "no";
			if (this.special(key)) return;
		}
		if (this.stopped && (this.iflag & IXANY) === 0) return;
		this.discarding = false;
		this.stopped = false;
	}

	/** Does what a key does; true when output neither starts nor goes on after it. */
	private special(key: Key): boolean {
		const does = (place: number) => this.does(key, place);
		if (this.on(IEXTEN) && does(VLNEXT)) this.takeNextLiterally(key);
		else if (this.on(IEXTEN) && does(VDISCARD)) {
			this.discard(key);
			return true;
		} else if (this.on(ISIG) && (does(VINTR) || does(VQUIT) || does(VSUSP))) this.signal(key);
		else if ((this.iflag & IXON) !== 0 && does(VSTOP)) {
			this.stopped = true;
			return true;
		} else if ((this.iflag & IXON) !== 0 && does(VSTART)) {
			this.stopped = false;
			this.discarding = false;
			return true;
		} else this.enter(key);
		return false;
	}

	private takeNextLiterally(key: Key): void {
		if (!this.on(ECHO)) this.literal = "hidden";
		else if (this.on(ECHOE)) this.literal = this.discarding ? "hidden" : "shown";
		else {
			this.echo(key);
			this.literal = "hidden";
		}
		this.reach = Math.max(this.reach, this.picture().column + (this.literal === "shown" ? 1 : 0));
	}

	private discard(key: Key): void {
		if (this.discarding) {
			this.discarding = false;
			return;
		}
		this.forgetOutput();
		this.echo(key);
		if (this.line.length + this.ready.length > 0) this.reprint();
		this.discarding = true;
	}

	private signal(key: Key): void {
		if (!this.on(NOFLSH)) {
			if (!this.does(key, VSUSP)) this.forgetOutput();
			this.forgetInput();
		} else if (this.count !== 0 || this.line.length > 0) this.legible = false;
		this.echo(key);
	}

	private enter(key: Key): void {
		const { c, quoted } = key;
		if (c === "\r" && !quoted && (this.iflag & IGNCR) !== 0) return;
		if (c === "\r" && !quoted && (this.iflag & ICRNL) !== 0) this.edit(NL);
		else if (c === "\n" && !quoted && (this.iflag & INLCR) !== 0) this.edit({ c: "\r", quoted });
		else this.edit(key);
	}

	private edit(key: Key): void {
		const does = (place: number) => this.does(key, place);
		if (!this.on(ICANON)) {
			this.line.push(key);
			this.echo(key);
		} else if (does(VERASE)) {
			if (this.line.length > 0) this.rub();
		} else if (does(VKILL)) this.kill(key);
		else if (this.on(IEXTEN) && does(VWERASE)) this.rubWord();
		else if (this.on(IEXTEN) && does(VREPRINT)) this.reprint();
		else this.store(key);
	}

	private store(key: Key): void {
		const ends = this.ends(key);
		this.line.push(key);
		if (this.erasing) {
			// What is printed while output is discarded still counts as a column.
			if (this.discarding) this.legible = false;
			else this.say("/");
		}
		this.erasing = false;
		if (ends) {
			this.ready.push(...this.line);
			this.line = [];
			this.count = 0;
			this.echo(key);
			// The cursor goes back over the ^D.
			if (this.does(key, VEOF) && this.on(ECHO)) this.say("\b\b");
			return;
		}
		if (this.count++ === 0) this.behind = false;
		if (!this.on(ECHO) || !this.on(ECHOE)) {
			this.echo(key);
			return;
		}
		this.discarding = false;
		// What the cursor passes stays on the screen.
		if (key.c === "\t" && !this.expands && !this.picture().ends) this.legible = false;
		this.shown.push(key);
		this.reach = Math.max(this.reach, this.picture().column);
	}

	/** A program prints. */
	print(text: string): void {
		if (this.discarding) return;
		this.say(text);
		this.count = 0;
	}

	/** A program changes the modes. */
	set(iflag: number, lflag: number): void {
		const lines = this.on(ICANON);
		// The kernel does not know that the line was typed in another mode.
		if (this.line.length > 0 || this.count !== 0 || this.erasing || this.literal !== "no")
			this.legible = false;
		this.freeze();
		this.discarding = false;
		this.iflag = iflag;
		this.lflag = lflag;
		if (lines === this.on(ICANON)) return;
		const typed = [...this.ready, ...this.line];
		this.ready = [];
		this.line = lines ? typed : [];
		if (lines) return;
		this.retyping = true;
		for (const { c, quoted } of typed) this.type(c, quoted);
		this.retyping = false;
	}

	/** A program lets output go on. */
	start(): void {
		this.discarding = false;
		this.stopped = false;
	}

	/** How much can be read. */
	get readable(): number {
		return this.on(ICANON) ? this.ready.length : this.line.length;
	}

	/** What a program reads. */
	read(n: number): string {
		if (n === 0) return "";
		const queue = this.on(ICANON) ? this.ready : this.line;
		const suspends = (key: Key) => this.on(IEXTEN) && this.on(ISIG) && this.does(key, VDSUSP);
		while (queue[0] !== undefined && suspends(queue[0])) queue.shift();
		if (queue.length === 0) return "EAGAIN";
		const hides = (key: Key) => suspends(key) || (this.on(ICANON) && this.does(key, VEOF));
		const end = queue.findIndex((key) => hides(key) || (this.on(ICANON) && this.ends(key)));
		const last = queue[end];
		if (last === undefined) return text(queue.splice(0, n));
		const length = hides(last) ? end : end + 1;
		if (n < length || (n === length && hides(last))) return text(queue.splice(0, n));
		return text(queue.splice(0, end + 1).slice(0, length));
	}
}

function text(keys: readonly Key[]): string {
	return keys.map(({ c }) => c).join("");
}

/** A number with any combination of the flags. */
function flags(fixed: number, ...some: readonly number[]): fc.Arbitrary<number> {
	return fc.subarray([...some]).map((chosen) => chosen.reduce((a, b) => a | b, fixed));
}

const lineModes = fc.record({
	iflag: fc.oneof(
		{ weight: 2, arbitrary: fc.constant(TTYDEF.iflag) },
		{ weight: 1, arbitrary: flags(IMAXBEL, ICRNL, INLCR, IGNCR, ISTRIP, IXON, IXANY, PARMRK) },
	),
	lflag: fc.oneof(
		{ weight: 2, arbitrary: fc.constant(TTYDEF.lflag) },
		{ weight: 2, arbitrary: flags(TTYDEF.lflag, ECHOK, ECHONL, ALTWERASE, NOFLSH) },
		{ weight: 1, arbitrary: flags(TTYDEF.lflag & ~ECHOE, ECHOPRT, ECHOK, ALTWERASE) },
		{
			weight: 1,
			arbitrary: flags(
				ECHOCTL,
				...[ICANON, ISIG, IEXTEN, ECHO, ECHOE, ECHOK, ECHOKE, ECHONL, ECHOPRT, ALTWERASE, NOFLSH],
			),
		},
	),
});

const letters = fc.constantFrom(..."aZ9_ \t\t\t-/.\x01\x1b\xe4\xff;!");
const editing = fc.constantFrom("\x7f", ..."UWRVDCZ".split("").map(ctrl));
const others = fc.constantFrom("\r", "\n", ..."OSQY\\".split("").map(ctrl));
const keys = fc.string({
	unit: fc.oneof(
		{ weight: 6, arbitrary: letters },
		{ weight: 4, arbitrary: editing },
		{ weight: 1, arbitrary: others },
	),
	minLength: 1,
	maxLength: 6,
});
const printed = fc.string({ unit: fc.constantFrom(..."xy \t\n"), minLength: 1, maxLength: 4 });
const lineCommand = fc.oneof(
	{ weight: 20, arbitrary: fc.record({ op: fc.constant("type" as const), keys }) },
	{ weight: 2, arbitrary: fc.record({ op: fc.constant("print" as const), printed }) },
	{
		weight: 4,
		arbitrary: fc.record({ op: fc.constant("read" as const), n: fc.constantFrom(1, 2, 5, 99) }),
	},
	{ weight: 1, arbitrary: fc.record({ op: fc.constant("set" as const), modes: lineModes }) },
);
type LineCommand = typeof lineCommand extends fc.Arbitrary<infer C> ? C : never;

/** A terminal and its model. */
class Lines {
	private readonly terminal: Terminal;
	private readonly editor: Editor;
	private readonly screen = new Screen();
	private readonly kq: number;

	constructor(expands: boolean, { iflag, lflag }: { iflag: number; lflag: number }) {
		const oflag = expands ? TTYDEF.oflag | OXTABS : TTYDEF.oflag;
		this.terminal = terminal({ iflag, oflag, lflag: lflag >>> 0, cc: CC });
		this.editor = new Editor(expands, iflag, lflag);
		const { thread, slave } = this.terminal;
		this.kq = kqueue(thread);
		const change = { ident: slave, filter: EVFILT_READ, flags: EV_ADD };
		keventNow(thread, this.kq, [change], null);
	}

	perform(command: LineCommand): void {
		const { terminal, editor } = this;
		switch (command.op) {
			case "type":
				for (const c of command.keys) {
					assert.is(terminal.type(c), 1);
					editor.type(c);
					this.check();
				}
				return;
			case "print":
				assert.is(terminal.print(command.printed), command.printed.length);
				editor.print(command.printed);
				break;
			case "read":
				assert.is(terminal.read(command.n), editor.read(command.n));
				break;
			case "set": {
				const { iflag, lflag } = command.modes;
				terminal.set({ iflag, lflag: lflag >>> 0, cc: CC });
				editor.set(iflag, lflag);
			}
		}
		this.check();
	}

	private check(): void {
		const { editor, kq } = this;
		const { thread, slave } = this.terminal;
		assert.is(ioctl(thread, slave, FIONREAD), editor.readable);
		const events = eventList(1);
		const n = keventNow(thread, kq, null, events);
		assert.equal(
			[n, n === 0 ? 0 : events[0]?.data],
			[editor.readable > 0 ? 1 : 0, editor.readable],
		);
		this.look();
	}

	/** Compares the screens, except while the terminal holds output back. */
	private look(): void {
		const { terminal, editor, screen } = this;
		// Held back, that much would not fit.
		if (ioctl(terminal.thread, terminal.slave, TIOCOUTQ) > 7000) {
			ioctl(terminal.thread, terminal.slave, TIOCSTART);
			editor.start();
		}
		const output = terminal.screen();
		if (editor.stopped) {
			assert.is(output, "EAGAIN");
			return;
		}
		if (output !== "EAGAIN") screen.print(output);
		if (editor.legible) assert.equal(screen.look, editor.picture().look);
	}
}

test("typed lines are edited, shown and read as on an emulated screen", () => {
	fc.assert(
		fc.property(
			fc.boolean(),
			lineModes,
			fc.array(lineCommand, { minLength: 1, maxLength: 40, size: "max" }),
			(expands, modes, commands) => {
				const lines = new Lines(expands, modes);
				for (const command of commands) lines.perform(command);
			},
		),
		{ numRuns: 300 },
	);
});

test.run();
