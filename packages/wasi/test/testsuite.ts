// What the published testsuite of WASI expects of preview1, case by case, for any file system.
// Source of the facts: WebAssembly/wasi-testsuite, the programs for wasm32-wasip1.
import type { Process } from "@kqpoll/kqueue";
import * as assert from "uvu/assert";
import type { WASIOptions } from "../src/index.ts";
import { Calls, type Entry, type Filestat, rights } from "./calls.ts";

const CREAT = 1;
const DIRECTORY = 2;
const EXCL = 4;
const TRUNC = 8;
const APPEND = 1;
const SYNC = 16;
const MTIM = 4;
const OTHER = 1024;
const READ = rights("fd_read");
const WRITE = rights("fd_write");
const SEEKS = rights("fd_seek", "fd_tell");
const STAT = rights("fd_filestat_get");

/** The rights of the directory that the programs work in. */
const BASE = rights(
	"fd_filestat_get",
	"fd_readdir",
	"path_create_file",
	"path_create_directory",
	"path_remove_directory",
	"path_open",
	"path_unlink_file",
	"path_link_source",
	"path_link_target",
	"path_readlink",
	"path_rename_source",
	"path_rename_target",
	"path_filestat_get",
	"path_filestat_set_size",
	"path_filestat_set_times",
	"path_symlink",
);
const INHERITING = rights(
	"fd_read",
	"fd_write",
	"fd_readdir",
	"fd_filestat_get",
	"fd_seek",
	"path_link_source",
	"path_link_target",
	"path_open",
	"path_unlink_file",
	"path_filestat_get",
	"fd_fdstat_set_flags",
	"fd_sync",
	"fd_tell",
	"fd_advise",
	"fd_allocate",
	"fd_filestat_set_size",
	"fd_filestat_set_times",
);

/** A guest that works in a directory of its own below its preopened one, with no more rights than it needs. */
class Program extends Calls {
	readonly dir: number;

	constructor(options?: (process: Process) => WASIOptions) {
		super(options);
		assert.is(this.path("path_create_directory", "scratch"), "SUCCESS");
		const how = { oflags: DIRECTORY, base: BASE, inheriting: INHERITING };
		this.dir = super.open("scratch", how) as number;
		assert.type(this.dir, "number");
	}

	/** Opens a file of its directory. */
	file(path: string, oflags = 0, base = 0n, fdflags = 0, follow = false): number | string {
		return this.open(path, { dir: this.dir, oflags, base, fdflags, follow });
	}

	/** As file, for one that has to be there. */
	fd(path: string, oflags = 0, base = 0n, fdflags = 0, follow = false): number {
		const fd = this.file(path, oflags, base, fdflags, follow);
		assert.type(fd, "number", `${path}: ${fd}`);
		return fd as number;
	}

	make(...paths: string[]): void {
		for (const path of paths) this.close(this.fd(path, CREAT));
	}

	close(fd: number): void {
		assert.is(this.call("fd_close", fd), "SUCCESS");
	}

	on(name: string, path: string): string {
		return this.call(name, this.dir, ...this.put(path));
	}

	mkdir(...paths: string[]): void {
		for (const path of paths) assert.is(this.on("path_create_directory", path), "SUCCESS", path);
	}

	rmdir(path: string): string {
		return this.on("path_remove_directory", path);
	}

	unlink(path: string): string {
		return this.on("path_unlink_file", path);
	}

	/** Removes files, and then directories. */
	clear(files: readonly string[], directories: readonly string[] = []): void {
		for (const path of files) assert.is(this.unlink(path), "SUCCESS", path);
		for (const path of directories) assert.is(this.rmdir(path), "SUCCESS", path);
	}

	move(from: string, to: string): string {
		return this.call("path_rename", this.dir, ...this.put(from), this.dir, ...this.put(to, OTHER));
	}

	name(from: string, to: string, dir = this.dir, flags = 0): string {
		return this.call("path_link", this.dir, flags, ...this.put(from), dir, ...this.put(to, OTHER));
	}

