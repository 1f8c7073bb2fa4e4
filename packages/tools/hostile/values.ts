// Random arguments: honest ones mostly, and those that a program passes by mistake or by malice.
import type { Process, Thread } from "@kqpoll/kqueue";
import type { File } from "@kqpoll/kqueue/kernel";
import { hostile, ownSignal } from "./objects.ts";
import { MAX_FILES, Thrown, type World } from "./world.ts";

/** Draws a random argument. */
export type Kind<T = unknown> = (world: World) => T;

/** What is wrong wherever it is passed. */
const ODD: readonly unknown[] = [
	-1,
	-0,
	0,
	1,
	0.5,
	2 ** 31 - 1,
	2 ** 31,
	2 ** 32,
	2 ** 32 + 1,
	2 ** 53 - 1,
	2 ** 53,
	-(2 ** 31),
	-(2 ** 53),
	Number.NaN,
	Number.POSITIVE_INFINITY,
	Number.NEGATIVE_INFINITY,
	null,
	undefined,
	"",
	"3",
	"length",
	true,
	false,
];

/** Draws an argument: once in a while an odd one, or with objects a hostile one. */
export function draw(kind: Kind, world: World): unknown {
	const { random } = world;
	if (world.honest) return kind(world);
	if (random.once(40)) return random.once(6) ? {} : random.once(6) ? [] : random.pick(ODD);
	const value = kind(world);
	return world.objects && random.once(9) ? hostile(value, world) : value;
}

/** One of several values. */
export function oneOf<T>(...values: readonly T[]): Kind<T> {
	return ({ random }) => random.pick(values);
}

/** Several values, or-ed. */
export function flagsOf(...flags: readonly number[]): Kind<number> {
	return ({ random }) => {
		let drawn = 0;
		for (let n = random.below(3); n >= 0; n--) drawn |= random.pick(flags);
		return random.once(30) ? random.next() | 0 : drawn;
	};
}

/** What a kind draws, or nothing. */
export function maybe<T>(kind: Kind<T>): Kind<T | null> {
	return (world) => (world.random.once(3) ? null : kind(world));
}

/** A whole number below another one. */
export function upTo(n: number): Kind<number> {
	return ({ random }) => random.below(n);
}

/** The thread of the current call, or any other one. */
export const aThread: Kind<Thread> = (world) =>
	world.random.once(3) ? world.anyThread() : world.thread;

/** A descriptor with a file that is of a kind, if there is one. */
function descriptor(is: (file: File) => boolean): Kind<number> {
	return ({ random, thread }) => {
		if (random.once(25)) return random.below(MAX_FILES + 2);
		const { fdp } = thread.process;
		const from = random.below(MAX_FILES);
		let any = from;
		for (let i = 0; i < MAX_FILES; i++) {
			const fd = (from + i) % MAX_FILES;
			const file = fdp.get(fd);
			if (file === null) continue;
			if (is(file)) return fd;
			any = fd;
		}
		return any;
	};
}

/** A descriptor. */
export const fd: Kind<number> = descriptor(() => true);
/** The descriptor of a kqueue. */
export const kqFd: Kind<number> = descriptor(({ type }) => type === "kqueue");
/** The descriptor of a socket. */
export const socketFd: Kind<number> = descriptor(({ type }) => type === "socket");
/** The descriptor of a terminal. */
export const ttyFd: Kind<number> = descriptor((file) =>
	/^Pty(Master|Slave)$/.test(file.constructor.name),
);
/** The descriptor of a file or a directory. */
export const vnodeFd: Kind<number> = descriptor((file) => file.type === "vnode" && "vnode" in file);
/** The descriptor of a directory. */
export const directoryFd: Kind<number> = descriptor(
	(file) =>
		"vnode" in file && (file as File & { vnode: { isDirectory: boolean } }).vnode.isDirectory,
);
/** A number for a descriptor, open or not. */
export const fdNumber: Kind<number> = upTo(MAX_FILES + 2);

const SIZES = [0, 1, 1, 2, 3, 7, 64, 512, 4096, 5461, 8192, 16_384, 65_536, 70_000];

/** How many bytes a call moves. */
const size: Kind<number> = ({ random }) => (random.once(3) ? random.pick(SIZES) : random.below(40));

/** Bytes to be read or written. */
export const bytes: Kind<Uint8Array> = (world) => new Uint8Array(size(world)).fill(97);

/** What is typed at a terminal. */
export const typed: Kind<Uint8Array> = ({ random }) =>
	Uint8Array.from({ length: random.below(20) }, () =>
		random.once(3) ? random.below(32) : random.pick([97, 10, 13, 9, 255, 127, 0]),
	);

/** A list of a few values. */
export function listOf<T>(kind: Kind<T>, most = 4): Kind<T[]> {
	return (world) => Array.from({ length: world.random.below(most + 1) }, () => kind(world));
}

/** Options of a call that sleeps: a signal, more often none. */
export const sleepOptions: Kind = (world) => {
	const { random } = world;
	if (!random.once(4)) return undefined;
	if (world.objects && random.once(2)) return { signal: ownSignal(world) };
	const controller = new AbortController();
	if (random.once(8)) controller.abort(new Thrown("aborted before"));
	else world.aborts.push(() => controller.abort(new Thrown("aborted")));
	return { signal: controller.signal };
};

/** A time in milliseconds, mostly short. */
export const milliseconds: Kind<number> = ({ random }) =>
	random.pick([0, 0, 1, 1, 2, 5, 10, 100, 0.5, -1, random.below(1000)]);

/** A timespec, mostly short. */
export const timespec: Kind = ({ random }) => ({
	sec: random.once(12) ? random.below(4) : 0,
	nsec: random.once(20) ? 1e9 : random.below(50) * 1e6,
});

/** A timeval, mostly short. */
export const timeval: Kind = ({ random }) => ({
	sec: random.once(12) ? random.below(4) : 0,
	usec: random.once(20) ? 1e6 : random.below(50) * 1000,
});

/** A process id: of a process, a group, or none. */
export const pid: Kind<number> = ({ random, kernel }) => {
	if (random.once(5)) return random.pick([0, -1, 1, 2, 99_999, -2]);
	const all: readonly Process[] = [...kernel.processes.values()];
	const chosen = all.length === 0 ? 0 : random.pick(all).pid;
	return random.once(6) ? -chosen : chosen;
};

/** A signal. */
export const signal: Kind<number> = ({ random }) =>
	random.once(3) ? random.below(34) : random.pick([1, 13, 17, 18, 19, 20, 21, 22, 30, 31]);

/** A set of signals. */
export const sigset: Kind<number> = ({ random }) =>
	random.once(2) ? 0 : random.next() & random.next();
