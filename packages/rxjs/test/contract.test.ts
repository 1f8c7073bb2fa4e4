// The contract of each creator: the table in docs/rxjs.md says what is observed here.
import { readFileSync } from "node:fs";
import { openNow, pipe, revoke, Tree } from "@kqpoll/files";
import { O_CREAT, O_RDWR } from "@kqpoll/files/fcntl";
import { POLLIN, POLLNVAL } from "@kqpoll/kqpoll";
import {
	close,
	dup2,
	EVFILT_READ,
	exit,
	fork,
	kill,
	NOTE_EXIT,
	NOTE_FORK,
	NOTE_TRACK,
	openFile,
	readNow,
	SyntheticFile,
	sigaction,
	type Thread,
	threadExit,
	writeNow,
} from "@kqpoll/kqueue";
import { SIG_IGN, SIGUSR1 } from "@kqpoll/kqueue/signal";
import { type Observable, Subject, take, tap } from "rxjs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	exceptional,
	fromKevent,
	kernelTimer,
	pollfds,
	processEvents,
	readable,
	readBytes,
	signals,
	vnodeChanges,
	writable,
	writeBytes,
} from "../src/index.ts";
import { type World, world } from "./world.ts";

/** A creator on a machine. */
interface Case {
	/** The descriptor that it watches. */
	readonly fd?: number;
	readonly source: Observable<unknown>;
	/** What it refuses when it is subscribed to. */
	readonly refused?: Observable<unknown>;
	/** Something happens that subscribers are told of. */
	act(): void;
	/** Nothing more can happen. */
	end?(): void;
}

type Make = (w: World, thread: Thread) => Case;

const bytes = new Uint8Array(1);

const CREATORS: Readonly<Record<string, Make>> = {
	fromKevent({ file, fd }, thread) {
		let data = 0;
		const on = (ident: number): Observable<unknown> =>
			fromKevent(thread, { ident, filter: EVFILT_READ });
		return {
			fd,
			source: on(fd),
			refused: on(99),
			act: () => file.set("read", { data: ++data }),
			end: () => file.set("read", { eof: true }),
		};
	},
	readable(w, thread) {
		const [r, wr] = pipe(w.thread);
		return {
			fd: r,
			source: readable(thread, r),
			refused: readable(thread, 99),
			act: () => writeNow(w.thread, wr, bytes),
			end: () => close(w.thread, wr),
		};
	},
	writable({ file, fd }, thread) {
		let data = 0;
		return {
			fd,
			source: writable(thread, fd),
			refused: writable(thread, 99),
			act: () => file.set("write", { data: ++data }),
			end: () => file.set("write", { eof: true }),
		};
	},
	exceptional({ file, fd }, thread) {
		let data = 0;
		return {
			fd,
			source: exceptional(thread, fd),
			refused: exceptional(thread, 99),
			act: () => file.set("except", { data: ++data }),
		};
	},
	vnodeChanges(w, thread) {
		const tree = new Tree();
		const fd = openNow(w.thread, tree, "/file", O_RDWR | O_CREAT);
		return {
			fd,
			source: vnodeChanges(thread, fd),
			refused: vnodeChanges(thread, 99),
			act: () => writeNow(w.thread, fd, bytes),
			end: () => revoke(w.thread, tree, "/file"),
		};
	},
	processEvents(w, thread) {
		const child = fork(w.thread);
		return {
			source: processEvents(thread, child.pid),
			refused: processEvents(thread, 9999),
			act: () => void exit(fork(child.main).main, 0),
			end: () => exit(child.main, 0),
		};
	},
	"processEvents with NOTE_TRACK"(w, thread) {
		const child = fork(w.thread);
		const notes = NOTE_EXIT | NOTE_FORK | NOTE_TRACK;
		return {
			source: processEvents(thread, child.pid, notes),
			refused: processEvents(thread, 9999, notes),
			act: () => void exit(fork(child.main).main, 0),
			end: () => exit(child.main, 0),
		};
	},
	signals(w, thread) {
		sigaction(w.thread, SIGUSR1, SIG_IGN);
		return {
			source: signals(thread, SIGUSR1),
			refused: signals(thread, 99),
			act: () => void kill(w.thread, w.process.pid, SIGUSR1),
		};
	},
	kernelTimer: (w, thread) => ({
		source: kernelTimer(thread, 10),
		refused: kernelTimer(thread, Number.NaN),
		act: () => w.host.advance(10),
	}),
	"kernelTimer with oneshot": (w, thread) => ({
		source: kernelTimer(thread, 10, { oneshot: true }),
		refused: kernelTimer(thread, Number.NaN, { oneshot: true }),
		act: () => w.host.advance(10),
	}),
	pollfds(w, thread) {
		const [r, wr] = pipe(w.thread);
		const source = pollfds(thread, [{ fd: r, events: POLLIN }]).pipe(
			tap(([revents]) => {
				if (revents === POLLIN) readNow(w.thread, r, bytes);
			}),
			// A descriptor that is closed is reported by every poll.
			take(3),
		);
		return { fd: r, source, act: () => writeNow(w.thread, wr, bytes) };
	},
	readBytes(w, thread) {
		const [r, wr] = pipe(w.thread);
		return {
			fd: r,
			source: readBytes(thread, r),
			refused: readBytes(thread, 99),
			act: () => writeNow(w.thread, wr, bytes),
			end: () => close(w.thread, wr),
		};
	},
	writeBytes(w, thread) {
		const fd = pipe(w.thread)[1];
		const chunks = new Subject<Uint8Array>();
		return {
			fd,
			source: chunks.pipe(writeBytes(thread, fd)),
			refused: chunks.pipe(writeBytes(thread, 99)),
			act: () => chunks.next(bytes),
			end: () => chunks.complete(),
		};
	},
};