	lead(target: string, path: string): string {
		return this.call("path_symlink", ...this.put(target), this.dir, ...this.put(path, OTHER));
	}

	about(path: string, follow = false): Filestat {
		const at = 16_384;
		const error = this.call("path_filestat_get", this.dir, follow ? 1 : 0, ...this.put(path), at);
		assert.is(error, "SUCCESS", path);
		const { world } = this;
		const [dev, ino, nlink, size, atim, mtim, ctim] = [0, 8, 24, 32, 40, 48, 56].map((offset) =>
			world.u64(at + offset),
		) as [bigint, bigint, bigint, bigint, bigint, bigint, bigint];
		const filetype = world.view.getUint8(at + 16);
		return { dev, ino, filetype, nlink, size, atim, mtim, ctim };
	}

	setTimes(path: string, mtim: bigint, fstflags: number, flags = 0): string {
		const at = this.put(path);
		return this.call("path_filestat_set_times", this.dir, flags, ...at, 0n, mtim, fstflags);
	}

	list(fd: number, cookie = 0n): { used: number; entries: Entry[] } {
		const read = this.readdir(fd, 256, cookie);
		if (typeof read === "string") throw new Error(read);
		return read;
	}
}

/** An answer has to be one of these. */
function one(answer: unknown, ...allowed: unknown[]): void {
	assert.ok(allowed.includes(answer), `${answer} is not one of ${allowed.join(", ")}`);
}

type Case = (program: Program) => void;

