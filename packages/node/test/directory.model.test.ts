// The same random calls on a tree in memory and on a real directory: the same results, errors and notes.
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
	type FileSystem,
	ftruncate,
	getdents,
	mkdir,
	mount,
	openNow,
	Tree,
	unmount,
} from "@kqpoll/files";
import {
	fchmodat,
	fstatat,
	linkat,
	mkdirat,
	openatNow,
	readlinkat,
	renameat,
	symlinkat,
	unlinkat,
	utimensat,
} from "@kqpoll/files/at";
import {
	AT_REMOVEDIR,
	AT_SYMLINK_NOFOLLOW,
	O_CREAT,
	O_DIRECTORY,
	O_EXCL,
	O_NOFOLLOW,
	O_RDONLY,
	O_RDWR,
	O_TRUNC,
	O_WRONLY,
} from "@kqpoll/files/fcntl";
import {
	close,
	EV_ADD,
	EV_CLEAR,
	EVFILT_VNODE,
	eventList,
	fstat,
	keventNow,
	kqueue,
	lseek,
	NOTE_ATTRIB,
	NOTE_DELETE,
	NOTE_EXTEND,
	NOTE_LINK,
	NOTE_RENAME,
	NOTE_TRUNCATE,
	NOTE_WRITE,
	readNow,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { O_APPEND } from "@kqpoll/kqueue/fcntl";
import { S_IFDIR, UTIME_OMIT } from "@kqpoll/kqueue/stat";
import { pread, pwrite, SEEK_CUR, SEEK_END, SEEK_SET } from "@kqpoll/kqueue/unistd";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RealDirectory } from "../src/index.ts";
import { codeOf, type World, world } from "./world.ts";

const ALL =
	NOTE_ATTRIB | NOTE_DELETE | NOTE_EXTEND | NOTE_LINK | NOTE_RENAME | NOTE_TRUNCATE | NOTE_WRITE;
/** How many descriptors a program has at most. */
const SLOTS = 6;

/** One of the two sides. */
interface Side {
	readonly thread: Thread;
	readonly kq: number;
	/** The directory that is mounted. */
	readonly top: number;
	/** What is open. */
	readonly fds: number[];
	/** Whether directories stay open: reached by path, those that were removed are ENOENT. */
	readonly keeps: boolean;
}

type Operation = (side: Side) => unknown;
/** A call, and how to print it. */
interface Step {
	readonly name: string;
	readonly act: Operation;
}

const name = fc.constantFrom("a", "b", "c");
const anywhere = fc
	.tuple(
		fc.array(fc.oneof(name, name, fc.constantFrom("..", ".")), { minLength: 1, maxLength: 3 }),
		fc.constantFrom("", "", "", "/"),
	)
	.map(([names, end]) => names.join("/") + end);
const path = fc.oneof(
	name,
	name.map((last) => `b/${last}`),
	name.map((last) => `b/b/${last}`),
	anywhere,
);
const target = fc.oneof(path, fc.constantFrom("/m/a", "/m/b/c", "/x", "../x", "c", "a/b"));
const slot = fc.nat(SLOTS - 1);
const size = fc.constantFrom(0, 1, 5, 100, 5000);
const flags = fc
	.tuple(
		fc.constantFrom(O_RDONLY, O_WRONLY, O_RDWR),
		fc.subarray([O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_NOFOLLOW, O_DIRECTORY]),
	)
	.map(([mode, others]) => others.reduce((all, flag) => all | flag, mode));
const permissions = fc.constantFrom(0o700, 0o755, 0o644 | 0o700);
const seconds = fc.integer({ min: 1, max: 2 ** 31 });

/** What is compared of a file. */
function facts(stat: ReturnType<typeof fstatat>): unknown {
	const { mode, nlink, uid, gid } = stat;
	return [mode, nlink, uid, gid, (mode & S_IFDIR) === 0 ? stat.size : "directory"];
}

