// Random operations on files against a naive model: a map of paths to bytes, links and directories.
import { close, fstat, lseek, readNow, type Thread, writeNow } from "@kqpoll/kqueue";
import { O_APPEND } from "@kqpoll/kqueue/fcntl";
import { S_IFDIR, S_IFLNK } from "@kqpoll/kqueue/stat";
import { pread, pwrite, SEEK_SET } from "@kqpoll/kqueue/unistd";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	fstatat,
	linkat,
	mkdirat,
	openatNow,
	readlinkat,
	renameat,
	symlinkat,
	unlinkat,
} from "../../src/at.ts";
import {
	AT_REMOVEDIR,
	AT_SYMLINK_FOLLOW,
	AT_SYMLINK_NOFOLLOW,
	O_CREAT,
	O_EXCL,
	O_NOFOLLOW,
	O_RDONLY,
	O_RDWR,
	O_TRUNC,
} from "../../src/fcntl.ts";
import {
	ftruncate,
	getdents,
	link,
	lstat,
	mkdir,
	openNow,
	readdir,
	readlink,
	rename,
	rmdir,
	stat,
	symlink,
	Tree,
	truncate,
	unlink,
} from "../../src/index.ts";
import { checkMachine, codeOf, machine } from "../machine.ts";

/** A file; its names and descriptors share one of these. */
interface Content {
	bytes: number[];
}

/** A symbolic link. */
interface Link {
	readonly target: string;
}

/** A directory; what is in it is in the map. */
class Directory {}

type Node = Content | Link | Directory;

interface OpenFile {
	readonly content: Content;
	readonly append: boolean;
	offset: number;
}

/** What there is at each path, without "/". */
type Model = Map<string, Node>;

const isDirectory = (node: Node | undefined): boolean => node instanceof Directory;
const isLink = (node: Node | undefined): node is Link => node !== undefined && "target" in node;
const isFile = (node: Node | undefined): node is Content => node !== undefined && "bytes" in node;

const PATHS = [
	...["a", "b", "a/c", "x", "a/x", "a/y", "b/x", "a/c/x", "a/c/y", "/a", "/a/c", "/x", "/b/x"],
	...["l", "a/l", "a/l/x", "l/x", "l/c", "l/l", "c", "c/x", "../x", "../b", "c/../l", "a/../l/y"],
];
const TARGETS = ["a", "b", "/a", "..", "../b", "l", "x", "/b/x", "c/../x", "none", "", "a/c/", "."];

const path = fc.constantFrom(...PATHS);
const n = fc.nat(40);
/** Which open directory the path begins at; with none, or for the last number, the root. */
const at = fc.nat(3);
const command = fc.oneof(
	fc.record({
		op: fc.constant("open" as const),
		path,
		at,
		flags: fc
			.subarray([O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_NOFOLLOW])
			.map((flags) => flags.reduce((all, flag) => all | flag, O_RDWR)),
	}),
	fc.record({
		op: fc.constantFrom("mkdir" as const, "rmdir" as const, "unlink" as const),
		path,
		at,
	}),
	fc.record({ op: fc.constant("rename" as const), path, to: path, at, toAt: at }),
	fc.record({
		op: fc.constant("link" as const),
		path,
		to: path,
		at,
		toAt: at,
		follow: fc.boolean(),
	}),
	fc.record({ op: fc.constant("symlink" as const), path, at, target: fc.constantFrom(...TARGETS) }),
	fc.record({
		op: fc.constant("look" as const),
		path: fc.oneof(
			path,
			path.map((p) => `${p}/`),
		),
		at,
	}),
	fc.record({ op: fc.constant("opendir" as const), path }),
	fc.record({ op: fc.constant("truncate" as const), path, n }),
	fc.record({
		op: fc.constantFrom(
			"read" as const,
			"write" as const,
			"write" as const,
			"pread" as const,
			"pwrite" as const,
			"seek" as const,
			"ftruncate" as const,
			"close" as const,
		),
		which: fc.nat(9),
		n,
		offset: n,
	}),
);

type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