const PATHS: Readonly<Record<string, Case>> = {
	interesting_paths: (p) => {
		p.mkdir("dir", "dir/nested");
		p.make("dir/nested/file");
		one(p.file("/dir/nested/file"), "PERM", "NOTCAPABLE");
		p.close(p.fd("dir/.//nested/../../dir/nested/../nested///./file"));
		one(p.file("dir/nested/file\0"), "INVAL", "ILSEQ", "NOENT");
		for (const slashes of ["/", "///"]) {
			one(p.file(`dir/nested/file${slashes}`), "NOTDIR", "NOENT");
			p.close(p.fd(`dir/nested${slashes}`));
		}
		one(p.file("dir/nested/../../../scratch/dir/nested/file"), "PERM", "NOTCAPABLE");
		p.clear(["dir/nested/file"], ["dir/nested", "dir"]);
	},
	dangling_fd: (p) => {
		for (let n = 0; n < 2; n++) {
			p.make("file");
			p.close(p.fd("file"));
			p.clear(["file"]);
			p.mkdir("sub");
			p.close(p.fd("sub", DIRECTORY));
			p.clear([], ["sub"]);
		}
	},
	dangling_symlink: (p) => {
		assert.is(p.lead("target", "link"), "SUCCESS");
		one(p.file("link", DIRECTORY), "NOTDIR", "LOOP");
		one(p.file("link"), "LOOP");
		p.clear(["link"]);
		assert.is(p.lead("link", "link"), "SUCCESS");
		one(p.file("link"), "LOOP");
		p.clear(["link"]);
	},
	nofollow_errors: (p) => {
		p.mkdir("target");
		assert.is(p.lead("target", "link"), "SUCCESS");
		one(p.file("link", DIRECTORY), "LOOP", "NOTDIR");
		one(p.file("link"), "LOOP", "ACCES");
		p.close(p.fd("link", DIRECTORY, 0n, 0, true));
		p.clear(["link"], ["target"]);
		p.make("target");
		assert.is(p.lead("target", "link"), "SUCCESS");
		one(p.file("link", DIRECTORY), "LOOP", "NOTDIR");
		one(p.file("link"), "LOOP");
		one(p.file("link", DIRECTORY, 0n, 0, true), "NOTDIR");
		p.clear(["target", "link"]);
	},
	path_exists: (p) => {
		p.mkdir("sub");
		p.make("sub/file");
		for (const [target, link] of [
			["sub/file", "to-file"],
			["sub", "to-sub"],
		] as const)
			assert.is(p.lead(target, link), "SUCCESS");
		const kinds = (follow: boolean): number[] =>
			["sub", "sub/file", "to-file", "to-sub"].map((path) => p.about(path, follow).filetype);
		assert.equal(
			[kinds(false), kinds(true)],
			[
				[3, 4, 7, 7],
				[3, 4, 4, 3],
			],
		);
		p.clear(["to-file", "to-sub", "sub/file"], ["sub"]);
	},
	path_link: (p) => {
		const all =
			READ | STAT | rights("path_link_source", "path_link_target", "path_open", "path_unlink_file");
		const open = (dir: number, path: string, oflags = 0): number =>
			p.open(path, { dir, oflags, base: all, inheriting: all }) as number;
		const file = open(p.dir, "file", CREAT);
		p.mkdir("sub");
		const sub = open(p.dir, "sub", DIRECTORY);
		for (const dir of [p.dir, sub]) {
			assert.is(p.name("file", "link", dir), "SUCCESS");
			const link = open(dir, "link");
			assert.equal([p.fstat(link), p.fdstat(link)], [p.fstat(file), p.fdstat(file)]);
			p.close(link);
			assert.is(p.call("path_unlink_file", dir, ...p.put("link")), "SUCCESS");
		}
		p.make("link");
		one(p.name("file", "link"), "EXIST");
		one(p.name("file", "file"), "EXIST");
		p.clear(["link"]);
		one(p.name("file", "sub"), "EXIST");
		one(p.name("sub", "link"), "PERM", "ACCES");
		one(p.name("file", "link/"), "NOENT");
		for (const target of ["nothing", "symlink"]) {
			assert.is(p.lead(target, "symlink"), "SUCCESS");
			assert.is(p.name("symlink", "link"), "SUCCESS");
			p.clear(["symlink", "link"]);
		}
		assert.is(p.lead("nothing", "symlink"), "SUCCESS");
		one(p.name("file", "symlink"), "EXIST");
		one(p.name("symlink", "link", p.dir, 1), "INVAL", "NOENT");
		p.clear(["symlink", "file"], ["sub"]);
	},
	path_open_create_existing: (p) => {
		p.make("file");
		one(p.file("file", CREAT | EXCL), "EXIST");
		one(p.open("foo", { dir: p.fd("file"), oflags: CREAT }), "NOTDIR", "NOTCAPABLE");
		one(p.file("missing"), "NOENT");
		p.clear(["file"]);
	},
	path_rename: (p) => {
		p.mkdir("source");
		assert.is(p.move("source", "target"), "SUCCESS");
		one(p.file("source", DIRECTORY), "NOENT");
		p.mkdir("source");
		assert.is(p.move("source", "target"), "SUCCESS");
		one(p.file("source", DIRECTORY), "NOENT");
		p.mkdir("source");
		p.make("target/file");
		one(p.move("source", "target"), "NOTEMPTY");
		one(p.move("source", "target/file"), "NOTDIR");
		p.clear(["target/file"], ["source", "target"]);
		for (const before of [[], ["target"]]) {
			p.make("source", ...before);
			assert.is(p.move("source", "target"), "SUCCESS");
			one(p.file("source"), "NOENT");
			p.close(p.fd("target"));
			p.clear(["target"]);
		}
		p.make("source");
		p.mkdir("target");
		one(p.move("source", "target"), "ISDIR");
		p.clear(["source"], ["target"]);
	},
	path_rename_dir_trailing_slashes: (p) => {
		p.mkdir("source");
		for (const [from, to] of [
			["source/", "target"],
			["target", "source/"],
			["source/", "target/"],
			["target", "source"],
		] as const)
			assert.is(p.move(from, to), "SUCCESS", `${from} ${to}`);
		p.clear([], ["source"]);
	},
	path_symlink_trailing_slashes: (p) => {
		one(p.lead("source", "target/"), "NOENT");
		assert.is(p.lead("source", "target"), "SUCCESS");
		p.clear(["target"]);
		p.mkdir("target");
		one(p.lead("source", "target/"), "EXIST");
		one(p.lead("source", "target"), "EXIST");
		p.clear([], ["target"]);
		p.make("target");
		one(p.lead("source", "target/"), "NOTDIR", "EXIST");
		one(p.lead("source", "target"), "EXIST");
		p.clear(["target"]);
		assert.is.not(p.lead("/", "target"), "SUCCESS");
	},
	removal_with_trailing_slashes: (p) => {
		for (const slash of ["", "/"]) {
			p.mkdir("dir");
			one(p.unlink(`dir${slash}`), "ISDIR");
			assert.is(p.rmdir(`dir${slash}`), "SUCCESS");
		}
		p.make("file");
		one(p.rmdir("file"), "NOTDIR");
		one(p.rmdir("file/"), "NOTDIR");
		one(p.unlink("file/"), "NOTDIR");
		p.clear(["file"]);
		p.mkdir("dir", "dir/nested");
		one(p.rmdir("dir"), "NOTEMPTY");
		p.clear([], ["dir/nested", "dir"]);
	},
};

