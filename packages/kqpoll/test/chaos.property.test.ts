// Random programs whose filters, files and signal handlers call back into the engine, and throw, at
// the worst moments: nothing breaks, no thread sleeps forever, and nothing is left at the end.
import {
	close,
	dup2,
	EV_ADD,
	EV_CLEAR,
	EV_DELETE,
	EV_DISABLE,
	EV_DISPATCH,
	EV_ENABLE,
	EV_ONESHOT,
	EVFILT_PROC,
	EVFILT_READ,
	EVFILT_SIGNAL,
	EVFILT_TIMER,
	EVFILT_WRITE,
	errno,
	eventList,
	exec,
	exit,
	fork,
	interrupt,
	Kernel,
	kevent,
	keventNow,
	kill,
	kqueue,
	NOTE_EXIT,
	NOTE_FORK,
	NOTE_TRACK,
	openFile,
	SystemError,
	sigaction,
	sigprocmask,
	type Thread,
	threadExit,
} from "@kqpoll/kqueue";
import {
	File,
	type Filterops,
	filterops,
	Klist,
	type Knote,
	kqueueDoCheck,
} from "@kqpoll/kqueue/kernel";
import {
	SIG_BLOCK,
	SIG_DFL,
	SIG_SETMASK,
	SIGTERM,
	SIGUSR1,
	SIGUSR2,
	sigset,
	threadKill,
} from "@kqpoll/kqueue/signal";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { closefrom } from "@kqpoll/kqueue/unistd";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	FdSet,
	POLLIN,
	POLLOUT,
	POLLPRI,
	poll,
	pollNow,
	ppoll,
	ppollNow,
	select,
	selectNow,
} from "../src/index.ts";

const OPERATIONS = [
	"change",
	"change",
	"change",
	"scan",
	"wait",
	"poll",
	"pollwait",
	"select",
	"selectwait",
	"mask",
	"maskwait",
	"open",
	"kqueue",
	"close",
	"dup2",
	"closefrom",
	"ready",
	"ready",
	"invalidate",
	"hook",
	"hook",
	"hook",
	"handler",
	"kill",
	"killthread",
	"sigprocmask",
	"interrupt",
	"abort",
	"thread",
	"fork",
	"exec",
	"threadexit",
	"exit",
	"settle",
	"advance",
] as const;

const HOOKS = ["kqfilter", "attached", "detach", "event", "close"] as const;

/** One operation, and what a hook or handler that it installs does. */
interface Command {
	readonly op: (typeof OPERATIONS)[number];
	readonly a: number;
	readonly b: number;
	readonly c: number;
	readonly nested: readonly Command[];
	readonly throws: boolean;
}

const { command } = fc.letrec<{ command: Command; nested: Command[] }>((tie) => ({
	command: fc.record({
		op: fc.constantFrom(...OPERATIONS),
		a: fc.nat(999),
		b: fc.nat(999),
		c: fc.nat(999),
		nested: tie("nested"),
		throws: fc.nat(3).map((n) => n === 0),
	}),
	nested: fc.oneof(
		{ maxDepth: 3 },
		fc.constant<Command[]>([]),
		fc.array(tie("command"), { minLength: 1, maxLength: 3 }),
	),
}));

/** What hooks throw. */
class Thrown extends Error {}

class Hooked extends File {
	readonly klist: Klist = new Klist();
	readonly hooks = new Map<string, () => void>();
	ready = 0;
	private readonly filter: Filterops = filterops({
		name: "chaos",
		detach: (kn) => {
			this.klist.remove(kn);
			this.hook("detach");
		},
		event: (kn) => {
			this.hook("event");
			kn.data = this.ready;
			return this.ready > 0;
		},
	});

	constructor() {
		super("socket");
	}

	override kqfilter(kn: Knote): number {
		this.hook("kqfilter");
		if (kn.filter !== EVFILT_READ && kn.filter !== EVFILT_WRITE) return errno.EINVAL;
		kn.fop = this.filter;
		this.klist.insert(kn);
		this.hook("attached");
		return 0;
	}

	override close(): void {
		this.hook("close");
	}

	/** Each hook runs once. */
	private hook(name: string): void {
		const run = this.hooks.get(name);
		this.hooks.delete(name);
		run?.();
	}
}

