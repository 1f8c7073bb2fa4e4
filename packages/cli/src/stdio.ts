// The standard streams of the guest: descriptors 0, 1 and 2 of the process that starts it.
import { writeSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { type Termios, TTYDEF } from "@kqpoll/files/termios";
import { TIOCGETA } from "@kqpoll/files/ttycom";
import {
	errno,
	openFile,
	SyntheticFile,
	type SyntheticFileOptions,
	type Thread,
} from "@kqpoll/kqueue";
import { FREAD, FWRITE } from "@kqpoll/kqueue/kernel";
import { S_IFCHR, S_IFIFO } from "@kqpoll/kqueue/stat";
import { openReadable, openWritable } from "@kqpoll/node";
import { errnoOf, RealFile } from "./real-file.ts";
import { isRegularFile, type World } from "./world.ts";

/** How much room there always is in virtual time. */
const ROOM = 65_536;

/** The descriptors of standard input, output and error. */
export type Streams = readonly [stdin: number, stdout: number, stderr: number];

/** Opens the streams in real time: they wake a guest when input comes, or there is room. */
export function openStreams(thread: Thread, world: World): Streams {
	const stdin = isRegularFile(world, 0)
		? openFile(thread, new RealFile(0, FREAD))
		: openReadable(thread, survivor(world.stdin), { close: false });
	return [stdin, openOutput(thread, world, "stdout"), openOutput(thread, world, "stderr")];
}

function openOutput(thread: Thread, world: World, name: "stdout" | "stderr"): number {
	const fd = name === "stdout" ? 1 : 2;
	if (isRegularFile(world, fd)) return openFile(thread, new RealFile(fd, FWRITE));
	return openWritable(thread, survivor(world[name]), { close: false });
}

/**
 * Lets input that is there already reach the machine: a program that only looks, as with a poll of no
 * time, has to find it. One turn of the event loop begins to read, the next one has read.
 */
export async function arrive(): Promise<void> {
	for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A failure of a stream is the guest's business, and that of nobody when the guest has ended. */
function survivor<S extends Readable | Writable>(stream: S): S {
	return stream.on("error", () => {}) as S;
}

/** Reads standard input to its end. */
export async function readAll({ stdin }: World): Promise<Uint8Array> {
	const chunks: Uint8Array[] = [];
	for await (const chunk of stdin as AsyncIterable<Uint8Array | string>)
		chunks.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
	return Buffer.concat(chunks);
}

/** Opens the streams in virtual time, in which the platform does nothing: input is there already. */
export function openVirtualStreams(thread: Thread, world: World, input: Uint8Array): Streams {
	const stdin = new SyntheticFile({ type: "vnode", ...kindOf(world.stdin) });
	stdin.flags = FREAD;
	stdin.push(input);
	stdin.set("read", { eof: true, hup: true });
	return [
		openFile(thread, stdin),
		openVirtualOutput(thread, world, 1),
		openVirtualOutput(thread, world, 2),
	];
}

function openVirtualOutput(thread: Thread, world: World, fd: 1 | 2): number {
	const stream = fd === 1 ? world.stdout : world.stderr;
	const write = world.real ? putNow(fd) : putLater(stream);
	const file = new SyntheticFile({ type: "vnode", ...kindOf(stream), write });
	file.flags = FWRITE;
	file.set("write", ROOM);
	return openFile(thread, file);
}

type Kind = Required<Pick<SyntheticFileOptions, "stat" | "ioctl">>;

/** A pipe, or a terminal if the stream is that of one. */
function kindOf(stream: Readable | Writable): Kind {
	const isTerminal = (stream as { readonly isTTY?: boolean }).isTTY === true;
	return isTerminal ? TERMINAL : PIPE;
}

const PIPE: Kind = {
	stat: () => ({ mode: S_IFIFO | 0o600, size: 0, blksize: ROOM }),
	ioctl: () => -errno.ENOTTY,
};

const TERMINAL: Kind = {
	stat: () => ({ mode: S_IFCHR | 0o620, size: 0, blksize: ROOM }),
	ioctl: (command, argument) => {
		if (command !== TIOCGETA) return -errno.ENOTTY;
		Object.assign(argument as Termios, TTYDEF);
		return 0;
	},
};

/** Writes to a real descriptor, and waits until there is room. */
function putNow(fd: number): (bytes: Uint8Array) => number {
	return (bytes) => {
		for (;;) {
			try {
				return writeSync(fd, bytes);
			} catch (error) {
				const reason = errnoOf(error);
				if (reason !== errno.EAGAIN) return -reason;
				pause();
			}
		}
	};
}

const nobody = new Int32Array(new SharedArrayBuffer(4));

/** Others may have made the descriptor non-blocking: then it is tried again a little later. */
function pause(): void {
	Atomics.wait(nobody, 0, 0, 1);
}

function putLater(stream: Writable): (bytes: Uint8Array) => number {
	return (bytes) => {
		if (!stream.writable) return -errno.EPIPE;
		stream.write(bytes.slice());
		return bytes.length;
	};
}

/** Waits until all that was written is out, or can never be. */
export async function flush(stream: Writable): Promise<void> {
	if (stream.writable && stream.writableLength > 0)
		await new Promise<void>((resolve) => stream.write("", () => resolve()));
}