/** Lets a creator run on a machine of its own. */
function on<T>(make: Make, run: (w: World, it: Case, thread: Thread) => T): T {
	const w = world();
	const thread = w.process.spawnThread();
	return run(w, make(w, thread), thread);
}

const isEnd = (line: string): boolean => / (E[A-Z]+|done)$/.test(line);

/** How it ends: "EBADF", for example, or how it goes on. */
function endOf(lines: readonly string[]): string {
	const last = lines.find(isEnd)?.split(" ")[1];
	if (last !== undefined && last !== "done") return last;
	return lines.some((line) => line.split(" ")[1] === String(POLLNVAL)) ? "POLLNVAL" : "goes on";
}

const several = (make: Make): string =>
	on(make, (w, { source, act }) => {
		w.listen("a", source);
		w.listen("b", source);
		const refused = w.heard().find((line) => line.startsWith("b E"));
		if (refused !== undefined) return `unicast: the second gets ${refused.slice(2)}`;
		const knotes = w.process.fdp.firstKqueue?.nknotes;
		act();
		const lines = w.heard().map((line) => line[0]);
		if (!lines.includes("a") || !lines.includes("b")) return "unicast: one of them gets it";
		return knotes === 1 ? "multicast" : "unicast: each on its own";
	});

const first = (make: Make): string =>
	on(make, (w, { source, act }) => {
		act();
		w.listen("a", source);
		if (w.heard().length > 0) {
			w.listen("b", source);
			// The present state is told to a newcomer alone.
			const late = w.heard().map((line) => line[0]);
			assert.ok(!late.includes("a"), late.join());
			return "what is ready";
		}
		act();
		assert.ok(w.heard().length > 0);
		w.listen("b", source);
		assert.equal(w.heard(), []);
		return "what happens then";
	});

const turn = (make: Make): string =>
	on(make, (w, { source, act }) => {
		act();
		w.listen("a", source);
		assert.equal(w.log, []);
		w.heard();
		// Time that passes is a turn of its own.
		const { advance } = w.host;
		w.host.advance = () => {};
		act();
		w.host.advance = advance;
		return w.log.length === 0 ? "its own" : "that of its source";
	});

const completion = (make: Make): string =>
	on(make, (w, { source, act, end }) => {
		w.listen("a", source);
		w.heard();
		(end ?? act)();
		const lines = w.heard();
		if (!lines.includes("a done")) return "never";
		return lines.length === 1 ? "at the end" : "after its last event";
	});

const refusal = (make: Make): string =>
	on(make, (w, { refused }) => {
		if (refused === undefined) return "–";
		w.listen("a", refused);
		assert.equal(w.log, []);
		return endOf(w.heard());
	});

const closing = (make: Make): string =>
	on(make, (w, { source, fd }) => {
		if (fd === undefined) return "–";
		w.listen("a", source);
		w.heard();
		close(w.thread, fd);
		return endOf(w.heard());
	});

const replacing = (make: Make): string =>
	on(make, (w, { source, fd }) => {
		if (fd === undefined) return "–";
		w.listen("a", source);
		w.heard();
		dup2(w.thread, openFile(w.thread, new SyntheticFile()), fd);
		return endOf(w.heard());
	});

const forking = (make: Make): string =>
	on(make, (w, { source, fd, act }) => {
		w.listen("a", source);
		w.heard();
		const child = fork(w.thread);
		// What becomes of the copies of the child does not matter.
		if (fd !== undefined) close(child.main, fd);
		exit(child.main, 0);
		assert.equal(w.heard(), []);
		act();
		return w.heard().some((line) => !/ E/.test(line)) ? "goes on" : "lost";
	});

const exiting = (make: Make): string => {
	const ends = [threadExit, (thread: Thread) => exit(thread, 0)].map((leave) =>
		on(make, (w, { source }, thread) => {
			w.listen("a", source);
			w.heard();
			leave(thread);
			return endOf(w.heard());
		}),
	);
	assert.is(ends[0], ends[1], "the end of the process");
	return ends[0] ?? "";
};

const COLUMNS = [several, first, turn, completion, refusal, closing, replacing, forking, exiting];

test("the table of the docs says what each creator does", () => {
	const text = readFileSync(new URL("../../../docs/rxjs.md", import.meta.url), "utf8");
	const rows = text
		.split("\n")
		.filter((line) => line.startsWith("| `"))
		.map((line) =>
			line
				.split("|")
				.slice(1, -1)
				.map((cell) => cell.trim().replaceAll("`", "")),
		);
	const observed = Object.entries(CREATORS).map(([name, make]) => [
		name,
		...COLUMNS.map((column) => column(make)),
	]);
	assert.equal(rows, observed, observed.map((row) => `| ${row.join(" | ")} |`).join("\n"));
});

test.run();