const FLAGS = [
	EV_ADD,
	EV_ADD | EV_CLEAR,
	EV_ADD | EV_ONESHOT,
	EV_ADD | EV_DISPATCH,
	EV_ADD | EV_DISABLE,
	EV_DELETE,
	EV_ENABLE,
	EV_DISABLE,
];
const SIGNALS = [SIGUSR1, SIGUSR2, SIGTERM];
const EVENTS = [POLLIN, POLLOUT, POLLIN | POLLOUT, POLLPRI, 0];

/** A machine that runs commands. */
class Chaos {
	readonly host = new VirtualHost();
	readonly kernel = new Kernel({
		host: this.host,
		diagnostics: true,
		maxfiles: 24,
		maxprocesses: 8,
	});
	readonly threads: Thread[] = [];
	readonly files: Hooked[] = [];
	readonly controllers: AbortController[] = [];
	pending = 0;
	private budget = 300;

	constructor() {
		const { main } = this.kernel.spawn();
		this.threads.push(main);
		for (let i = 0; i < 2; i++) kqueue(main);
		for (let i = 0; i < 3; i++) this.open(main);
	}

	/** Runs one command; the only errors allowed are those that a program may see. */
	run(command: Command): void {
		if (this.budget-- <= 0) return;
		const thread = this.threads[command.a % this.threads.length] as Thread;
		try {
			this.perform(command, thread);
		} catch (error) {
			expected(error);
		}
	}

	/** Deferred work that throws must not keep the rest from running. */
	settle(): void {
		for (let again = true; again; ) {
			try {
				this.host.settle();
				again = false;
			} catch (error) {
				expected(error);
			}
		}
	}

	advance(ms: number): void {
		const end = this.host.now() + ms * 1e6;
		while (this.host.now() < end) {
			try {
				this.host.advance((end - this.host.now()) / 1e6);
			} catch (error) {
				expected(error);
			}
		}
		this.settle();
	}

	/** Checks the invariants between calls. */
	check(): void {
		for (const process of this.kernel.processes.values()) {
			for (let kq = process.fdp.firstKqueue; kq !== null; kq = kq.next) {
				kqueueDoCheck(kq);
				assert.is(kq.busy, 0, "no kqueue is busy between calls");
			}
		}
		for (const thread of this.threads) {
			assert.is(thread.depth, 0, "no thread is in a call");
			assert.ok(!thread.polling || thread.state !== "running", "no poll is half done");
		}
	}

	/** Ends everything and checks that nothing is left. */
	async finish(): Promise<void> {
		for (const file of this.files) file.hooks.clear();
		this.settle();
		for (const process of [...this.kernel.processes.values()]) {
			if (process.exiting) continue;
			try {
				exit(process.threads[0] ?? process.spawnThread(), 0);
			} catch (error) {
				expected(error); // A hook that a handler installed just now.
			}
		}
		this.advance(100);
		await new Promise((resolve) => setImmediate(resolve));
		assert.equal(
			{
				pending: this.pending,
				sleepers: this.kernel.sleepers,
				timeouts: this.kernel.timeouts.size,
				timers: this.kernel.ntimers,
				refs: this.files.filter(({ refs }) => refs !== 0).length,
			},
			{ pending: 0, sleepers: 0, timeouts: 0, timers: 0, refs: 0 },
		);
	}

	private open(thread: Thread): void {
		const file = new Hooked();
		openFile(thread, file);
		this.files.push(file);
	}

	private track(promise: Promise<number>): void {
		this.pending++;
		promise.then(
			() => this.pending--,
			(error) => {
				this.pending--;
				expected(error);
			},
		);
	}

	private options(n: number): { signal?: AbortSignal } {
		if (n % 3 !== 0) return {};
		const controller = new AbortController();
		this.controllers.push(controller);
		return { signal: controller.signal };
	}

	/** What a hook or a handler does. */
	private nested({ nested, throws }: Command): () => void {
		return () => {
			for (const each of nested) this.run(each);
			if (throws) throw new Thrown();
		};
	}

