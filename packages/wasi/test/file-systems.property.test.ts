// Whatever a guest does, files in memory answer as those of a real directory.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mount, Tree, unmount } from "@kqpoll/files";
import type { Thread } from "@kqpoll/kqueue";
import { RealDirectory } from "@kqpoll/node";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ALL, Calls, type Filestat, rights } from "./calls.ts";

/** A call of the guest, and its answer. */
interface Step {
	readonly text: string;
	run(calls: Calls): unknown;
}

const path = fc.oneof(
	{ weight: 3, arbitrary: fc.constantFrom("a", "b", "l", "a/b", "a/c", "l/b", "c") },
	{
		weight: 1,
		arbitrary: fc.constantFrom(
			...[
				"a/",
				"b/c",
				".",
				"..",
				"a/..",
				"a/../b",
				"l/",
				"",
				"b/.",
				"a//b",
				"/a",
				"b/../a/b",
				"../a",
			],
		),
	},
);
/** Descriptors from the preopened directory on. */
const fd = fc.integer({ min: 3, max: 6 });
/** Those but the preopened directory. */
const opened = fc.integer({ min: 4, max: 6 });
const small = fc.bigInt(-1n, 12n);
const base = fc.constantFrom(
	0n,
	rights("fd_read"),
	rights("fd_write"),
	rights("fd_filestat_set_size"),
	rights("fd_read", "fd_write", "fd_seek", "fd_tell", "fd_readdir", "fd_filestat_get"),
	ALL,
	ALL & ~rights("fd_write"),
);

/** A step whose arguments are random. */
function step<T extends unknown[]>(
	name: string,
	of: { [K in keyof T]: fc.Arbitrary<T[K]> },
	run: (calls: Calls, ...args: T) => unknown,
): fc.Arbitrary<Step> {
	return (fc.tuple(...of) as unknown as fc.Arbitrary<T>).map((args) => ({
		text: `${name}(${args.join(", ")})`,
		run: (calls) => run(calls, ...args),
	}));
}

/** What has to be equal of a file: directories differ in sizes and links. */
function brief(stat: Filestat | string): unknown {
	if (typeof stat === "string") return stat;
	const { filetype, nlink, size } = stat;
	return filetype === 3 ? "a directory" : `${filetype}: ${nlink} names, ${size} bytes`;
}

function names(calls: Calls, dir: number): unknown {
	const read = calls.readdir(dir, 4096);
	if (typeof read === "string") return read;
	return read.entries.map(({ name, type }) => `${name} ${type}`).sort();
}

const directory = fc.oneof({ weight: 5, arbitrary: fc.constant(3) }, { weight: 1, arbitrary: fd });
const oflags = fc.oneof(
	{ weight: 4, arbitrary: fc.constantFrom(0, 1, 2) },
	{ weight: 1, arbitrary: fc.nat(15) },
);
const flags = fc.constantFrom(0, 1, 4, 16);
const open = step(
	"open",
	[directory, path, fc.boolean(), oflags, base, flags],
	(c, dir, to, follow, oflags, base, fdflags) =>
		c.open(to, { dir, follow, oflags, base, inheriting: ALL, fdflags }),
);
const steps = fc.oneof(
	{ weight: 6, arbitrary: open },
	step("mkdir", [path], (c, at) => c.path("path_create_directory", at)),
	step("rmdir", [path], (c, at) => c.path("path_remove_directory", at)),
	step("unlink", [path], (c, at) => c.path("path_unlink_file", at)),
	step("link", [path, path, fc.boolean()], (c, from, to, follow) => c.link(from, to, follow)),
	step("rename", [path, path], (c, from, to) => c.rename(from, to)),
	// Real systems have no empty links.
	step("symlink", [path, path], (c, to, at) => to === "" || c.symlink(to, at)),
	step("readlink", [path, fc.nat(5)], (c, at, room) => c.readlink(at, room)),
	step("stat", [path, fc.boolean()], (c, at, follow) => brief(c.stat(at, follow))),
	step("fstat", [fd], (c, of) => brief(c.fstat(of))),
	step("fdstat", [fd], (c, of) => c.fdstat(of)),
	step("names", [fd], names),
	step("write", [fd, fc.constantFrom("", "x", "hello")], (c, to, text) => c.write(to, text)),
	step("read", [fd, fc.nat(9)], (c, from, n) => c.read(from, n)),
	step("pwrite", [fd, fc.constantFrom("", "yy"), small], (c, to, text, at) =>
		c.pwrite(to, text, at),
	),
	step("pread", [fd, fc.nat(9), small], (c, from, n, at) => c.pread(from, n, at)),
	step("seek", [fd, fc.bigInt(-5n, 12n), fc.nat(3)], (c, of, at, whence) => c.seek(of, at, whence)),
	step("set size", [fd, small], (c, of, size) => c.call("fd_filestat_set_size", of, size)),
	step("allocate", [fd, small, small], (c, of, at, n) => c.call("fd_allocate", of, at, n)),
	step("set flags", [fd, fc.nat(31)], (c, of, flags) => c.call("fd_fdstat_set_flags", of, flags)),
	step("sync", [fd], (c, of) => c.call("fd_sync", of)),
	step("close", [opened], (c, of) => c.call("fd_close", of)),
	step("renumber", [opened, opened], (c, from, to) => c.call("fd_renumber", from, to)),
);

/** What is there at first: a directory, a file, and a link. */
function begin(calls: Calls): void {
	assert.is(calls.path("path_create_directory", "a"), "SUCCESS");
	calls.create("a/b");
	calls.create("b");
	assert.is(calls.symlink("a", "l"), "SUCCESS");
}

/** Does the steps in both, and compares each answer. */
function compare(folder: string, all: readonly Step[]): void {
	const tree = new Tree();
	let thread: Thread | null = null;
	const memory = new Calls();
	const real = new Calls(({ main }) => {
		thread = main;
		mount(main, tree, "/", new RealDirectory(folder));
		return { preopens: { "/": tree } };
	});
	try {
		for (const calls of [memory, real]) begin(calls);
		for (const { text, run } of all) assert.equal(run(memory), run(real), text);
	} finally {
		if (thread !== null) unmount(thread, tree, "/", { force: true });
	}
}

test("files in memory answer as those of a real directory", () => {
	fc.assert(
		fc.property(fc.array(steps, { maxLength: 60, size: "max" }), (all) => {
			const folder = mkdtempSync(join(tmpdir(), "kqpoll-compare-"));
			try {
				compare(folder, all);
			} finally {
				rmSync(folder, { recursive: true });
			}
		}),
		{ numRuns: 150 },
	);
});

test.run();
