// What the command opens for a program before that runs: directories, listeners, the trace.
import { once } from "node:events";
import { closeSync, openSync, statSync, writeSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { resolve } from "node:path";
import { mount, Tree, unmount } from "@kqpoll/files";
import { errno, SystemError, type Thread } from "@kqpoll/kqueue";
import type { TraceEvent } from "@kqpoll/kqueue/kernel";
import { openServer, RealDirectory } from "@kqpoll/node";
import type { DirectoryOption } from "./options.ts";
import { codeOf, messageOf, Refusal } from "./refusal.ts";
import type { World } from "./world.ts";

const LOOPBACK = "127.0.0.1";

/** Refuses a directory of the host that is not there, or is not one. */
export function checkDirectories(directories: readonly DirectoryOption[], { cwd }: World): void {
	for (const { host, readOnly } of directories) {
		if (host === null) continue;
		const option = `${readOnly ? "--ro" : "--dir"} ${host}`;
		let isDirectory = false;
		try {
			isDirectory = statSync(resolve(cwd, host)).isDirectory();
		} catch (error) {
			const missing = ["ENOENT", "ENOTDIR"].includes(codeOf(error));
			throw new Refusal(`${option}: ${missing ? "there is no such directory" : messageOf(error)}`);
		}
		if (!isDirectory) throw new Refusal(`${option}: it is not a directory`);
	}
}

/** The directories of the guest by name, each a tree of its own. */
export function openDirectories(
	thread: Thread,
	directories: readonly DirectoryOption[],
	{ cwd }: World,
): Record<string, Tree> {
	const trees: Record<string, Tree> = {};
	for (const { guest, host, readOnly } of directories) {
		const tree = new Tree();
		if (host !== null)
			mount(thread, tree, "/", new RealDirectory(resolve(cwd, host)), { readOnly });
		trees[guest] = tree;
	}
	return trees;
}

/** Takes real directories out of trees again. */
export function closeDirectories(thread: Thread, trees: readonly Tree[]): void {
	for (const tree of trees) {
		try {
			unmount(thread, tree, "/", { force: true });
		} catch (error) {
			// It is one in memory.
			if (!(error instanceof SystemError && error.errno === errno.EINVAL)) throw error;
		}
	}
}

/**
 * Listens on ports of the loopback address, and returns a descriptor for each; says on standard error
 * which ones the system has chosen. From then on connections wait to be accepted.
 */
export async function listenOn(
	thread: Thread,
	ports: readonly number[],
	world: World,
): Promise<number[]> {
	const descriptors: number[] = [];
	for (const port of ports) {
		const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
		descriptors.push(openServer(thread, server));
		try {
			server.listen(port, LOOPBACK);
			await once(server, "listening");
		} catch (error) {
			const taken = codeOf(error) === "EADDRINUSE";
			throw new Refusal(`--listen ${port}: ${taken ? "the port is taken" : messageOf(error)}`);
		}
		const chosen = (server.address() as AddressInfo).port;
		if (port === 0) world.stderr.write(`kqpoll: listening on ${LOOPBACK}:${chosen}\n`);
	}
	return descriptors;
}

/** How many characters of the trace are kept before they are written. */
const BUFFERED = 65_536;

/** A trace that is written to a file. */
export interface Trace {
	/** Takes what has happened. */
	sink(event: TraceEvent): void;
	/** Writes what is left. */
	close(): void;
}

/** Opens the file of a trace, which is empty then. */
export function openTrace(path: string, { cwd, stderr }: World): Trace {
	let fd: number;
	try {
		fd = openSync(resolve(cwd, path), "w");
	} catch (error) {
		throw new Refusal(`--trace ${path}: ${messageOf(error)}`);
	}
	let text = "";
	let failed = false;
	const flush = (): void => {
		const bytes = Buffer.from(text);
		text = "";
		try {
			for (let at = 0; at < bytes.length && !failed; ) at += writeSync(fd, bytes, at);
		} catch (error) {
			failed = true;
			stderr.write(`kqpoll: --trace ${path}: ${messageOf(error)}\n`);
		}
	};
	// The program may end in the middle, by a signal for example.
	process.on("exit", flush);
	return {
		sink: (event) => {
			text += `${JSON.stringify(event)}\n`;
			if (text.length > BUFFERED) flush();
		},
		close: () => {
			process.off("exit", flush);
			flush();
			closeSync(fd);
		},
	};
}
