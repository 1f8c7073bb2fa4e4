// Random operations on files against a naive model: a map of paths to bytes.
import { close, fstat, lseek, readNow, writeNow } from "@kqpoll/kqueue";
import { O_APPEND } from "@kqpoll/kqueue/fcntl";
import { S_IFDIR } from "@kqpoll/kqueue/stat";
import { SEEK_SET } from "@kqpoll/kqueue/unistd";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC } from "../../src/shared/vnode-flags.ts";
import { stat, truncate } from "../../src/tree/attribute-calls.ts";
import { ftruncate } from "../../src/tree/descriptor-calls.ts";
import { link, mkdir, readdir, rename, rmdir, unlink } from "../../src/tree/name-calls.ts";
import { openNow } from "../../src/tree/open-calls.ts";
import { Tree } from "../../src/tree/tree.ts";
import { checkMachine, codeOf, machine } from "../machine.ts";

/** The content of a file; names and descriptors of one file share one of these. */
interface Content {
	bytes: number[];
}

interface OpenFile {
	readonly content: Content;
	readonly append: boolean;
	offset: number;
}

/** Paths, and for each the content of a file, or null for a directory. */
type Model = Map<string, Content | null>;

const DIRECTORIES = ["/a", "/b", "/a/c"];
const PATHS = [...DIRECTORIES, "/x", "/a/x", "/a/y", "/b/x", "/a/c/x", "/a/c/y"];

const path = fc.constantFrom(...PATHS);
const n = fc.nat(40);
const command = fc.oneof(
	fc.record({
		op: fc.constant("open" as const),
		path,
		flags: fc
			.subarray([O_CREAT, O_EXCL, O_TRUNC, O_APPEND])
			.map((flags) => flags.reduce((all, flag) => all | flag, O_RDWR)),
	}),
	fc.record({ op: fc.constantFrom("mkdir" as const, "rmdir" as const, "unlink" as const), path }),
	fc.record({ op: fc.constantFrom("link" as const, "rename" as const), path, to: path }),
	fc.record({ op: fc.constant("truncate" as const), path, n }),
	fc.record({
		op: fc.constantFrom(
			"read" as const,
			"write" as const,
			"write" as const,
			"seek" as const,
			"ftruncate" as const,
			"close" as const,
		),
		which: fc.nat(9),
		n,
	}),
);

function parentOf(name: string): string {
	return name.slice(0, name.lastIndexOf("/")) || "/";
}

/** What is wrong with the directories of a path, if anything is. */
function wayTo(model: Model, name: string): string | null {
	const parent = parentOf(name);
	if (parent === "/") return null;
	const before = wayTo(model, parent);
	if (before !== null) return before;
	const there = model.get(parent);
	if (there === undefined) return "ENOENT";
	return there === null ? null : "ENOTDIR";
}

function isEmpty(model: Model, name: string): boolean {
	return ![...model.keys()].some((other) => parentOf(other) === name);
}

function resize(content: Content, size: number): void {
	const { bytes } = content;
	content.bytes = [...bytes.slice(0, size), ...new Array(Math.max(0, size - bytes.length)).fill(0)];
}

function renameIn(model: Model, from: string, to: string): string {
	const wayFrom = wayTo(model, from);
	if (wayFrom !== null) return wayFrom;
	const old = model.get(from);
	if (old === undefined) return "ENOENT";
	const way = wayTo(model, to);
	if (way !== null) return way;
	const target = model.get(to);
	if (target !== undefined) {
		if (old === null && target !== null) return "ENOTDIR";
		if (old !== null && target === null) return "EISDIR";
		if (from === to || (old !== null && old === target)) return "no error";
	}
	if (to.startsWith(`${from}/`)) return "EINVAL";
	if (target === null && !isEmpty(model, to)) return "ENOTEMPTY";
	for (const [name, content] of [...model]) {
		if (name !== from && !name.startsWith(`${from}/`)) continue;
		model.delete(name);
		model.set(to + name.slice(from.length), content);
	}
	return "no error";
}

function unlinkIn(model: Model, name: string): string {
	const there = model.get(name);
	if (there === undefined) return wayTo(model, name) ?? "ENOENT";
	if (there === null) return "EPERM";
	model.delete(name);
	return "no error";
}

function rmdirIn(model: Model, name: string): string {
	const there = model.get(name);
	if (there === undefined) return wayTo(model, name) ?? "ENOENT";
	if (there !== null) return "ENOTDIR";
	if (!isEmpty(model, name)) return "ENOTEMPTY";
	model.delete(name);
	return "no error";
}

function mkdirIn(model: Model, name: string): string {
	const way = wayTo(model, name);
	if (way !== null) return way;
	if (model.has(name)) return "EEXIST";
	model.set(name, null);
	return "no error";
}

function linkIn(model: Model, name: string, to: string): string {
	const there = model.get(name);
	if (there === undefined) return wayTo(model, name) ?? "ENOENT";
	if (there === null) return "EPERM";
	const way = wayTo(model, to);
	if (way !== null) return way;
	if (model.has(to)) return "EEXIST";
	model.set(to, there);
	return "no error";
}