const FILES: Readonly<Record<string, Case>> = {
	dir_fd_op_failures: (p) => {
		const { dir } = p;
		for (const answer of [
			p.read(dir, 8),
			p.pread(dir, 8, 0n),
			p.write(dir, "x"),
			p.pwrite(dir, "x", 0n),
			...[0, 1, 2].map((whence) => p.seek(dir, 0n, whence)),
			p.tell(dir),
			p.call("fd_allocate", dir, 0n, 1n),
		])
			one(answer, "ISDIR", "BADF", "NOTCAPABLE");
		one(p.call("fd_filestat_set_size", dir, 0n), "ISDIR", "INVAL", "BADF", "NOTCAPABLE");
		p.mkdir("sub");
		const sub = p.fd("sub", DIRECTORY, rights("fd_seek"));
		one(p.seek(sub, 0n, 1), "ISDIR", "BADF", "NOTCAPABLE");
		const stat = p.fdstat(sub);
		assert.equal(stat, { type: 3, flags: 0, base: 0n, inheriting: 0n });
		p.close(sub);
		p.clear([], ["sub"]);
	},
	fd_readdir: (p) => {
		const names = (entries: readonly Entry[]): string[] => entries.map(({ name }) => name);
		const empty = p.list(p.dir);
		assert.equal(names(empty.entries).sort(), [".", ".."]);
		assert.equal([empty.used < 256, empty.entries.map(({ type }) => type)], [true, [3, 3]]);
		const self = empty.entries.find(({ name }) => name === ".");
		assert.is(self?.ino, (p.fstat(p.dir) as Filestat).ino);
		const fd = p.fd("file", CREAT, READ | WRITE | STAT | rights("fd_readdir"));
		const { ino } = p.fstat(fd) as Filestat;
		p.close(fd);
		const { entries } = p.list(p.dir);
		const file = entries.find(({ name }) => name === "file");
		assert.equal([entries.length, file?.type, file?.ino], [3, 4, ino]);
		assert.equal(names(p.list(p.dir, entries[1]?.next).entries), names(entries.slice(2)));
		p.clear(["file"]);
		const many = Array.from({ length: 300 }, (_, i) => `file.${i}`);
		p.make(...many);
		let total = 0;
		for (let cookie = 0n, used = 256; used === 256; ) {
			const part = p.list(p.dir, cookie);
			used = part.used;
			total += part.entries.length;
			cookie = part.entries.at(-1)?.next ?? cookie;
		}
		assert.is(total, 302);
		p.clear(many);
	},
	filestat_set: (p) => {
		const base = READ | WRITE | STAT | rights("fd_filestat_set_size", "fd_filestat_set_times");
		const fd = p.fd("file", CREAT, base);
		const stat = (): Filestat => p.fstat(fd) as Filestat;
		assert.is(stat().size, 0n);
		assert.is(p.call("fd_filestat_set_size", fd, 100n), "SUCCESS");
		const { size, atim, mtim } = stat();
		assert.is(p.call("fd_filestat_set_times", fd, mtim - 100n, mtim - 100n, MTIM), "SUCCESS");
		assert.equal([size, stat().size, stat().mtim, stat().atim], [100n, 100n, mtim - 100n, atim]);
		for (const both of [MTIM | 8, 1 | 2])
			assert.is(p.call("fd_filestat_set_times", fd, 100n, 200n, both), "INVAL");
		p.close(fd);
		p.clear(["file"]);
	},
	fd_flags_set: (p) => {
		const base = READ | WRITE | SEEKS | rights("fd_fdstat_set_flags");
		const fd = p.fd("file", CREAT, base, APPEND);
		const [a, b, c] = ["a", "b", "c"].map((letter) => letter.repeat(100)) as [
			string,
			string,
			string,
		];
		assert.equal([p.write(fd, a), p.seek(fd, 0n, 0), p.read(fd, 100)], [100, 0n, a]);
		assert.equal([p.seek(fd, 0n, 0), p.write(fd, b)], [0n, 100]);
		assert.equal([p.seek(fd, 100n, 0), p.read(fd, 100)], [100n, b]);
		assert.is(p.call("fd_fdstat_set_flags", fd, 0), "SUCCESS");
		assert.equal([p.seek(fd, 0n, 0), p.write(fd, c)], [0n, 100]);
		assert.equal([p.seek(fd, 0n, 0), p.read(fd, 200)], [0n, c + b]);
		p.close(fd);
		assert.is(p.about("file").size, 200n);
		p.clear(["file"]);
	},
	file_allocate: (p) => {
		const base = READ | WRITE | STAT | rights("fd_allocate", "fd_advise", "fd_filestat_set_size");
		const fd = p.fd("file", CREAT, base);
		const size = (offset: bigint, length: bigint): bigint => {
			assert.is(p.call("fd_allocate", fd, offset, length), "SUCCESS");
			return (p.fstat(fd) as Filestat).size;
		};
		assert.equal([size(0n, 100n), size(10n, 10n), size(90n, 20n)], [100n, 100n, 110n]);
		assert.is(p.call("fd_advise", fd, 10n, 50n, 0), "SUCCESS");
		assert.is((p.fstat(fd) as Filestat).size, 110n);
		p.close(fd);
		p.clear(["file"]);
	},
	file_pread_pwrite: (p) => {
		const fd = p.fd("file", CREAT, READ | WRITE | rights("fd_seek"));
		assert.equal([p.pwrite(fd, "0123", 0n), p.pread(fd, 4, 0n)], [4, "0123"]);
		assert.equal([p.pread(fd, 4, 2n), p.pread(fd, 4, 4n)], ["23", ""]);
		assert.equal([p.pwrite(fd, "10", 2n), p.pread(fd, 4, 0n), p.read(fd, 4)], [2, "0110", "0110"]);
		p.close(fd);
		p.clear(["file"]);
	},
	file_seek_tell: (p) => {
		const fd = p.fd("file", CREAT, READ | WRITE | SEEKS);
		const zeros = "\0".repeat(100);
		assert.equal([p.tell(fd), p.write(fd, zeros), p.tell(fd)], [0n, 100, 100n]);
		assert.equal([p.seek(fd, -50n, 1), p.seek(fd, 0n, 0)], [50n, 0n]);
		assert.equal([p.seek(fd, 1000n, 1), p.seek(fd, -2000n, 1)], [1000n, "INVAL"]);
		assert.equal([p.seek(fd, 0n, 0), p.read(fd, 100), p.tell(fd)], [0n, zeros, 100n]);
		p.close(fd);
		p.clear(["file"]);
	},
	file_truncation: (p) => {
		const fd = p.fd("file", CREAT, WRITE);
		assert.is(p.write(fd, "this goes"), 9);
		p.close(fd);
		const again = p.fd("file", CREAT | TRUNC, READ | WRITE);
		assert.is(p.read(again, 100), "");
		p.close(again);
		p.clear(["file"]);
	},
	file_unbuffered_write: (p) => {
		const reader = p.fd("file", CREAT, READ);
		const writer = p.fd("file", 0, WRITE);
		assert.equal([p.write(writer, "x"), p.read(reader, 1)], [1, "x"]);
		p.close(reader);
		p.close(writer);
		p.clear(["file"]);
	},
	path_filestat: (p) => {
		const base = READ | WRITE | rights("path_filestat_get");
		const fd = p.fd("file", CREAT, base, APPEND | SYNC);
		const { flags } = p.fdstat(fd) as { flags: number };
		assert.is(flags & (APPEND | SYNC), APPEND | SYNC);
		const { size, mtim } = p.about("file");
		assert.is(size, 0n);
		assert.is(p.setTimes("file", mtim - 100n, MTIM), "SUCCESS");
		assert.is(p.setTimes("file", mtim - 100n, MTIM | 8), "INVAL");
		assert.is(p.setTimes("file", 0n, 1 | 2), "INVAL");
		assert.is(p.about("file").mtim, mtim - 100n);
		p.close(fd);
		p.clear(["file"]);
	},
	symlink_filestat: (p) => {
		p.make("file");
		const file = p.about("file").mtim;
		assert.is(p.lead("file", "link"), "SUCCESS");
		const link = p.about("link").mtim;
		assert.is(p.setTimes("link", link - 200n, MTIM), "SUCCESS");
		assert.equal([p.about("link").mtim, p.about("file").mtim], [link - 200n, file]);
		assert.is(p.about("link", true).mtim, file);
		assert.is(p.setTimes("link", link, MTIM, 1), "SUCCESS");
		assert.is(p.about("file").mtim, link);
		p.clear(["link", "file"]);
	},
	readlink: (p) => {
		assert.is(p.lead("target", "link"), "SUCCESS");
		const read = (room: number): string => {
			p.put("..........", 8192);
			const used = p.number("path_readlink", p.dir, ...p.put("link"), 8192, room);
			return `${used} ${p.world.text(8192, 10)}`;
		};
		assert.equal([read(10), read(4)], ["6 target....", "4 targ......"]);
		p.clear(["link"]);
	},
};

