// Fifos by name: making them, opening them, and which opens wait for which.
import { POLLHUP, POLLIN, POLLOUT } from "@kqpoll/kqpoll";
import {
	close,
	dup,
	EV_ADD,
	EV_RECEIPT,
	EVFILT_VNODE,
	exit,
	fcntl,
	fork,
	fstat,
	interrupt,
	kill,
	NOTE_LINK,
	NOTE_WRITE,
	type Process,
	read,
	readNow,
	sigaction,
	sigprocmask,
	type Thread,
	threadExit,
	writeNow,
} from "@kqpoll/kqueue";
import { F_GETFD, F_GETFL, FD_CLOEXEC, O_APPEND, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import {
	SIG_BLOCK,
	SIG_UNBLOCK,
	SIGTERM,
	SIGUSR1,
	sigset,
	threadKill,
} from "@kqpoll/kqueue/signal";
import { S_IFDIR, S_IFIFO, S_IFREG } from "@kqpoll/kqueue/stat";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { O_CLOEXEC } from "../../src/shared/open-file.ts";
import {
	O_CREAT,
	O_DIRECTORY,
	O_EXCL,
	O_RDONLY,
	O_RDWR,
	O_TRUNC,
	O_WRONLY,
} from "../../src/shared/vnode-flags.ts";
import { chmod, stat, truncate, utimes } from "../../src/tree/attribute-calls.ts";
import { ftruncate } from "../../src/tree/descriptor-calls.ts";
import { link, mkdir, mkfifo, readdir, rename, rmdir, unlink } from "../../src/tree/name-calls.ts";
import { open, openNow } from "../../src/tree/open-calls.ts";
import { checkMachine, codeOf, collect, outcome, revents } from "../machine.ts";
import { bytes, drain, traces, type World, world } from "./fifo-world.ts";
import { add as addVnode } from "./vnode-world.ts";

const READ = O_RDONLY | O_NONBLOCK;
const WRITE = O_WRONLY | O_NONBLOCK;

/** A thread in an open of the fifo. */
interface Opener {
	readonly thread: Thread;
	readonly result: Promise<unknown>;
}

/** Begins an open of the fifo on a thread of its own. */
function opener(w: World, flags: number, signal?: AbortSignal): Opener {
	const thread = w.process.spawnThread();
	return { thread, result: outcome(open(thread, w.tree, "p", flags, 0, { signal })) };
}

test("mkfifo makes a fifo, and notifies the watchers of its directory", () => {
	const w = world();
	const { thread, tree, host, kq } = w;
	const root = openNow(thread, tree, "/", O_RDONLY);
	addVnode({ ...w, file: -1, directory: root }, root, EVFILT_VNODE, NOTE_WRITE | NOTE_LINK);
	host.advance(0.000007);
	mkfifo(thread, tree, "new", 0o170640);
	assert.equal(collect(thread, kq), [[root, EVFILT_VNODE, EV_ADD | EV_RECEIPT, NOTE_WRITE, 0]]);
	const times = { atime: 7, mtime: 7, ctime: 7 };
	const known = { size: 0, blksize: 16384, dev: tree.dev, uid: 0, gid: 0, nlink: 1, ...times };
	assert.equal(stat(thread, tree, "new"), { mode: S_IFIFO | 0o640, ino: 4, ...known });
	assert.is(stat(thread, tree, "p").mode, S_IFIFO | 0o666);
	assert.equal(fstat(thread, openNow(thread, tree, "new", O_RDWR)), stat(thread, tree, "new"));
	assert.is(stat(thread, tree, "/").nlink, 2);
});

test("readdir tells files, directories and fifos apart", () => {
	const { thread, tree } = world();
	mkdir(thread, tree, "d");
	openNow(thread, tree, "f", O_CREAT);
	assert.equal(readdir(thread, tree, "/"), [
		{ name: "p", ino: 3, type: S_IFIFO },
		{ name: "d", ino: 4, type: S_IFDIR },
		{ name: "f", ino: 5, type: S_IFREG },
	]);
});

test("mkfifo refuses names that are taken or impossible, and wrong modes", () => {
	const { thread, tree } = world();
	mkdir(thread, tree, "d");
	openNow(thread, tree, "f", O_CREAT);
	const before = readdir(thread, tree, "/");
	const cases: readonly [string, unknown, number?][] = [
		["EEXIST", "p"],
		["EEXIST", "f"],
		["EEXIST", "d"],
		["EEXIST", "d/"],
		["EISDIR", "/"],
		["ENOENT", "new/"],
		["ENOENT", "none/new"],
		["ENOENT", ""],
		["ENOTDIR", "f/new"],
		["ENOTDIR", "p/new"],
		["ENOTDIR", "p/"],
		["ENAMETOOLONG", "n".repeat(256)],
		["EFAULT", 7],
		["EINVAL", "a\0"],
		["EINVAL", "new", Number.NaN],
		["EINVAL", "new", 2 ** 31],
	];
	for (const [code, path, mode] of cases) {
		assert.is(
			codeOf(() => mkfifo(thread, tree, path as string, mode)),
			code,
			String(path),
		);
	}
	assert.equal(readdir(thread, tree, "/"), before);
});

test("a fifo has names like a file: it can be linked, renamed, removed, and has attributes", () => {
	const w = world();
	const { thread, tree, open } = w;
	mkdir(thread, tree, "d");
	assert.equal(
		[
			codeOf(() => readdir(thread, tree, "p")),
			codeOf(() => rmdir(thread, tree, "p")),
			codeOf(() => rename(thread, tree, "p", "d")),
			codeOf(() => rename(thread, tree, "d", "p")),
			codeOf(() => open(O_RDWR | O_DIRECTORY)),
			codeOf(() => open(O_RDWR | O_CREAT | O_EXCL)),
			codeOf(() => open(O_RDONLY | O_TRUNC)),
		],
		["ENOTDIR", "ENOTDIR", "EISDIR", "ENOTDIR", "ENOTDIR", "EEXIST", "EINVAL"],
	);
	link(thread, tree, "p", "q");
	rename(thread, tree, "q", "d/r");
	chmod(thread, tree, "p", 0o600);
	utimes(thread, tree, "p", 5, 6);
	const { mode, nlink, atime, mtime } = stat(thread, tree, "d/r");
	assert.equal([mode, nlink, atime, mtime], [S_IFIFO | 0o600, 2, 5, 6]);
	unlink(thread, tree, "p");
	unlink(thread, tree, "d/r");
	assert.is(
		codeOf(() => open(O_RDWR)),
		"ENOENT",
	);
	assert.equal(traces(w)[0], 0);
});

test("O_CREAT, O_TRUNC and O_APPEND have no effect on a fifo, and neither has truncating", () => {
	const { thread, tree, open } = world();
	const fd = open(O_RDWR);
	writeNow(thread, fd, bytes(9));
	const other = open(O_RDWR | O_CREAT | O_TRUNC | O_APPEND);
	truncate(thread, tree, "p", 3);
	ftruncate(thread, fd, 20);
	assert.equal(drain(thread, other, 20), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
	assert.is(stat(thread, tree, "p").size, 0);
	assert.is(
		codeOf(() => ftruncate(thread, open(READ), 0)),
		"EINVAL",
	);
});

test("names of one fifo lead to the same bytes", () => {
	const { thread, tree, open } = world();
	link(thread, tree, "p", "q");
	const reader = openNow(thread, tree, "q", READ);
	writeNow(thread, open(O_WRONLY), bytes(2));
	assert.equal(drain(thread, reader, 5), [0, 1]);
});

test("an open that does not have to wait does not, and one that has to is EAGAIN and changes nothing", () => {
	const cases: readonly [there: number[], flags: number, code: string][] = [
		[[], O_RDONLY, "EAGAIN"],
		[[], O_WRONLY, "EAGAIN"],
		[[], O_RDWR, "no error"],
		[[], READ, "no error"],
		[[], WRITE, "ENXIO"],
		[[], O_RDWR | O_NONBLOCK, "no error"],
		[[READ], O_RDONLY, "EAGAIN"],
		[[READ], O_WRONLY, "no error"],
		[[READ], WRITE, "no error"],
		[[O_RDWR], O_RDONLY, "no error"],
		[[O_RDWR], O_WRONLY, "no error"],
		[[O_RDWR], READ, "no error"],
		[[O_RDWR], WRITE, "no error"],
	];
	for (const [there, flags, code] of cases) {
		const w = world();
		for (const each of there) w.open(each);
		const before = traces(w);
		assert.is(
			codeOf(() => w.open(flags)),
			code,
			`${there} ${flags}`,
		);
		const after = code === "no error" ? [there.length + 1, true] : before;
		assert.equal(traces(w), after, `${there} ${flags}`);
	}
});

test("a writer whose reader has gone stays alone: other opens to write wait, or get ENXIO", () => {
	const w = world();
	const reader = w.open(READ);
	w.open(O_WRONLY);
	close(w.thread, reader);
	assert.equal([codeOf(() => w.open(O_WRONLY)), codeOf(() => w.open(WRITE))], ["EAGAIN", "ENXIO"]);
	assert.equal(traces(w), [1, true]);
	assert.is(
		codeOf(() => w.open(O_RDONLY)),
		"no error",
	);
});

test("an open that fails at once wakes no sleeper", async () => {
	const w = world();
	const waiting = opener(w, O_WRONLY);
	assert.equal([codeOf(() => w.open(O_WRONLY)), codeOf(() => w.open(WRITE))], ["EAGAIN", "ENXIO"]);
	w.host.settle();
	assert.is(waiting.thread.state, "asleep");
	interrupt(waiting.thread);
	w.host.settle();
	assert.is(await waiting.result, "EINTR");
});

test("the promise form has the same result as the Now form when there is nothing to wait for", async () => {
	const cases: readonly [path: string, flags: number][] = [
		["p", O_RDWR],
		["p", READ],
		["p", WRITE],
		["p", O_RDWR | O_CREAT | O_EXCL],
		["f", O_RDWR],
		["f", O_WRONLY | O_TRUNC],
		["new", O_CREAT | O_WRONLY],
		["new", O_CREAT | O_DIRECTORY],
		["d", O_RDONLY],
		["d", O_WRONLY],
		["none", O_RDONLY],
		["f/x", O_RDONLY],
		["f", 3],
	];
	for (const [path, flags] of cases) {
		const ends = await Promise.all(
			[0, 1].map(async (form) => {
				const { thread, tree } = world();
				mkdir(thread, tree, "d");
				close(thread, openNow(thread, tree, "f", O_CREAT));
				const call = () => openNow(thread, tree, path, flags, 0o640);
				const code =
					form === 0 ? codeOf(call) : await outcome(open(thread, tree, path, flags, 0o640));
				const names = readdir(thread, tree, "/").map(({ name }) => name);
				const mode = path === "new" && names.includes("new") && stat(thread, tree, "new").mode;
				return [typeof code === "number" ? "no error" : code, names, mode, tree.opens.size];
			}),
		);
		assert.equal(ends[0], ends[1], `${path} ${flags}`);
	}
});

test("an open to read sleeps until there is an open to write, and the other way round", async () => {
	for (const [first, second] of [
		[O_RDONLY, O_WRONLY],
		[O_RDONLY, O_RDWR],
		[O_RDONLY, WRITE],
		[O_WRONLY, O_RDONLY],
		[O_WRONLY, O_RDWR],
		[O_WRONLY, READ],
	] as const) {
		const w = world();
		const one = opener(w, first);
		const same = opener(w, first);
		w.host.settle();
		assert.equal([one.thread.state, same.thread.state], ["asleep", "asleep"]);
		assert.equal(traces(w), [2, true]);
		const other = opener(w, second);
		w.host.settle();
		const states = [one, same, other].map(({ thread }) => thread.state);
		assert.equal(states, ["running", "running", "running"]);
		// It has its descriptor first: the others have not woken up yet.
		assert.equal(await Promise.all([one.result, same.result, other.result]), [2, 3, 1]);
		assert.is(w.kernel.sleepers, 0);
		checkMachine(w);
	}
});

test("an open that waits counts as open: the other side can come and go without waiting", () => {
	const w = world();
	opener(w, O_RDONLY);
	const writer = w.open(WRITE);
	assert.equal(revents(w.thread, POLLIN | POLLOUT, writer), [POLLOUT]);
	close(w.thread, writer);
	// The first was woken, and will get its descriptor: until then it counts for the others too.
	assert.is(
		codeOf(() => w.open(O_WRONLY)),
		"no error",
	);
});

test("an open that was woken succeeds, even if the other side has gone again", async () => {
	const w = world();
	const reader = opener(w, O_RDONLY);
	const writer = w.open(O_WRONLY);
	writeNow(w.thread, writer, bytes(3));
	close(w.thread, writer);
	w.host.settle();
	const fd = (await reader.result) as number;
	assert.equal(revents(w.thread, POLLIN, fd), [POLLIN | POLLHUP]);
	assert.is(await read(w.thread, fd, new Uint8Array(9)), 3);
	assert.is(await read(w.thread, fd, new Uint8Array(9)), 0);
	close(w.thread, fd);
	const again = opener(w, O_WRONLY);
	close(w.thread, w.open(READ));
	w.host.settle();
	const to = (await again.result) as number;
	assert.is(
		codeOf(() => writeNow(w.thread, to, bytes(1))),
		"EPIPE",
	);
});

test("an open that slept keeps its flags", async () => {
	const w = world();
	const { result } = opener(w, O_WRONLY | O_APPEND | O_CLOEXEC);
	w.open(READ);
	w.host.settle();
	const fd = (await result) as number;
	const flags = [fcntl(w.thread, fd, F_GETFL), fcntl(w.thread, fd, F_GETFD)];
	assert.equal(flags, [O_WRONLY | O_APPEND, FD_CLOEXEC]);
});

/** Ways to end an open that sleeps, and its result then. */
const ENDS: readonly [name: string, end: (w: World, o: Opener) => void, code: unknown][] = [
	["interrupting it", (_w, { thread }) => interrupt(thread), "EINTR"],
	[
		"a signal",
		(w) => {
			sigaction(w.thread, SIGUSR1, () => {});
			sigprocmask(w.thread, SIG_BLOCK, sigset(SIGUSR1));
			kill(w.thread, w.process.pid, SIGUSR1);
		},
		"EINTR",
	],
	["the end of its thread", (_w, { thread }) => threadExit(thread), "EINTR"],
];

for (const [name, end, code] of ENDS) {
	for (const flags of [O_RDONLY, O_WRONLY]) {
		const side = flags === O_RDONLY ? "reads" : "writes";
		test(`${name} undoes an open that ${side}`, async () => {
			const w = world();
			const waiting = opener(w, flags);
			w.host.settle();
			assert.is(waiting.thread.state, "asleep");
			end(w, waiting);
			w.host.settle();
			assert.is(await waiting.result, code);
			assert.equal([...traces(w), w.kernel.sleepers], [0, false, 0]);
			assert.is(
				codeOf(() => w.open(WRITE)),
				"ENXIO",
			);
		});
	}
}

test("the end of its process undoes an open", async () => {
	const w = world();
	const ends: readonly ((child: Process) => void)[] = [
		(child) => exit(child.spawnThread(), 0),
		(child) => kill(w.thread, child.pid, SIGTERM),
	];
	for (const end of ends) {
		const child = fork(w.thread);
		const result = outcome(open(child.main, w.tree, "p", O_RDONLY));
		assert.equal(traces(w), [1, true]);
		end(child);
		w.host.settle();
		assert.is(await result, "EINTR");
		assert.equal([child.zombie, ...traces(w), w.kernel.sleepers], [true, 0, false, 0]);
	}
});

test("aborting undoes an open, before it begins, at once, or while it sleeps", async () => {
	const w = world();
	const early = opener(w, O_RDONLY, AbortSignal.abort("early"));
	assert.equal(traces(w), [0, false]);
	const controller = new AbortController();
	const late = opener(w, O_RDONLY, controller.signal);
	assert.equal(traces(w), [1, true]);
	controller.abort("late");
	w.host.settle();
	assert.equal(await Promise.all([early.result, late.result]), ["early", "late"]);
	assert.equal([...traces(w), w.kernel.sleepers], [0, false, 0]);
});

test("an open that is interrupted after it was woken is undone like by a close", async () => {
	const w = world();
	const writer = opener(w, O_WRONLY);
	const reader = w.open(READ);
	assert.equal(revents(w.thread, POLLIN, reader), [0]);
	interrupt(writer.thread);
	w.host.settle();
	assert.is(await writer.result, "EINTR");
	assert.equal(revents(w.thread, POLLIN, reader), [POLLIN | POLLHUP]);
	assert.equal(traces(w), [1, true]);
});

test("an open needs a descriptor before it waits, and when it is done", async () => {
	const w = world();
	w.process.fdp.limit = 1;
	assert.equal(
		[await opener(w, O_RDONLY).result, codeOf(() => w.open(O_RDWR)), traces(w)],
		["EMFILE", "EMFILE", [0, false]],
	);
	w.process.fdp.limit = 3;
	const waiting = opener(w, O_WRONLY);
	const reader = w.open(READ);
	dup(w.thread, reader);
	w.host.settle();
	assert.is(await waiting.result, "EMFILE");
	assert.equal(revents(w.thread, POLLIN, reader), [POLLIN | POLLHUP]);
	assert.equal(traces(w), [1, true]);
});

test("an open that is woken for nothing stays asleep", async () => {
	const w = world();
	sigaction(w.thread, SIGUSR1, () => {});
	for (const flags of [O_RDONLY, O_WRONLY]) {
		const thread = w.process.spawnThread();
		for (const each of [w.thread, thread]) sigprocmask(each, SIG_BLOCK, sigset(SIGUSR1));
		const result = outcome(open(thread, w.tree, "p", flags));
		threadKill(w.thread, thread, SIGUSR1);
		sigprocmask(thread, SIG_UNBLOCK, sigset(SIGUSR1));
		assert.is(thread.state, "ready");
		sigprocmask(thread, SIG_BLOCK, sigset(SIGUSR1));
		w.host.settle();
		assert.equal([thread.state, ...traces(w)], ["asleep", 1, true]);
		sigprocmask(thread, SIG_UNBLOCK, sigset(SIGUSR1));
		w.host.settle();
		assert.equal([await result, ...traces(w)], ["EINTR", 0, false]);
	}
});

test("a thread that sleeps in an open cannot be put to sleep again", async () => {
	const w = world();
	const waiting = opener(w, O_RDONLY);
	assert.is(await outcome(open(waiting.thread, w.tree, "p", O_RDWR)), "EBUSY");
	assert.equal(traces(w), [1, true]);
	w.open(O_WRONLY);
	w.host.settle();
	assert.is(await waiting.result, 2);
});

test("a fifo that is removed goes on working for its descriptors and for opens that wait", async () => {
	const w = world();
	const { thread, tree } = w;
	const reader = w.open(READ);
	const old = opener(w, O_RDONLY);
	unlink(thread, tree, "p");
	mkfifo(thread, tree, "p");
	const anew = opener(w, O_RDONLY);
	w.host.settle();
	const [oldState, newState] = [old.thread.state, anew.thread.state];
	assert.equal([oldState, newState, tree.opens.size], ["asleep", "asleep", 3]);
	const writer = w.open(O_WRONLY);
	writeNow(thread, writer, bytes(2));
	w.host.settle();
	assert.equal([old.thread.state, anew.thread.state], ["asleep", "running"]);
	assert.equal(drain(thread, reader, 5), []);
	assert.equal(drain(thread, (await anew.result) as number, 5), [0, 1]);
	interrupt(old.thread);
	w.host.settle();
	assert.is(await old.result, "EINTR");
	assert.is(readNow(thread, reader, new Uint8Array(1)), 0);
	assert.is(tree.opens.size, 3);
});

test.run();