/** Returns the opened file, or the error. */
function openIn(model: Model, name: string, flags: number): OpenFile | string {
	const way = wayTo(model, name);
	if (way !== null) return way;
	let content = model.get(name);
	const creates = (flags & O_CREAT) !== 0;
	if (content === undefined) {
		if (!creates) return "ENOENT";
		content = { bytes: [] };
		model.set(name, content);
	} else {
		if (creates && (flags & O_EXCL) !== 0) return "EEXIST";
		if (content === null) return "EISDIR";
		if ((flags & O_TRUNC) !== 0) content.bytes = [];
	}
	return { content, append: (flags & O_APPEND) !== 0, offset: 0 };
}

function truncateIn(model: Model, name: string, size: number): string {
	const there = model.get(name);
	if (there === undefined) return wayTo(model, name) ?? "ENOENT";
	if (there === null) return "EISDIR";
	resize(there, size);
	return "no error";
}

test("after any operations a tree is the same as a map of paths to bytes", () => {
	fc.assert(
		fc.property(fc.array(command, { maxLength: 60, size: "max" }), (commands) => {
			const m = machine();
			const { thread } = m;
			const tree = new Tree();
			const model: Model = new Map();
			const files: [number, OpenFile][] = [];
			let next = 1;
			for (const c of commands) {
				if ("which" in c) {
					const index = c.which % Math.max(1, files.length);
					const entry = files[index];
					if (entry === undefined) continue;
					const [fd, file] = entry;
					const { content } = file;
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
						const data = Array.from({ length: c.n }, () => next++ & 0xff);
						assert.is(writeNow(thread, fd, Uint8Array.from(data)), c.n);
						if (c.n === 0) continue;
						const at = file.append ? content.bytes.length : file.offset;
						if (at > content.bytes.length) resize(content, at);
						content.bytes.splice(at, c.n, ...data);
						file.offset = at + c.n;
					} else {
						const buffer = new Uint8Array(c.n);
						const got = [...buffer.subarray(0, readNow(thread, fd, buffer))];
						assert.equal(got, content.bytes.slice(file.offset, file.offset + c.n));
						file.offset += got.length;
					}
				} else if (c.op === "open") {
					let fd = -1;
					const code = codeOf(() => {
						fd = openNow(thread, tree, c.path, c.flags);
					});
					const file = openIn(model, c.path, c.flags);
					assert.is(code, typeof file === "string" ? file : "no error");
					if (typeof file !== "string") files.push([fd, file]);
				} else if (c.op === "mkdir") {
					assert.is(
						codeOf(() => mkdir(thread, tree, c.path)),
						mkdirIn(model, c.path),
					);
				} else if (c.op === "rmdir") {
					assert.is(
						codeOf(() => rmdir(thread, tree, c.path)),
						rmdirIn(model, c.path),
					);
				} else if (c.op === "unlink") {
					assert.is(
						codeOf(() => unlink(thread, tree, c.path)),
						unlinkIn(model, c.path),
					);
				} else if (c.op === "link") {
					assert.is(
						codeOf(() => link(thread, tree, c.path, c.to)),
						linkIn(model, c.path, c.to),
					);
				} else if (c.op === "rename") {
					assert.is(
						codeOf(() => rename(thread, tree, c.path, c.to)),
						renameIn(model, c.path, c.to),
					);
				} else if (c.op === "truncate") {
					assert.is(
						codeOf(() => truncate(thread, tree, c.path, c.n)),
						truncateIn(model, c.path, c.n),
					);
				}
			}
			assert.equal(contents(), expected());
			for (const [fd, { content }] of files) {
				assert.is(fstat(thread, fd).size, content.bytes.length);
			}
			assert.is(tree.opens.size, files.length);
			checkMachine(m);

			function contents(): [string, number[] | null, number][] {
				const all: [string, number[] | null, number][] = [];
				const visit = (name: string): void => {
					for (const entry of readdir(thread, tree, name)) {
						const below = `${name === "/" ? "" : name}/${entry.name}`;
						const { size, nlink } = stat(thread, tree, below);
						if (entry.type === S_IFDIR) {
							all.push([below, null, nlink]);
							visit(below);
						} else {
							const fd = openNow(thread, tree, below, O_RDONLY);
							const bytes = new Uint8Array(size);
							assert.is(readNow(thread, fd, bytes), size);
							close(thread, fd);
							all.push([below, [...bytes], nlink]);
						}
					}
				};
				visit("/");
				return all.sort(([a], [b]) => (a < b ? -1 : 1));
			}

			function expected(): [string, number[] | null, number][] {
				const entries = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
				return entries.map(([name, content]) => {
					const names = entries.filter(([other, same]) =>
						content === null ? same === null && parentOf(other) === name : same === content,
					).length;
					return [name, content?.bytes ?? null, content === null ? names + 2 : names];
				});
			}
		}),
		{ numRuns: 400 },
	);
});

test.run();
