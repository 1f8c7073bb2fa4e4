// Every creator of observables on a machine in marbles' time, each made to emit a, b and c in frames
// 5, 10 and 15 and to end in frame 19, for tests of operators.
import { chmod, ftruncate, openNow, pipe, rename, shutdown, socketpair, Tree } from "@kqpoll/files";
import { O_CREAT, O_RDWR } from "@kqpoll/files/fcntl";
import { SHUT_WR } from "@kqpoll/files/socket";
import { POLLIN } from "@kqpoll/kqpoll";
import {
	close,
	EV_DISPATCH,
	EV_EOF,
	EVFILT_READ,
	exec,
	exit,
	fork,
	Kernel,
	kill,
	openFile,
	type Process,
	readNow,
	SyntheticFile,
	sigaction,
	type Thread,
	threadExit,
	writeNow,
} from "@kqpoll/kqueue";
import { SIG_IGN, SIGCHLD, SIGUSR1 } from "@kqpoll/kqueue/signal";
import { interval, map, type Observable, type ObservableNotification, of, Subject } from "rxjs";
import { TestScheduler } from "rxjs/testing";
import * as assert from "uvu/assert";
import * as demand from "../src/demand.ts";
import {
	exceptional,
	fromKevent,
	kernelScheduler,
	kernelTimer,
	pollfds,
	processEvents,
	readable,
	readBytes,
	signals,
	vnodeChanges,
	withBackpressure,
	writable,
	writeBytes,
} from "../src/index.ts";
import { TestSchedulerHost } from "../src/testing.ts";

/** What a test scheduler compares. */
interface TestMessage {
	readonly frame: number;
	readonly notification: ObservableNotification<unknown>;
}

/** The helpers of a run of marbles. */
export type Helpers = Parameters<Parameters<TestScheduler["run"]>[0]>[0];

/**
 * How a source ends in frame 19: it completes; it emits "z" and completes; it errors; or it goes on
 * until the subscriber leaves it in that frame.
 */
export type Ending = "completes" | "lasts" | "errors" | "goes on";

/** When the source ends. */
export const END = 19;

/** A machine whose clock is that of a TestScheduler. */
export interface Stage {
	readonly kernel: Kernel;
	readonly process: Process;
	/** What subscribes. It is not the only thread of its process. */
	readonly thread: Thread;
	/** The current frame. */
	frame(): number;
	/** The letter of the current frame. */
	letter(): string;
}

/** A source on a stage. */
interface Source {
	readonly values: Observable<string>;
	/** Sets off a, b and c: called with 1, 2 and 3. Sources that follow the clock have none. */
	act?(which: number): void;
	/** Makes it end; for each ending that it has, besides that of the subscriber. */
	readonly ends: Partial<Record<Ending, () => void>>;
}

/** A creator, and what distinguishes it from others. */
export interface Creator {
	readonly name: string;
	/** Whether a new subscriber gets what is ready already. */
	readonly state?: boolean;
	/** Whether it errors with ESRCH when it is subscribed to after its last value. */
	readonly gone?: boolean;
	/** Whether each of several subscribers gets everything. */
	readonly multicast: boolean;
	/** The code with which it errors in frame 19. */
	readonly code?: string;
	make(stage: Stage): Source;
}

const LETTERS = ["", "a", "b", "c", "z"] as const;

const letterOf = (count: number): string => LETTERS[count] ?? String(count);

function bytes(count: number): Uint8Array {
	return new Uint8Array(count);
}

/** A watched child, whose exit can be had later on if it becomes a zombie. */
function processCreator(name: string, zombie: boolean): Creator {
	return {
		name,
		gone: !zombie,
		multicast: true,
		code: "ESRCH",
		make({ process, thread, letter }) {
			if (!zombie) sigaction(process.main, SIGCHLD, SIG_IGN);
			const child = fork(process.main);
			const acts = [() => exit(fork(child.main).main, 0), () => exec(child.main)];
			return {
				values: processEvents(thread, child.pid).pipe(
					map(({ forked, execed, exited }) => {
						if (exited) return "z";
						return forked !== execed ? letter() : "both";
					}),
				),
				act: (which) => acts[(which - 1) % 2]?.(),
				ends: { lasts: () => exit(child.main, 0), errors: () => threadExit(thread) },
			};
		},
	};
}