const DESCRIPTORS: Readonly<Record<string, Case>> = {
	close_preopen: (p) => {
		p.close(3);
		assert.equal([(p.fdstat(p.dir) as { type: number }).type, p.fdstat(3)], [3, "BADF"]);
	},
	overwrite_preopen: (p) => {
		const before = p.fstat(p.dir);
		assert.is(p.call("fd_renumber", p.dir, 3), "SUCCESS");
		assert.equal([p.fstat(3), p.fdstat(p.dir)], [before, "BADF"]);
		p.close(3);
	},
	renumber: (p) => {
		const [from, to] = [p.fd("1", CREAT, READ | WRITE), p.fd("2", CREAT, READ | WRITE)];
		const before = p.fdstat(from);
		assert.is(p.call("fd_renumber", from, to), "SUCCESS");
		assert.equal([p.fdstat(from), p.fdstat(to)], ["BADF", before]);
		assert.is(p.call("fd_renumber", to, from), "BADF");
		p.close(to);
		p.clear(["1", "2"]);
	},
	stdio: (p) => {
		for (const fd of [0, 1, 2]) {
			const to = p.fd("file", CREAT);
			assert.is(p.call("fd_renumber", fd, to), "SUCCESS");
			assert.equal([typeof p.fdstat(to), p.fdstat(fd)], ["object", "BADF"]);
			p.clear(["file"]);
		}
	},
	fd_fdstat_set_rights: (p) => {
		const fd = p.fd("file", CREAT, READ | WRITE | SEEKS);
		assert.equal([p.write(fd, "0123"), p.seek(fd, 0n, 0), p.read(fd, 4)], [4, 0n, "0123"]);
		assert.is(p.call("fd_fdstat_set_rights", fd, SEEKS, 0n), "SUCCESS");
		assert.is((p.fdstat(fd) as { base: bigint }).base, SEEKS);
		one(p.read(fd, 4), "BADF", "NOTCAPABLE");
		one(p.write(fd, "x"), "BADF", "NOTCAPABLE");
		assert.is(p.call("fd_fdstat_set_rights", fd, READ | SEEKS, READ), "NOTCAPABLE");
		p.close(fd);
		p.clear(["file"]);
	},
	truncation_rights: (p) => {
		p.make("file");
		const stat = p.fdstat(p.dir) as { flags: number; base: bigint; inheriting: bigint };
		assert.equal([stat.flags, stat.base & rights("fd_filestat_set_size")], [0, 0n]);
		const [size, file] = [rights("path_filestat_set_size"), rights("fd_filestat_set_size")];
		const keep = (base: bigint): string =>
			p.call("fd_fdstat_set_rights", p.dir, base, stat.inheriting & ~file);
		p.close(p.fd("file", TRUNC));
		assert.is(keep(stat.base), "SUCCESS");
		p.close(p.fd("file", TRUNC));
		assert.is(keep(stat.base & ~size), "SUCCESS");
		assert.is((p.fdstat(p.dir) as { base: bigint }).base & size, 0n);
		one(p.file("file", TRUNC), "PERM", "NOTCAPABLE");
		p.clear(["file"]);
	},
	path_open_preopen: (p) => {
		const { base, inheriting } = p.fdstat(3) as { base: bigint; inheriting: bigint };
		const directory = (BASE | rights("fd_filestat_set_times")) & ~rights("path_filestat_set_size");
		const file = INHERITING | rights("fd_datasync", "poll_fd_readwrite");
		assert.equal(
			[base & directory, inheriting & (directory | file)],
			[directory, directory | file],
		);
		for (const how of [
			{ base, inheriting },
			{},
			{ fdflags: 4 },
			{ oflags: DIRECTORY },
			{ oflags: DIRECTORY, base: READ },
		])
			p.close(p.open(".", how) as number);
		assert.is(p.open(".", { oflags: DIRECTORY, base: READ | WRITE }), "ISDIR");
	},
	path_open_read_write: (p) => {
		p.make("file");
		const [reader, writer] = [p.fd("file", 0, READ), p.fd("file", 0, WRITE)];
		const both = p.fd("file", 0, READ | WRITE | STAT);
		const has = [reader, writer, both].map((fd) => (p.fdstat(fd) as { base: bigint }).base);
		assert.equal(has, [READ, WRITE, READ | WRITE | STAT]);
		assert.is(p.read(reader, 100), "");
		one(p.write(reader, "x"), "BADF", "NOTCAPABLE", "ACCES");
		one(p.read(writer, 1), "BADF", "NOTCAPABLE", "ACCES");
		assert.equal([p.write(writer, "x".repeat(50)), p.read(both, 100)], [50, "x".repeat(50)]);
		assert.equal([p.write(both, "y"), (p.fstat(both) as Filestat).size], [1, 51n]);
		for (const fd of [reader, writer, both]) p.close(fd);
		p.clear(["file"]);
	},
	pwrite_with_append: (p) => {
		const fd = p.fd("file", CREAT | TRUNC, WRITE | SEEKS, APPEND);
		assert.equal([p.write(fd, "ab"), p.seek(fd, 0n, 0), p.write(fd, "cd")], [2, 0n, 2]);
		assert.equal([p.tell(fd), p.pwrite(fd, "efg", 0n), p.tell(fd)], [4n, 3, 4n]);
		one(p.seek(fd, 0n, 2), 4n, 7n);
		p.close(fd);
		p.clear(["file"]);
	},
	sock_shutdown: (p) => {
		assert.equal(
			[p.call("sock_shutdown", 1, 1), p.call("sock_shutdown", 77, 1)],
			["NOTSOCK", "BADF"],
		);
	},
};

const CASES: Readonly<Record<string, Case>> = { ...PATHS, ...FILES, ...DESCRIPTORS };

/** The programs of the testsuite, by name. */
export const PROGRAMS: readonly string[] = Object.keys(CASES);

/** Does what a program does, in the directory 3 of these options; in memory by default. */
export function runProgram(name: string, options?: (process: Process) => WASIOptions): void {
	CASES[name]?.(new Program(options));
}
