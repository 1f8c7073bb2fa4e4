// The descriptors that the programs of rows get, on an emulated machine: those that guests/rig.h
// lists, in its order. guests/launch.c makes the same ones on Linux.
import {
	accept,
	bind,
	connect,
	getsockname,
	listen,
	openDevice,
	openNow,
	openpty,
	pipe,
	socket,
	socketpair,
	Tree,
} from "@kqpoll/files";
import { O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR } from "@kqpoll/files/fcntl";
import { close, type Thread, writeNow } from "@kqpoll/kqueue";

const PIPE_COUNT = 8;
const PAIR_COUNT = 7;
const STREAM_COUNT = 4;
const TERMINAL_COUNT = 2;

function times(count: number, make: () => readonly number[]): number[] {
	return Array.from({ length: count }, make).flat();
}

function listening(thread: Thread): [fd: number, port: number] {
	const fd = socket(thread, "inet", "stream");
	bind(thread, fd, 0);
	listen(thread, fd, 16);
	return [fd, Number(getsockname(thread, fd))];
}

async function connected(thread: Thread, port: number): Promise<number> {
	const fd = socket(thread, "inet", "stream");
	await connect(thread, fd, port);
	return fd;
}

async function streams(thread: Thread): Promise<number[]> {
	const [listener, port] = listening(thread);
	const pairs: number[] = [];
	for (let i = 0; i < STREAM_COUNT; i++) {
		pairs.push(await connected(thread, port));
		pairs.push(await accept(thread, listener));
	}
	return [...pairs, listener];
}

function file(thread: Thread, content: string, flags: number): number {
	const tree = new Tree();
	const fd = openNow(thread, tree, "/file", O_RDWR | O_CREAT, 0o644);
	writeNow(thread, fd, new TextEncoder().encode(content));
	close(thread, fd);
	return openNow(thread, tree, "/file", flags);
}

/** Makes the descriptors in the thread's process; returns them in the order of rig.h. */
export async function makeRig(thread: Thread): Promise<number[]> {
	const pipes = times(PIPE_COUNT, () => pipe(thread));
	const pairs = times(PAIR_COUNT, () => socketpair(thread, "stream"));
	const tcp = await streams(thread);
	const listener = tcp.pop() as number;
	const terminals = times(TERMINAL_COUNT, () => openpty(thread).reverse());
	const [visited, port] = listening(thread);
	const visitor = await connected(thread, port);
	const rest = [
		file(thread, "five\n", O_RDWR),
		file(thread, "", O_RDONLY),
		openNow(thread, new Tree(), "/", O_RDONLY | O_DIRECTORY),
		openDevice(thread, "null"),
	];
	return [...pipes, ...pairs, ...tcp, ...terminals, listener, visited, visitor, ...rest];
}