/** All creators. */
export const CREATORS: readonly Creator[] = [
	{
		name: "fromKevent",
		state: true,
		multicast: true,
		code: "EBADF",
		make({ thread }) {
			const file = new SyntheticFile();
			const fd = openFile(thread, file);
			const change = { ident: fd, filter: EVFILT_READ, flags: 0 };
			return {
				values: fromKevent(thread, change).pipe(
					map(({ data, flags }) => ((flags & EV_EOF) !== 0 ? "z" : letterOf(data))),
				),
				act: (which) => file.set("read", { data: which }),
				ends: {
					lasts: () => file.set("read", { eof: true }),
					errors: () => close(thread, fd),
				},
			};
		},
	},
	{
		name: "fromKevent with EV_DISPATCH",
		multicast: false,
		code: "EBADF",
		make({ thread }) {
			const [r, w] = pipe(thread);
			const change = { ident: r, filter: EVFILT_READ, flags: EV_DISPATCH };
			return {
				// It is told again and again until it reads.
				values: fromKevent(thread, change).pipe(
					map(({ flags }) => {
						const n = readNow(thread, r, bytes(8));
						return (flags & EV_EOF) !== 0 ? "z" : letterOf(n);
					}),
				),
				act: (which) => writeNow(thread, w, bytes(which)),
				ends: { lasts: () => close(thread, w), errors: () => close(thread, r) },
			};
		},
	},
	{
		name: "readable",
		state: true,
		multicast: true,
		code: "EBADF",
		make({ thread }) {
			const [r, w] = pipe(thread);
			return {
				values: readable(thread, r).pipe(map(({ bytes, eof }) => (eof ? "z" : letterOf(bytes)))),
				act: () => writeNow(thread, w, bytes(1)),
				ends: { lasts: () => close(thread, w), errors: () => close(thread, r) },
			};
		},
	},
	{
		name: "writable",
		state: true,
		multicast: true,
		code: "EBADF",
		make({ thread }) {
			const file = new SyntheticFile();
			const fd = openFile(thread, file);
			return {
				values: writable(thread, fd).pipe(map(({ room, eof }) => (eof ? "z" : letterOf(room)))),
				act: (which) => file.set("write", { data: which }),
				ends: {
					lasts: () => file.set("write", { eof: true }),
					errors: () => close(thread, fd),
				},
			};
		},
	},
	{
		name: "exceptional",
		state: true,
		multicast: true,
		code: "EBADF",
		make({ thread }) {
			const file = new SyntheticFile();
			const fd = openFile(thread, file);
			return {
				values: exceptional(thread, fd).pipe(map(({ kevent }) => letterOf(kevent.data))),
				act: (which) => file.set("except", { data: which }),
				ends: { errors: () => close(thread, fd) },
			};
		},
	},
	{
		name: "vnodeChanges",
		multicast: true,
		code: "EBADF",
		make({ thread }) {
			const tree = new Tree();
			const fd = openNow(thread, tree, "/file", O_RDWR | O_CREAT);
			writeNow(thread, fd, bytes(9));
			const acts = [
				() => ftruncate(thread, fd, 1),
				() => chmod(thread, tree, "/file", 0o600),
				() => rename(thread, tree, "/file", "/other"),
			];
			return {
				values: vnodeChanges(thread, fd).pipe(
					map(({ truncated, attributes, renamed }) =>
						letterOf([truncated, attributes, renamed].indexOf(true) + 1),
					),
				),
				act: (which) => acts[which - 1]?.(),
				ends: { errors: () => close(thread, fd) },
			};
		},
	},
	processCreator("processEvents", true),
	processCreator("processEvents of a child that leaves no zombie", false),
	{
		name: "signals",
		multicast: true,
		code: "ESRCH",
		make({ process, thread }) {
			sigaction(thread, SIGUSR1, SIG_IGN);
			return {
				values: signals(thread, SIGUSR1).pipe(map(({ count }) => letterOf(count))),
				act(which) {
					for (let i = 0; i < which; i++) kill(process.main, process.pid, SIGUSR1);
				},
				ends: { errors: () => threadExit(thread) },
			};
		},
	},
	{
		name: "kernelTimer",
		multicast: true,
		code: "ESRCH",
		make({ thread, letter }) {
			return {
				values: kernelTimer(thread, 5).pipe(map(letter)),
				ends: { errors: () => threadExit(thread) },
			};
		},
	},
	{
		name: "interval of a kernelScheduler",
		multicast: true,
		make({ kernel, letter }) {
			return { values: interval(5, kernelScheduler(kernel)).pipe(map(letter)), ends: {} };
		},
	},
	{
		name: "pollfds",
		multicast: false,
		code: "ESRCH",
		make({ process, thread }) {
			const [r, w] = pipe(thread);
			return {
				values: pollfds(thread, [{ fd: r, events: POLLIN }]).pipe(
					map(() => letterOf(readNow(process.main, r, bytes(8)))),
				),
				act: (which) => writeNow(process.main, w, bytes(which)),
				ends: { errors: () => threadExit(thread) },
			};
		},
	},
	{
		name: "readBytes of a pipe",
		multicast: false,
		code: "EBADF",
		make({ thread }) {
			const [r, w] = pipe(thread);
			return {
				values: readBytes(thread, r).pipe(map(({ length }) => letterOf(length))),
				act: (which) => writeNow(thread, w, bytes(which)),
				ends: { completes: () => close(thread, w), errors: () => close(thread, r) },
			};
		},
	},
	{
		name: "readBytes of messages",
		multicast: false,
		code: "EBADF",
		make({ thread }) {
			const [a, b] = socketpair(thread, "seqpacket");
			return {
				values: readBytes(thread, a).pipe(map(({ length }) => letterOf(length))),
				act: (which) => writeNow(thread, b, bytes(which)),
				ends: { completes: () => shutdown(thread, b, SHUT_WR), errors: () => close(thread, a) },
			};
		},
	},
	{
		name: "withBackpressure",
		multicast: false,
		code: "EBADF",
		make({ thread }) {
			const [r, w] = pipe(thread);
			return {
				values: readBytes(thread, r).pipe(withBackpressure(({ length }) => of(letterOf(length)))),
				act: (which) => writeNow(thread, w, bytes(which)),
				ends: { completes: () => close(thread, w), errors: () => close(thread, r) },
			};
		},
	},
	{
		name: "writeBytes",
		multicast: false,
		code: "EBADF",
		make({ thread }) {
			const fd = pipe(thread)[1];
			const chunks = new Subject<Uint8Array>();
			return {
				values: chunks.pipe(writeBytes(thread, fd), map(letterOf)),
				act: (which) => chunks.next(bytes(which)),
				ends: { completes: () => chunks.complete(), errors: () => close(thread, fd) },
			};
		},
	},
	{
		name: "readBytes to writeBytes",
		multicast: false,
		code: "EBADF",
		make({ thread }) {
			const [r, w] = pipe(thread);
			const out = socketpair(thread, "stream")[0];
			return {
				values: readBytes(thread, r).pipe(writeBytes(thread, out), map(letterOf)),
				act: (which) => writeNow(thread, w, bytes(which)),
				ends: { completes: () => close(thread, w), errors: () => close(thread, out) },
			};
		},
	},
	{
		name: "operators that keep demand",
		multicast: false,
		code: "EBADF",
		make({ thread }) {
			const [r, w] = pipe(thread);
			const chunks = readBytes(thread, r).pipe(
				demand.filter(({ length }) => length > 0),
				demand.map(({ length }) => length),
				// Without a memory: some operators subscribe again.
				demand.scan((_, length) => length, 0),
				demand.concatMap((length) => of(letterOf(length))),
			);
			return {
				values: chunks,
				act: (which) => writeNow(thread, w, bytes(which)),
				ends: { completes: () => close(thread, w), errors: () => close(thread, r) },
			};
		},
	},
	{
		name: "readBytes to writeBytes, with a transformation",
		multicast: false,
		code: "EBADF",
		make({ thread }) {
			const [r, w] = pipe(thread);
			const out = socketpair(thread, "stream")[0];
			return {
				values: readBytes(thread, r).pipe(
					demand.map((chunk) => chunk.slice()),
					writeBytes(thread, out),
					map(letterOf),
				),
				act: (which) => writeNow(thread, w, bytes(which)),
				ends: { completes: () => close(thread, w), errors: () => close(thread, out) },
			};
		},
	},
];