function step<T extends unknown[]>(
	label: string,
	arbitraries: { [K in keyof T]: fc.Arbitrary<T[K]> },
	act: (side: Side, ...args: T) => unknown,
): fc.Arbitrary<Step> {
	return fc.tuple(...arbitraries).map((args) => ({
		name: `${label}(${args.map((each) => JSON.stringify(each)).join(", ")})`,
		act: (side: Side) => act(side, ...(args as unknown as T)),
	}));
}

const fdOf = ({ fds, top }: Side, at: number): number => fds[at % Math.max(1, fds.length)] ?? top;

function open(side: Side, to: string, how: number, mode: number): unknown {
	const { thread, kq, fds, top, keeps } = side;
	const ident = openatNow(thread, top, to, how, mode);
	if (!keeps && (fstat(thread, ident).mode & S_IFDIR) !== 0) return close(thread, ident);
	if (fds.length === SLOTS) close(thread, fds.shift() as number);
	fds.push(ident);
	const change = { ident, filter: EVFILT_VNODE, flags: EV_ADD | EV_CLEAR, fflags: ALL };
	keventNow(thread, kq, [change], null);
	return "open";
}

const STEPS: fc.Arbitrary<Step>[] = [
	step<[string, number, number]>("open", [path, flags, permissions], open),
	step<[string, number]>("create", [path, permissions], (side, to, mode) =>
		open(side, to, O_CREAT | O_RDWR, mode),
	),
	step<[string]>("opendir", [path], (side, to) => open(side, to, O_RDONLY | O_DIRECTORY, 0)),
	step<[string, number]>("mkdir", [path, permissions], ({ thread, top }, to, mode) =>
		mkdirat(thread, top, to, mode),
	),
	step<[string]>("unlink", [path], ({ thread, top }, to) => unlinkat(thread, top, to)),
	step<[string]>("rmdir", [path], ({ thread, top }, to) => unlinkat(thread, top, to, AT_REMOVEDIR)),
	step<[string, string]>("rename", [path, path], ({ thread, top }, from, to) =>
		renameat(thread, top, from, top, to),
	),
	step<[string, string]>("link", [path, path], ({ thread, top }, from, to) =>
		linkat(thread, top, from, top, to),
	),
	step<[string, string]>("symlink", [target, path], ({ thread, top }, to, at) =>
		symlinkat(thread, to, top, at),
	),
	step<[string]>("readlink", [path], ({ thread, top }, to) => readlinkat(thread, top, to)),
	step<[string, boolean]>("stat", [path, fc.boolean()], ({ thread, top }, to, follow) =>
		facts(fstatat(thread, top, to, follow ? 0 : AT_SYMLINK_NOFOLLOW)),
	),
	step<[string, number]>("chmod", [path, permissions], ({ thread, top }, to, mode) =>
		fchmodat(thread, top, to, mode),
	),
	step<[string, number]>("utimens", [path, seconds], ({ thread, top }, to, sec) => {
		utimensat(thread, top, to, [
			{ sec, nsec: 0 },
			{ sec: 0, nsec: UTIME_OMIT },
		]);
		return fstatat(thread, top, to).atime;
	}),
	step<[number]>("close", [slot], (side, at) => {
		if (side.fds.length === 0) return;
		close(side.thread, side.fds.splice(at % side.fds.length, 1)[0] as number);
	}),
	step<[number]>("fstat", [slot], (side, at) => {
		const stat = fstat(side.thread, fdOf(side, at)) as ReturnType<typeof fstatat>;
		// A directory without a name has a size here, and none in memory.
		return facts(stat);
	}),
	step<[number, number]>("write", [slot, size], (side, at, n) =>
		writeNow(side.thread, fdOf(side, at), new Uint8Array(n).fill(n)),
	),
	step<[number, number, number]>("pwrite", [slot, size, size], (side, at, n, offset) =>
		pwrite(side.thread, fdOf(side, at), new Uint8Array(n).fill(7), offset),
	),
	step<[number, number]>("read", [slot, size], (side, at, n) => {
		const buffer = new Uint8Array(n);
		return [readNow(side.thread, fdOf(side, at), buffer), Buffer.from(buffer).toString("base64")];
	}),
	step<[number, number, number]>("pread", [slot, size, size], (side, at, n, offset) => {
		const buffer = new Uint8Array(n);
		const count = pread(side.thread, fdOf(side, at), buffer, offset);
		return [count, Buffer.from(buffer).toString("base64")];
	}),
	step<[number, number]>("ftruncate", [slot, size], (side, at, n) =>
		ftruncate(side.thread, fdOf(side, at), n),
	),
	step<[number, number, number]>(
		"lseek",
		[slot, size, fc.constantFrom(SEEK_SET, SEEK_CUR, SEEK_END)],
		(side, at, offset, whence) => {
			const fd = fdOf(side, at);
			const { mode } = fstat(side.thread, fd);
			// Positions in directories are each file system's own.
			if ((mode & S_IFDIR) !== 0) return;
			return lseek(side.thread, fd, offset, whence);
		},
	),
	step<[number]>("getdents", [slot], (side, at) => {
		const { thread } = side;
		const fd = fdOf(side, at);
		if ((fstat(thread, fd).mode & S_IFDIR) === 0) return codeOf(() => getdents(thread, fd, 1));
		lseek(thread, fd, 0, SEEK_SET);
		const found: string[] = [];
		for (let some = getdents(thread, fd, 2); some.length > 0; some = getdents(thread, fd, 2))
			found.push(...some.map((each) => `${each.name} ${each.type}`));
		return found.sort();
	}),
];