/** What most programs begin with, so that most of their paths lead somewhere. */
const BEGINNING: readonly Command[] = [
	{ op: "mkdir", path: "a", at: 3 },
	{ op: "mkdir", path: "a/c", at: 3 },
	{ op: "mkdir", path: "b", at: 3 },
	{ op: "symlink", path: "a/l", at: 3, target: "c/../x" },
	{ op: "symlink", path: "l", at: 3, target: "a/c/" },
	{ op: "opendir", path: "a/c" },
	{ op: "opendir", path: "a" },
];
const program = fc
	.tuple(fc.nat(9), fc.array(command, { maxLength: 80, size: "max" }))
	.map(([n, commands]) => (n === 0 ? commands : [...BEGINNING, ...commands]));

const parentOf = (name: string): string => name.slice(0, name.lastIndexOf("/")) || "/";

function nodeAt(model: Model, name: string): Node | undefined {
	return name === "/" ? ROOT : model.get(name);
}

const ROOT = new Directory();

/** A place that a path leads to, from the root, or an error without a slash in it. */
function walk(model: Model, from: string, given: string, follow: boolean): string {
	let here = given.startsWith("/") ? "/" : from;
	let steps = given.split("/").filter((name) => name !== "");
	let slash = given.endsWith("/");
	let links = 0;
	for (let name = steps.shift(); name !== undefined; name = steps.shift()) {
		if (here === "removed") return "ENOENT";
		const last = steps.length === 0;
		let next = `${here === "/" ? "" : here}/${name}`;
		if (name === ".") next = here;
		if (name === "..") next = parentOf(here);
		const node = nodeAt(model, next);
		if (node === undefined) return last && !slash ? next : "ENOENT";
		if (isLink(node) && (!last || slash || follow)) {
			if (++links > 32) return "ELOOP";
			if (node.target === "") return "ENOENT";
			if (last) slash ||= node.target.endsWith("/");
			if (node.target.startsWith("/")) here = "/";
			steps = [...node.target.split("/").filter((step) => step !== ""), ...steps];
			continue;
		}
		if (!isDirectory(node) && (!last || slash)) return "ENOTDIR";
		here = next;
	}
	return here;
}

/** Calls `act` with the place and what is there; returns the error if there is one. */
function found(
	model: Model,
	[from, given, follow]: readonly [from: string, given: string, follow: boolean],
	act: (place: string, node: Node | undefined) => string,
): string {
	const place = walk(model, from, given, follow);
	return place.startsWith("/") ? act(place, nodeAt(model, place)) : place;
}

function isEmpty(model: Model, name: string): boolean {
	return ![...model.keys()].some((other) => parentOf(other) === name);
}

function resize(content: Content, size: number): void {
	const { bytes } = content;
	content.bytes = [...bytes.slice(0, size), ...new Array(Math.max(0, size - bytes.length)).fill(0)];
}

function renameIn(model: Model, from: string, path: string, toFrom: string, to: string): string {
	return found(model, [from, path, false], (old, node) => {
		if (node === undefined) return "ENOENT";
		return found(model, [toFrom, to, false], (place, target) => {
			if (target !== undefined) {
				if (isDirectory(node) && !isDirectory(target)) return "ENOTDIR";
				if (!isDirectory(node) && isDirectory(target)) return "EISDIR";
				if (node === target) return "no error";
			}
			if (place.startsWith(`${old}/`)) return "EINVAL";
			if (isDirectory(target) && !isEmpty(model, place)) return "ENOTEMPTY";
			for (const [name, moved] of [...model]) {
				if (name !== old && !name.startsWith(`${old}/`)) continue;
				model.delete(name);
				model.set(place + name.slice(old.length), moved);
			}
			return "no error";
		});
	});
}

function unlinkIn(model: Model, from: string, path: string): string {
	return found(model, [from, path, false], (place, node) => {
		if (node === undefined) return "ENOENT";
		if (isDirectory(node)) return "EPERM";
		model.delete(place);
		return "no error";
	});
}

