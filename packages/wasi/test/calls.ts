// The functions on descriptors and paths, as a test asks for them: names of errors, no pointers.
import { Tree } from "@kqpoll/files";
import type { Process } from "@kqpoll/kqueue";
import { RIGHTS } from "../src/abi/constants.ts";
import type { WASIOptions } from "../src/index.ts";
import { wasiErrno } from "../src/kernel.ts";
import { World } from "./world.ts";

const NAMES = new Map<number, string>(
	Object.entries(wasiErrno).map(([name, number]) => [number, name]),
);

/** Where things stand in the memory of the guest. */
const RESULT = 512;
const OTHER = 1024;
const PATH = 4096;
const BUFFER = 8192;
const IOVS = 60_000;

/** All rights there are. */
export const ALL: bigint = Object.values(RIGHTS).reduce((all, right) => all | BigInt(right), 0n);

/** Rights by their names. */
export function rights(...names: (keyof typeof RIGHTS)[]): bigint {
	return names.reduce((all, name) => all | BigInt(RIGHTS[name]), 0n);
}

/** How a file is opened; a path counts from the directory 3 by default. */
export interface Opening {
	readonly dir?: number;
	readonly follow?: boolean;
	readonly oflags?: number;
	readonly base?: bigint;
	readonly inheriting?: bigint;
	readonly fdflags?: number;
}

/** What fd_filestat_get and path_filestat_get write. */
export interface Filestat {
	readonly dev: bigint;
	readonly ino: bigint;
	readonly filetype: number;
	readonly nlink: bigint;
	readonly size: bigint;
	readonly atim: bigint;
	readonly mtim: bigint;
	readonly ctim: bigint;
}

/** A name that fd_readdir writes. */
export interface Entry {
	readonly next: bigint;
	readonly ino: bigint;
	readonly type: number;
	readonly name: string;
}

/** A guest whose directory 3 is an empty tree by default. */
export class Calls {
	readonly world: World;

	constructor(options: WASIOptions | ((process: Process) => WASIOptions) = {}) {
		const filled = (given: WASIOptions): WASIOptions => ({
			preopens: { "/": new Tree() },
			...given,
		});
		this.world = new World(
			typeof options === "function" ? (process) => filled(options(process)) : filled(options),
		);
	}

	/** Calls a function; returns the name of its error, "SUCCESS" without one. */
	call(name: string, ...args: (number | bigint)[]): string {
		const answer = this.world.call[name]?.(...args);
		return NAMES.get(answer as number) ?? String(answer);
	}

	/** As call, for a function whose result is a number of 32 bits at the last pointer. */
	number(name: string, ...args: (number | bigint)[]): number | string {
		const error = this.call(name, ...args, RESULT);
		return error === "SUCCESS" ? this.world.u32(RESULT) : error;
	}

	/** As call, for a function whose first arguments are a directory and a path. */
	path(name: string, path: string, ...args: (number | bigint)[]): string {
		return this.call(name, 3, ...this.put(path), ...args);
	}

	/** Puts a text into the memory. */
	put(text: string | Uint8Array, at: number = PATH): [pointer: number, length: number] {
		const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
		new Uint8Array(this.world.memory.buffer).set(bytes, at);
		return [at, bytes.length];
	}

	/** A list of one piece. */
	iovs(pointer: number, length: number): [pointer: number, count: number] {
		this.world.view.setUint32(IOVS, pointer, true);
		this.world.view.setUint32(IOVS + 4, length, true);
		return [IOVS, 1];
	}

	open(path: string, how: Opening = {}): number | string {
		const { dir = 3, follow = false, oflags = 0, base = 0n, inheriting = 0n, fdflags = 0 } = how;
		const at = this.put(path);
		return this.number("path_open", dir, follow ? 1 : 0, ...at, oflags, base, inheriting, fdflags);
	}

	/** Makes a file without bytes. */
	create(path: string): void {
		const fd = this.open(path, { oflags: 1 });
		if (typeof fd !== "number" || this.call("fd_close", fd) !== "SUCCESS")
			throw new Error(`${path}: ${fd}`);
	}

