// linux: finds the ready one of many descriptors, compared with Linux's own poll, select and epoll.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FdSet, POLLIN, type Pollfd, pollNow, selectNow } from "@kqpoll/kqpoll";
import {
	EV_ADD,
	EVFILT_READ,
	eventList,
	Kernel,
	keventNow,
	kqueue,
	openFile,
	SyntheticFile,
	type Thread,
} from "@kqpoll/kqueue";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { type Contest, type Contestant, timed } from "../contest.ts";

const SIZES = [10, 100, 1000, 10_000];
/** Room for descriptors that are not counted: the standard ones, the kqueue or epoll. */
const SPARE = 16;

/** Prepares a question; each call of the result asks once, and returns how many are ready. */
type Ask = (thread: Thread, fds: readonly number[]) => () => number;

const byPoll: Ask = (thread, fds) => {
	const list = fds.map((fd): Pollfd => ({ fd, events: POLLIN, revents: 0 }));
	return () => pollNow(thread, list);
};

const bySelect: Ask = (thread, fds) => {
	const asked = new FdSet(fds);
	const set = asked.copy();
	const nfds = Math.max(...fds) + 1;
	return () => {
		set.words.set(asked.words);
		return selectNow(thread, nfds, set, null, null);
	};
};

const byKevent: Ask = (thread, fds) => {
	const kq = kqueue(thread);
	const changes = fds.map((ident) => ({ ident, filter: EVFILT_READ, flags: EV_ADD }));
	keventNow(thread, kq, changes, null);
	const events = eventList(64);
	return () => keventNow(thread, kq, null, events);
};

/** A call of Linux, and ours to compare it with. */
interface Call {
	/** Its name in the C program. */
	readonly call: string;
	readonly theirs: string;
	readonly ours: string;
	readonly ask: Ask;
	/** How many descriptors it can take. */
	readonly most: number;
	/** Whether it looks at every descriptor. */
	readonly grows: boolean;
}

const CALLS: readonly Call[] = [
	{ call: "poll", theirs: "poll", ours: "pollNow", ask: byPoll, most: Infinity, grows: true },
	// An fd_set of Linux has room for 1024.
	{
		call: "select",
		theirs: "select",
		ours: "selectNow",
		ask: bySelect,
		most: 1024 - SPARE,
		grows: true,
	},
	{
		call: "epoll",
		theirs: "epoll_wait",
		ours: "keventNow",
		ask: byKevent,
		most: Infinity,
		grows: false,
	},
];

/** A machine with `n` files, the one in the middle ready. */
function world(n: number, ask: Ask): () => number {
	const thread = new Kernel({ host: new VirtualHost(), maxfiles: n + SPARE }).spawn().main;
	const files = Array.from({ length: n }, () => new SyntheticFile());
	const fds = files.map((file) => openFile(thread, file));
	files[n >> 1]?.set("read", { data: 1 });
	return ask(thread, fds);
}

function ours({ ours: name, ask }: Call, n: number, turns: number): Contestant {
	let ready: (() => number) | null = null;
	return {
		name,
		run() {
			// Made when its turn comes, so that not all worlds exist at once.
			ready ??= world(n, ask);
			const once = ready;
			return timed(() => {
				for (let i = 0; i < turns; i++) {
					if (once() !== 1) throw new Error(`${name} did not find the one that is ready`);
				}
			});
		},
		close() {
			ready = null;
		},
	};
}

/** Linux's: the program measures itself, without its preparation. */
function theirs({ call, theirs: name }: Call, n: number, turns: number, path: string): Contestant {
	const run = (): number =>
		Number(execFileSync(path, [call, String(n), String(turns)], { encoding: "utf8" }));
	return { name: `Linux's ${name}`, run };
}

/** A program, and how many descriptors it may open. */
interface Program {
	readonly path: string;
	readonly limit: number;
}

/**
 * Compiles linux.c with the first compiler that works; returns a string that says why if none does.
 */
function compiled(): Program | string {
	if (process.platform !== "linux") return `this is ${process.platform}`;
	const folder = mkdtempSync(join(tmpdir(), "kqpoll-bench-"));
	process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
	const path = join(folder, "linux");
	const source = join(import.meta.dirname, "linux.c");
	const compilers = ["cc", "gcc", "clang"];
	const own = process.env["CC"]?.trim();
	if (own) compilers.unshift(own);
	for (const compiler of compilers) {
		// CC may have options: "ccache gcc".
		const [command = "", ...options] = compiler.split(/\s+/);
		const { status } = spawnSync(command, [...options, "-O2", "-o", path, source]);
		if (status !== 0) continue;
		const limit = spawnSync(path, ["limit"], { encoding: "utf8" });
		if (limit.status === 0) return { path, limit: Number(limit.stdout) };
	}
	return `no C compiler works (tried ${compilers.join(", ")})`;
}

/**
 * The contests, call by call for more and more descriptors; none without Linux and a C compiler.
 */
export function linux(quick: boolean): Contest[] {
	const program = compiled();
	if (typeof program === "string") {
		console.error(`linux is left out: ${program}`);
		return [];
	}
	const { path, limit } = program;
	const sizes = SIZES.filter((n) => n + SPARE <= limit);
	if (sizes.length < SIZES.length)
		console.error(`linux has fewer sizes: no more than ${limit} descriptors may be open`);
	const work = quick ? 200_000 : 2_000_000;
	return CALLS.flatMap((call) =>
		sizes
			.filter((n) => n <= call.most)
			.map((n) => {
				const turns = work / (call.grows ? n : 10);
				const contestants = [ours(call, n, turns), theirs(call, n, turns, path)];
				return { name: `linux ${call.call}`, n, unit: "call", count: turns, contestants };
			}),
	);
}