/** The endings of a creator, that of the subscriber first. */
export function endingsOf(creator: Creator): Ending[] {
	let ends: Source["ends"] = {};
	runOn(({ stage }) => {
		({ ends } = creator.make(stage));
	});
	return ["goes on", ...(Object.keys(ends) as Ending[])];
}

/** Runs marbles on a new machine; at the end nothing of what was subscribed may be left. */
export function runOn(act: (on: { stage: Stage; helpers: Helpers }) => void): void {
	const scheduler = new TestScheduler((actual, expected) =>
		assert.is(textOf(actual), textOf(expected)),
	);
	scheduler.run((helpers) => {
		const kernel = new Kernel({ host: new TestSchedulerHost(scheduler), diagnostics: true });
		const process = kernel.spawn();
		const thread = process.spawnThread();
		const frame = (): number => scheduler.now();
		const letter = (): string => letterOf(Math.min(4, Math.ceil(frame() / 5)));
		const stage: Stage = { kernel, process, thread, frame, letter };
		act({ stage, helpers });
		// In a frame of its own: a timer that is left would keep the scheduler running.
		scheduler.schedule(() => checkClean(stage), 90);
	});
}

/** Subscribing to the source of a creator, with what makes it emit and end scheduled before. */
export function perform(
	creator: Creator,
	ending: Ending,
	{ stage, helpers }: { readonly stage: Stage; readonly helpers: Helpers },
): Observable<string> {
	const source = creator.make(stage);
	const act = source.act?.bind(source);
	const script = helpers.cold("-----1----2----3---e", { 1: 1, 2: 2, 3: 3, e: 0 });
	script.subscribe((which) => (which === 0 ? source.ends[ending]?.() : act?.(which)));
	return source.values;
}

/** Throws if a knote, pump, timer or sleeper is left. */
export function checkClean({ kernel, process, thread }: Stage): void {
	const { timeouts, ntimers, sleepers } = kernel;
	const kqueues: unknown[] = [];
	for (let kq = process.fdp.firstKqueue; kq !== null; kq = kq.next) kqueues.push(kq);
	// The one of its polls stays with a thread.
	const left = {
		pump: thread.watches !== null,
		kqueue: kqueues.some((kq) => kq !== thread.kq),
		timeouts: timeouts.size,
		ntimers,
		sleepers,
	};
	assert.equal(left, { pump: false, kqueue: false, timeouts: 0, ntimers: 0, sleepers: 0 });
}

/** What happens in frames, as a text: "5 a, 10 b, 19 |". */
function textOf(messages: unknown): string {
	return (messages as readonly TestMessage[])
		.map(({ frame, notification }) => {
			if (notification.kind === "N") return `${frame} ${notification.value}`;
			return `${frame} ${notification.kind === "C" ? "|" : `# ${notification.error}`}`;
		})
		.join(", ");
}