	read(fd: number, length: number): string {
		const n = this.number("fd_read", fd, ...this.iovs(BUFFER, length));
		return typeof n === "number" ? this.world.text(BUFFER, n) : n;
	}

	pread(fd: number, length: number, offset: bigint): string {
		const n = this.number("fd_pread", fd, ...this.iovs(BUFFER, length), offset);
		return typeof n === "number" ? this.world.text(BUFFER, n) : n;
	}

	write(fd: number, text: string): number | string {
		return this.number("fd_write", fd, ...this.iovs(...this.put(text, BUFFER)));
	}

	pwrite(fd: number, text: string, offset: bigint): number | string {
		return this.number("fd_pwrite", fd, ...this.iovs(...this.put(text, BUFFER)), offset);
	}

	seek(fd: number, offset: bigint, whence: number): bigint | string {
		const error = this.call("fd_seek", fd, offset, whence, RESULT);
		return error === "SUCCESS" ? this.world.u64(RESULT) : error;
	}

	tell(fd: number): bigint | string {
		const error = this.call("fd_tell", fd, RESULT);
		return error === "SUCCESS" ? this.world.u64(RESULT) : error;
	}

	link(from: string, to: string, follow = false): string {
		const source = this.put(from);
		return this.call("path_link", 3, follow ? 1 : 0, ...source, 3, ...this.put(to, OTHER));
	}

	rename(from: string, to: string): string {
		return this.call("path_rename", 3, ...this.put(from), 3, ...this.put(to, OTHER));
	}

	symlink(target: string, path: string): string {
		return this.call("path_symlink", ...this.put(target), 3, ...this.put(path, OTHER));
	}

	readlink(path: string, room: number): string {
		const used = this.number("path_readlink", 3, ...this.put(path), BUFFER, room);
		return typeof used === "number" ? this.world.text(BUFFER, used) : used;
	}

	stat(path: string, follow = false): Filestat | string {
		const error = this.call("path_filestat_get", 3, follow ? 1 : 0, ...this.put(path), BUFFER);
		return error === "SUCCESS" ? this.filestat() : error;
	}

	fstat(fd: number): Filestat | string {
		const error = this.call("fd_filestat_get", fd, BUFFER);
		return error === "SUCCESS" ? this.filestat() : error;
	}

	private filestat(): Filestat {
		const { world } = this;
		const at = (offset: number): bigint => world.u64(BUFFER + offset);
		const [dev, ino, nlink, size] = [at(0), at(8), at(24), at(32)];
		const filetype = world.view.getUint8(BUFFER + 16);
		return { dev, ino, filetype, nlink, size, atim: at(40), mtim: at(48), ctim: at(56) };
	}

	/** The kind of a descriptor, its flags, and its rights. */
	fdstat(fd: number): string | { type: number; flags: number; base: bigint; inheriting: bigint } {
		const error = this.call("fd_fdstat_get", fd, BUFFER);
		if (error !== "SUCCESS") return error;
		const { view } = this.world;
		return {
			type: view.getUint8(BUFFER),
			flags: view.getUint16(BUFFER + 2, true),
			base: view.getBigUint64(BUFFER + 8, true),
			inheriting: view.getBigUint64(BUFFER + 16, true),
		};
	}

	/** The names in a directory from a cookie on, and how many bytes they took. */
	readdir(fd: number, room: number, cookie = 0n): string | { used: number; entries: Entry[] } {
		const used = this.number("fd_readdir", fd, BUFFER, room, cookie);
		if (typeof used !== "number") return used;
		const { world } = this;
		const entries: Entry[] = [];
		for (let at = BUFFER; at + 24 <= BUFFER + used; ) {
			const length = world.u32(at + 16);
			if (at + 24 + length > BUFFER + used) break;
			const name = world.text(at + 24, length);
			const [next, ino] = [world.u64(at), world.u64(at + 8)];
			entries.push({ next, ino, type: world.view.getUint8(at + 20), name });
			at += 24 + length;
		}
		return { used, entries };
	}
}
