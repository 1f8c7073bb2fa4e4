// A reactor around select(2). It keeps its timers in a wheel, whose next tick is the time-out of
// the call. Its signal handlers write to a pipe of its own, so that the call notices a signal that
// comes just before it and does not sleep until the next time-out: the self-pipe trick.
import { pipe2 } from "@kqpoll/files";
import { FD_ISSET, FdSet, select } from "@kqpoll/kqpoll";
import { close, readNow, type SystemError, sigaction, type Thread, writeNow } from "@kqpoll/kqueue";
import { O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { SIG_DFL } from "@kqpoll/kqueue/signal";
import { demonstrate, type Reactor } from "./reactor-program.ts";
import { TimerWheel } from "./timer-wheel.ts";

class SelectReactor implements Reactor {
	private readonly thread: Thread;
	private readonly readers = new Map<number, () => void>();
	private readonly signals = new Map<number, () => void>();
	private readonly wheel: TimerWheel;
	private readonly wakeR: number;
	private readonly wakeW: number;
	private stopped = false;

	constructor(thread: Thread) {
		this.thread = thread;
		this.wheel = new TimerWheel(() => thread.kernel.host.now() / 1e6);
		[this.wakeR, this.wakeW] = pipe2(thread, O_NONBLOCK);
		this.readers.set(this.wakeR, () => this.wake());
	}

	onReadable(fd: number, callback: () => void): void {
		this.readers.set(fd, callback);
	}

	forget(fd: number): void {
		this.readers.delete(fd);
	}

	/** The handler only writes the signal's number to the pipe. */
	onSignal(signal: number, callback: () => void): void {
		this.signals.set(signal, callback);
		sigaction(this.thread, signal, () => writeNow(this.thread, this.wakeW, Uint8Array.of(signal)));
	}

	private wake(): void {
		const signals = new Uint8Array(16);
		const n = readNow(this.thread, this.wakeR, signals);
		for (const signal of signals.subarray(0, n)) this.signals.get(signal)?.();
	}

	after(ms: number, callback: () => void): () => void {
		return this.wheel.add(ms, callback);
	}

	stop(): void {
		this.stopped = true;
	}

	async run(): Promise<void> {
		while (!this.stopped) {
			const readfds = new FdSet(this.readers.keys());
			if (!(await this.wait(readfds))) continue;
			this.wheel.turn();
			for (const [fd, callback] of this.readers) if (FD_ISSET(fd, readfds)) callback();
		}
		for (const signal of this.signals.keys()) sigaction(this.thread, signal, SIG_DFL);
		for (const fd of [this.wakeR, this.wakeW]) close(this.thread, fd);
	}

	/** Waits until something is ready or due. After an EINTR the sets are not valid: false. */
	private async wait(readfds: FdSet): Promise<boolean> {
		const ms = this.wheel.timeout();
		const timeval = ms === null ? null : { sec: Math.floor(ms / 1000), usec: (ms % 1000) * 1000 };
		try {
			await select(this.thread, Math.max(...readfds) + 1, readfds, null, null, timeval);
			return true;
		} catch (error) {
			if ((error as SystemError).code === "EINTR") return false;
			throw error;
		}
	}
}

/** Runs the program, and prints what happens, and at what time. */
export const run = (print: (line: string) => void): Promise<void> =>
	demonstrate((thread) => new SelectReactor(thread), print);