function rmdirIn(model: Model, from: string, path: string): string {
	return found(model, [from, path, false], (place, node) => {
		if (node === undefined) return "ENOENT";
		if (!isDirectory(node)) return "ENOTDIR";
		if (!isEmpty(model, place)) return "ENOTEMPTY";
		model.delete(place);
		return "no error";
	});
}

function makeIn(model: Model, from: string, path: string, node: Node): string {
	return found(model, [from, path, false], (place, there) => {
		if (there !== undefined) return "EEXIST";
		model.set(place, node);
		return "no error";
	});
}

function linkIn(
	model: Model,
	old: readonly [from: string, path: string, follow: boolean],
	to: readonly [from: string, path: string],
): string {
	return found(model, old, (_, node) => {
		if (node === undefined) return "ENOENT";
		return isDirectory(node) ? "EPERM" : makeIn(model, ...to, node);
	});
}

/** Returns the opened file, or the error. */
function openIn(model: Model, from: string, path: string, flags: number): OpenFile | string {
	const has = (flag: number): boolean => (flags & flag) !== 0;
	const follow = !has(O_NOFOLLOW) && !(has(O_CREAT) && has(O_EXCL));
	let opened: OpenFile | null = null;
	const error = found(model, [from, path, follow], (place, there) => {
		if (there === undefined && !has(O_CREAT)) return "ENOENT";
		if (there !== undefined && has(O_CREAT) && has(O_EXCL)) return "EEXIST";
		if (isLink(there)) return "ELOOP";
		if (isDirectory(there)) return "EISDIR";
		const content = (there as Content | undefined) ?? { bytes: [] };
		model.set(place, content);
		if (has(O_TRUNC)) content.bytes = [];
		opened = { content, append: has(O_APPEND), offset: 0 };
		return "no error";
	});
	return opened ?? error;
}

function truncateIn(model: Model, path: string, size: number): string {
	return found(model, ["/", path, true], (_, node) => {
		if (node === undefined) return "ENOENT";
		if (!isFile(node)) return "EISDIR";
		resize(node, size);
		return "no error";
	});
}

/** What stat, lstat and readlink return: the kind of the node, or the error. */
function lookIn(model: Model, from: string, path: string): string[] {
	const kind = (node: Node | undefined): string => {
		if (node === undefined) return "ENOENT";
		if (isLink(node)) return "link";
		return isDirectory(node) ? "directory" : "file";
	};
	const target = (node: Node | undefined): string => {
		if (node === undefined) return "ENOENT";
		return isLink(node) ? `to ${node.target}` : "EINVAL";
	};
	return [
		found(model, [from, path, true], (_, node) => kind(node)),
		found(model, [from, path, false], (_, node) => kind(node)),
		found(model, [from, path, false], (_, node) => target(node)),
	];
}

function kindOf({ mode }: { readonly mode: number }): string {
	const type = mode & 0o170000;
	if (type === S_IFLNK) return "link";
	return type === S_IFDIR ? "directory" : "file";
}

/** What a call returns, or the code of its error. */
function resultOf(call: () => string): string {
	let result = "";
	const code = codeOf(() => {
		result = call();
	});
	return code === "no error" ? result : String(code);
}

/** The calls, by path or from the directory of a descriptor. */
function callsAt(thread: Thread, tree: Tree, fd: number | null) {
	if (fd === null)
		return {
			open: (p: string, flags: number) => openNow(thread, tree, p, flags),
			mkdir: (p: string) => mkdir(thread, tree, p),
			rmdir: (p: string) => rmdir(thread, tree, p),
			unlink: (p: string) => unlink(thread, tree, p),
			symlink: (target: string, p: string) => symlink(thread, tree, target, p),
			stat: (p: string) => stat(thread, tree, p),
			lstat: (p: string) => lstat(thread, tree, p),
			readlink: (p: string) => readlink(thread, tree, p),
		};
	return {
		open: (p: string, flags: number) => openatNow(thread, fd, p, flags),
		mkdir: (p: string) => mkdirat(thread, fd, p),
		rmdir: (p: string) => unlinkat(thread, fd, p, AT_REMOVEDIR),
		unlink: (p: string) => unlinkat(thread, fd, p),
		symlink: (target: string, p: string) => symlinkat(thread, target, fd, p),
		stat: (p: string) => fstatat(thread, fd, p),
		lstat: (p: string) => fstatat(thread, fd, p, AT_SYMLINK_NOFOLLOW),
		readlink: (p: string) => readlinkat(thread, fd, p),
	};
}