	private perform(command: Command, thread: Thread): void {
		const { op, a, b, c } = command;
		const { fdp } = thread.process;
		const open = [...fdp.open()];
		const fd = open[b % Math.max(1, open.length)] ?? 0;
		const kqs = open.filter((each) => fdp.get(each)?.type === "kqueue");
		const kq = kqs[c % Math.max(1, kqs.length)] ?? 0;
		const file = this.files[b % this.files.length] as Hooked;
		const fds = [fd, (fd + c) % 24].map((each, i) => ({
			fd: each,
			events: EVENTS[(c + i) % EVENTS.length] as number,
			revents: 0,
		}));
		const set = () => new FdSet([fd], 64);
		const mask = sigset(...SIGNALS.filter((_, i) => (c >> i) & 1));
		const signal = SIGNALS[c % SIGNALS.length] as number;
		switch (op) {
			case "change":
				keventNow(thread, kq, [this.change(command, fd)], null);
				break;
			case "scan":
				keventNow(thread, kq, null, eventList(1 + (b % 3)));
				break;
			case "wait":
				this.track(
					kevent(thread, kq, null, eventList(2), { sec: 0, nsec: c * 1e4 }, this.options(b)),
				);
				break;
			case "poll":
				pollNow(thread, fds);
				break;
			case "pollwait":
				this.track(poll(thread, fds, c % 5 === 0 ? -1 : c / 100, this.options(b)));
				break;
			case "select":
				selectNow(thread, 24, set(), set(), set());
				break;
			case "selectwait":
				this.track(
					select(thread, 24, set(), null, null, { sec: 0, usec: c * 10 }, this.options(b)),
				);
				break;
			case "mask":
				ppollNow(thread, fds, mask);
				break;
			case "maskwait":
				this.track(ppoll(thread, fds, { sec: 0, nsec: c * 1e4 }, mask, this.options(b)));
				break;
			case "open":
				this.open(thread);
				break;
			case "kqueue":
				kqueue(thread);
				break;
			case "close":
				close(thread, fd);
				break;
			case "dup2":
				dup2(thread, fd, c % 24);
				break;
			case "closefrom":
				closefrom(thread, 8 + (c % 16));
				break;
			case "ready":
				file.ready = c % 2;
				file.klist.notify(0);
				break;
			case "invalidate":
				file.klist.invalidate();
				break;
			case "hook":
				file.hooks.set(HOOKS[c % HOOKS.length] as string, this.nested(command));
				break;
			case "handler":
				sigaction(thread, signal, b % 5 === 0 ? SIG_DFL : this.nested(command));
				break;
			case "kill":
				kill(thread, (this.threads[b % this.threads.length] as Thread).process.pid, signal);
				break;
			case "killthread":
				threadKill(thread, this.threads[b % this.threads.length] as Thread, signal);
				break;
			case "sigprocmask":
				sigprocmask(thread, b % 2 === 0 ? SIG_BLOCK : SIG_SETMASK, mask);
				break;
			case "interrupt":
				interrupt(thread);
				break;
			case "abort":
				this.controllers[b % Math.max(1, this.controllers.length)]?.abort(new Thrown());
				break;
			case "thread":
				this.threads.push(thread.process.spawnThread());
				break;
			case "fork":
				this.threads.push(fork(thread).main);
				break;
			case "exec":
				exec(thread);
				break;
			case "threadexit":
				if (a % 3 === 0) threadExit(thread);
				break;
			case "exit":
				if (a % 5 === 0) exit(thread, b % 256);
				break;
			case "settle":
				this.settle();
				break;
			case "advance":
				this.advance(c / 100);
				break;
		}
	}

	private change({ a, b, c }: Command, fd: number) {
		const flags = FLAGS[c % FLAGS.length] as number;
		switch (b % 10) {
			case 0:
				return { ident: c % 3, filter: EVFILT_TIMER, flags, data: 1 + (a % 5) };
			case 1:
				return { ident: SIGUSR1, filter: EVFILT_SIGNAL, flags };
			case 2: {
				const { pid } = (this.threads[c % this.threads.length] as Thread).process;
				return {
					ident: pid,
					filter: EVFILT_PROC,
					flags,
					fflags: NOTE_EXIT + NOTE_FORK + NOTE_TRACK,
				};
			}
			default:
				return { ident: fd, filter: b % 3 === 0 ? EVFILT_WRITE : EVFILT_READ, flags };
		}
	}
}

function expected(error: unknown): void {
	if (!(error instanceof SystemError) && !(error instanceof Thrown)) throw error;
}

test("a chaos of callbacks, signals and errors breaks nothing and leaves nothing", async () => {
	await fc.assert(
		fc.asyncProperty(
			fc.array(command, { minLength: 10, maxLength: 60, size: "max" }),
			async (commands) => {
				const chaos = new Chaos();
				for (const command of commands) {
					chaos.run(command);
					chaos.check();
				}
				await chaos.finish();
			},
		),
		{ numRuns: Number(process.env["CHAOS_RUNS"] ?? 3000), includeErrorInReport: true },
	);
});

test.run();
