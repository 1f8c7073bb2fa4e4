// Guests that pass anything: no function throws, and none touches what it was not given.
import { openpty, pipe, socketpair, Tree } from "@kqpoll/files";
import { writeNow } from "@kqpoll/kqueue";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { wasiErrno } from "../src/kernel.ts";
import { Calls, rights } from "./calls.ts";

/** What each function takes after the guest: i64 where it says so, else i32. */
const PARAMETERS: Readonly<Record<string, string>> = {
	args_get: "ii",
	args_sizes_get: "ii",
	clock_res_get: "ii",
	clock_time_get: "iLi",
	environ_get: "ii",
	environ_sizes_get: "ii",
	fd_advise: "fLLi",
	fd_allocate: "fLL",
	fd_close: "f",
	fd_datasync: "f",
	fd_fdstat_get: "fi",
	fd_fdstat_set_flags: "fi",
	fd_fdstat_set_rights: "fLL",
	fd_filestat_get: "fi",
	fd_filestat_set_size: "fL",
	fd_filestat_set_times: "fLLi",
	fd_pread: "fiiLi",
	fd_prestat_dir_name: "fii",
	fd_prestat_get: "fi",
	fd_pwrite: "fiiLi",
	fd_read: "fiii",
	fd_readdir: "fiiLi",
	fd_renumber: "ff",
	fd_seek: "fLii",
	fd_sync: "f",
	fd_tell: "fi",
	fd_write: "fiii",
	path_create_directory: "fii",
	path_filestat_get: "fiiii",
	path_filestat_set_times: "fiiiLLi",
	path_link: "fiiifii",
	path_open: "fiiiiLLii",
	path_readlink: "fiiiii",
	path_remove_directory: "fii",
	path_rename: "fiifii",
	path_symlink: "iifii",
	path_unlink_file: "fii",
	poll_oneoff: "iiii",
	proc_raise: "i",
	random_get: "ii",
	sched_yield: "",
	sock_accept: "fii",
	sock_recv: "fiiiii",
	sock_send: "fiiii",
	sock_shutdown: "fi",
};
const NAMES = Object.keys(PARAMETERS).filter((name) => name !== "proc_raise");
const ERRNOS = new Set<unknown>(Object.values(wasiErrno));
const PAGE = 65_536;

/** Pointers and lengths: a few that fit, and those where sums overflow. */
const word = fc.oneof(
	fc.nat(40),
	fc.nat(PAGE),
	fc.constantFrom(PAGE - 8, PAGE - 4, PAGE - 1, PAGE, -1, -8, 0x7fff_ffff, -0x8000_0000),
);
const long = fc.oneof(
	fc.bigInt(0n, 64n),
	fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
	fc.constantFrom(-1n, 2n ** 31n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)),
);
const descriptor = fc.oneof(fc.nat(12), fc.constantFrom(-1, 1024, 0x7fff_ffff));

const call = fc
	.constantFrom(...NAMES)
	.chain((name) =>
		fc.tuple(
			fc.constant(name),
			fc.tuple(
				...[...(PARAMETERS[name] as string)].map((kind) =>
					kind === "L" ? long : kind === "f" ? descriptor : word,
				),
			),
		),
	);

/** Bytes that are now and then a list of pieces, a path or subscriptions. */
const content = fc.oneof(
	fc.uint8Array({ minLength: 0, maxLength: 256 }),
	fc
		.constantFrom("a", "a/b", "../x", "/", ".", "l", "a\0b")
		.map((path) => new TextEncoder().encode(path)),
	fc
		.array(fc.tuple(word, word), { maxLength: 8 })
		.map((pieces) => new Uint8Array(Uint32Array.from(pieces.flat().map((n) => n >>> 0)).buffer)),
);

function machine(): Calls {
	return new Calls(({ main }) => {
		const [, terminal] = openpty(main);
		const [near] = socketpair(main, "stream");
		return {
			stdin: pipe(main)[0],
			stdout: terminal,
			descriptors: [near],
			preopens: { "/": new Tree({ maxBytes: 1e6 }), "/other": new Tree({ maxBytes: 1e6 }) },
			mode: "now",
		};
	});
}