/** The names of the tree that begin with a path, and what they are. */
function contents(thread: Thread, tree: Tree, name = "/"): [string, unknown, number][] {
	return readdir(thread, tree, name).flatMap((entry): [string, unknown, number][] => {
		const below = `${name === "/" ? "" : name}/${entry.name}`;
		const { size, nlink } = lstat(thread, tree, below);
		if (entry.type === S_IFDIR) return [[below, null, nlink], ...contents(thread, tree, below)];
		if (entry.type === S_IFLNK) return [[below, readlink(thread, tree, below), nlink]];
		const fd = openNow(thread, tree, below, O_RDONLY);
		const bytes = new Uint8Array(size);
		assert.is(readNow(thread, fd, bytes), size);
		close(thread, fd);
		return [[below, [...bytes], nlink]];
	});
}

function expected(model: Model): [string, unknown, number][] {
	const entries = [...model];
	return entries.map(([name, node]) => {
		if (isDirectory(node)) {
			const below = entries.filter(([other, of]) => isDirectory(of) && parentOf(other) === name);
			return [name, null, below.length + 2];
		}
		const names = entries.filter(([, same]) => same === node).length;
		return [name, isLink(node) ? node.target : (node as Content).bytes, names];
	});
}

const sorted = (all: [string, unknown, number][]): unknown =>
	all.sort(([a], [b]) => (a < b ? -1 : 1));

