// What the command runs in: its standard streams, and where relative paths begin.
import { fstatSync } from "node:fs";
import type { Readable, Writable } from "node:stream";

/** Where the command runs. */
export interface World {
	/** Standard input. */
	readonly stdin: Readable;
	/** Standard output. */
	readonly stdout: Writable;
	/** Standard error. */
	readonly stderr: Writable;
	/** Whether these are the real descriptors 0, 1 and 2. */
	readonly real: boolean;
	/** Where relative paths begin. */
	readonly cwd: string;
}

/** The world of this process. Its streams are made when they are first used. */
export function realWorld(cwd: string = process.cwd()): World {
	return {
		real: true,
		cwd,
		get stdin() {
			return process.stdin;
		},
		get stdout() {
			return process.stdout;
		},
		get stderr() {
			return process.stderr;
		},
	};
}

/** Whether a standard descriptor is a regular file, which is read and written without its stream. */
export function isRegularFile({ real }: World, fd: number): boolean {
	// Node opens /dev/null in place of one that is closed.
	return real && fstatSync(fd).isFile();
}