test("no function throws, whatever it is passed, and all answer with an error number", () => {
	fc.assert(
		fc.property(
			fc.array(fc.tuple(content, fc.nat(64), call), { minLength: 1, maxLength: 30 }),
			(steps) => {
				const { world } = machine();
				for (const [bytes, at, [name, args]] of steps) {
					new Uint8Array(world.memory.buffer).set(bytes, at);
					const answer = world.call[name]?.(...(args as (number | bigint)[]));
					assert.ok(ERRNOS.has(answer), `${name}: ${String(answer)}`);
				}
			},
		),
		{ numRuns: 300 },
	);
});

test("a function that faults has written nothing, and changed nothing", () => {
	fc.assert(
		fc.property(
			fc.array(fc.tuple(content, fc.nat(64), call), { minLength: 1, maxLength: 20 }),
			(steps) => {
				const { world } = machine();
				const memory = new Uint8Array(world.memory.buffer);
				const open = (): number[] => [...world.process.fdp.open(0)];
				for (const [bytes, at, [name, args]] of steps) {
					memory.set(bytes, at);
					const [before, fds] = [memory.slice(), open()];
					const answer = world.call[name]?.(...(args as (number | bigint)[]));
					if (answer !== wasiErrno.FAULT) continue;
					assert.equal(open(), fds, name);
					assert.ok(Buffer.compare(before, memory) === 0, `${name} has written`);
				}
			},
		),
		{ numRuns: 200 },
	);
});

/** Descriptors of a machine: a directory, a file of it, a socket. */
const [DIR, FILE, SOCK] = [3, 4, 5];

/** Functions that write a result of a fixed size at their last pointer. */
const RESULTS: readonly [name: string, size: number, ...args: (number | bigint)[]][] = [
	["fd_fdstat_get", 24, DIR],
	["fd_filestat_get", 64, DIR],
	["fd_prestat_get", 8, DIR],
	["fd_tell", 8, FILE],
	["fd_seek", 8, FILE, 0n, 0],
	["fd_read", 4, FILE, 0, 1],
	["fd_write", 4, FILE, 0, 1],
	["fd_pread", 4, FILE, 0, 1, 0n],
	["fd_pwrite", 4, FILE, 0, 1, 0n],
	["fd_readdir", 4, DIR, 64, 32, 0n],
	["path_filestat_get", 64, DIR, 0, 8, 1],
	["path_open", 4, DIR, 0, 8, 1, 1, 0n, 0n, 0],
	["path_readlink", 4, DIR, 9, 1, 64, 8],
	["sock_recv", 2, SOCK, 0, 1, 0, 512],
	["sock_send", 4, SOCK, 0, 1, 0],
	["clock_time_get", 8, 1, 1n],
	["clock_res_get", 8, 1],
];

test("a result is written whole at its pointer, or not at all; nothing beside it", () => {
	for (const [name, size, ...args] of RESULTS) {
		for (const at of [PAGE - size, PAGE - size + 1, PAGE - 1, PAGE, -1, -size]) {
			const calls = new Calls();
			const { world } = calls;
			calls.symlink("a", "l");
			assert.is(
				calls.open("f", { oflags: 1, base: rights("fd_read", "fd_write", "fd_seek") }),
				FILE,
			);
			assert.equal(socketpair(world.process.main, "stream"), [SOCK, SOCK + 1]);
			writeNow(world.process.main, SOCK + 1, new Uint8Array(1));
			const memory = new Uint8Array(world.memory.buffer);
			memory.fill(0xaa);
			// One piece, of no bytes, at 0; the paths "f" and "l" at 8.
			memory.fill(0, 0, 8);
			calls.put("fl", 8);
			const before = memory.slice();
			const answer = world.call[name]?.(...args, at);
			const isInside = at === PAGE - size;
			const expected = isInside ? wasiErrno.SUCCESS : wasiErrno.FAULT;
			assert.is(answer, expected, `${name} at ${at}`);
			const changed = [...memory.keys()].filter((i) => memory[i] !== before[i]);
			// Buffers that some of them fill as well are from 64 on.
			const allowed = (i: number): boolean => i >= at || (i >= 64 && i < 600);
			if (!isInside) assert.equal(changed, [], name);
			assert.ok(changed.every(allowed), `${name}: ${changed}`);
		}
	}
});

test.run();