test("after any operations a tree is the same as a map of paths to bytes", () => {
	fc.assert(
		fc.property(program, (commands) => {
			const m = machine();
			const { thread } = m;
			const tree = new Tree();
			const model: Model = new Map();
			const files: [number, OpenFile][] = [];
			const directories: [number, Directory][] = [];
			let next = 1;
			/** Where paths begin: the descriptor, and in the model the path of its directory. */
			const begin = (which: number): readonly [fd: number | null, from: string] => {
				const entry = directories[which];
				if (entry === undefined || which === 3) return [null, "/"];
				const [fd, directory] = entry;
				if (directory === ROOT) return [fd, "/"];
				return [fd, [...model].find(([, node]) => node === directory)?.[0] ?? "removed"];
			};
			for (const c of commands) {
				if ("which" in c) {
					const index = c.which % Math.max(1, files.length);
					const entry = files[index];
					if (entry === undefined) continue;
					const [fd, file] = entry;
					const { content } = file;
					const put = (call: (data: Uint8Array) => number, where: number): boolean => {
						const data = Array.from({ length: c.n }, () => next++ & 0xff);
						assert.is(call(Uint8Array.from(data)), c.n);
						if (c.n === 0) return false;
						if (where > content.bytes.length) resize(content, where);
						content.bytes.splice(where, c.n, ...data);
						return true;
					};
					const get = (call: (data: Uint8Array) => number, where: number): number => {
						const buffer = new Uint8Array(c.n);
						const got = [...buffer.subarray(0, call(buffer))];
						assert.equal(got, content.bytes.slice(where, where + c.n));
						return got.length;
					};
					if (c.op === "close") {
						close(thread, fd);
						files.splice(index, 1);
					} else if (c.op === "seek") {
						file.offset = lseek(thread, fd, c.n, SEEK_SET);
						assert.is(file.offset, c.n);
					} else if (c.op === "ftruncate") {
						ftruncate(thread, fd, c.n);
						resize(content, c.n);
					} else if (c.op === "write") {
						const where = file.append ? content.bytes.length : file.offset;
						if (put((data) => writeNow(thread, fd, data), where)) file.offset = where + c.n;
					} else if (c.op === "pwrite") put((data) => pwrite(thread, fd, data, c.offset), c.offset);
					else if (c.op === "pread") get((data) => pread(thread, fd, data, c.offset), c.offset);
					else file.offset += get((data) => readNow(thread, fd, data), file.offset);
					continue;
				}
				if (c.op === "truncate") {
					assert.is(
						codeOf(() => truncate(thread, tree, c.path, c.n)),
						truncateIn(model, c.path, c.n),
					);
					continue;
				}
				if (c.op === "opendir") {
					const place = walk(model, "/", c.path, true);
					const node = nodeAt(model, place);
					if (!isDirectory(node) || directories.length === 3) continue;
					directories.push([openNow(thread, tree, c.path, O_RDONLY), node as Directory]);
					continue;
				}
				const [fd, from] = begin(c.at);
				const calls = callsAt(thread, tree, fd);
				if (c.op === "look") {
					assert.equal(
						[
							resultOf(() => kindOf(calls.stat(c.path))),
							resultOf(() => kindOf(calls.lstat(c.path))),
							resultOf(() => `to ${calls.readlink(c.path)}`),
						],
						lookIn(model, from, c.path),
					);
				} else if (c.op === "open") {
					let opened = -1;
					const code = codeOf(() => {
						opened = calls.open(c.path, c.flags);
					});
					const file = openIn(model, from, c.path, c.flags);
					assert.is(code, typeof file === "string" ? file : "no error");
					if (typeof file !== "string") files.push([opened, file]);
				} else if (c.op === "rename") {
					const [toFd, toFrom] = begin(c.toAt);
					const byPath = fd === null || toFd === null;
					const call = byPath
						? () => rename(thread, tree, c.path, c.to)
						: () => renameat(thread, fd, c.path, toFd, c.to);
					const [old, to] = byPath ? ["/", "/"] : [from, toFrom];
					assert.is(codeOf(call), renameIn(model, old, c.path, to, c.to));
				} else if (c.op === "link") {
					const [toFd, toFrom] = begin(c.toAt);
					const byPath = fd === null || toFd === null;
					const flags = c.follow ? AT_SYMLINK_FOLLOW : 0;
					const call = byPath
						? () => link(thread, tree, c.path, c.to)
						: () => linkat(thread, fd, c.path, toFd, c.to, flags);
					const [old, to] = byPath ? ["/", "/"] : [from, toFrom];
					const follow = byPath || c.follow;
					assert.is(codeOf(call), linkIn(model, [old, c.path, follow], [to, c.to]));
				} else if (c.op === "symlink") {
					assert.is(
						codeOf(() => calls.symlink(c.target, c.path)),
						makeIn(model, from, c.path, { target: c.target }),
					);
				} else if (c.op === "mkdir") {
					assert.is(
						codeOf(() => calls.mkdir(c.path)),
						makeIn(model, from, c.path, new Directory()),
					);
				} else if (c.op === "rmdir") {
					assert.is(
						codeOf(() => calls.rmdir(c.path)),
						rmdirIn(model, from, c.path),
					);
				} else {
					assert.is(
						codeOf(() => calls.unlink(c.path)),
						unlinkIn(model, from, c.path),
					);
				}
			}
			assert.equal(sorted(contents(thread, tree)), sorted(expected(model)));
			for (const [fd, { content }] of files) {
				assert.is(fstat(thread, fd).size, content.bytes.length);
			}
			for (const [fd, directory] of directories) {
				const [, where] = begin(directories.findIndex(([other]) => other === fd));
				const inside = [...model.keys()].filter((name) => parentOf(name) === where);
				const listed = getdents(thread, fd, 100).map(({ name }) => name);
				const names = inside.map((name) => name.slice(name.lastIndexOf("/") + 1));
				assert.equal(
					listed.sort(),
					[...(where === "removed" ? [] : [".", ".."]), ...names].sort(),
					`${where} ${directory}`,
				);
			}
			assert.is(tree.opens.size, files.length + directories.length);
			checkMachine(m);
		}),
		{ numRuns: 400 },
	);
});

test.run();