/** The notes of the files that are open, by their places, since the last call. */
function notes({ thread, kq, fds }: Side): string[] {
	const events = eventList(SLOTS + 1);
	const n = keventNow(thread, kq, null, events);
	return events.slice(0, n).map(({ ident, fflags }) => `${fds.indexOf(ident)}: ${fflags}`);
}

function side({ thread }: World, fs: FileSystem, keeps: boolean): { side: Side; end: () => void } {
	const tree = new Tree();
	mkdir(thread, tree, "m");
	mount(thread, tree, "m", fs);
	const top = openNow(thread, tree, "m", O_RDONLY);
	for (const to of ["b", "b/b"]) mkdirat(thread, top, to, 0o755);
	for (const to of ["a", "b/a"]) close(thread, openatNow(thread, top, to, O_CREAT, 0o700));
	symlinkat(thread, "b/a", top, "c");
	const end = (): void => unmount(thread, tree, "m", { force: true });
	return { side: { thread, kq: kqueue(thread), top, fds: [], keeps }, end };
}

/** Runs the steps on both sides, and compares after each. */
function run(steps: readonly Step[], byPath: boolean): void {
	const folder = mkdtempSync(join(tmpdir(), "kqpoll-"));
	// As the root of a tree.
	chmodSync(folder, 0o755);
	const real = new RealDirectory(folder, { byPath });
	const w = world();
	const [one, other] = [side(w, new Tree(), !byPath), side(w, real, !byPath)];
	try {
		const seen: string[] = [];
		for (const { name: label, act } of steps) {
			seen.push(label);
			const outcome = ({ side: each }: typeof one): unknown => {
				let result: unknown;
				const code = codeOf(() => {
					result = act(each);
				});
				return [label, code, result, notes(each)];
			};
			assert.equal(outcome(other), outcome(one), seen.join("\n"));
		}
	} finally {
		one.end();
		other.end();
		rmSync(folder, { recursive: true });
	}
	assert.is(real.fds.size, 0);
}

const RUNS = Number(process.env["RUNS"] ?? 60);

/** Runs random programs, with permissions that the umask leaves alone. */
function compare(byPath: boolean, numRuns: number): void {
	const before = process.umask(0);
	const programs = fc.array(fc.oneof(...STEPS), { minLength: 10, maxLength: 60, size: "max" });
	try {
		fc.assert(
			fc.property(programs, (steps) => run(steps, byPath)),
			{ numRuns },
		);
	} finally {
		process.umask(before);
	}
}

test("a real directory answers random calls as memory does", () => compare(false, RUNS));

test("so does one whose files are reached by path", () => compare(true, RUNS / 2));

test.run();
