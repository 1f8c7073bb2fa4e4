// The form of a call that blocks: it runs the whole machine until the call is done.
import { errno, SystemError } from "../abi/errno.ts";
import { kassert } from "../base/assert.ts";
import { type DrivableHost, isDrivable } from "../base/host.ts";
import type { Thread } from "../process/thread.ts";
import { Driver, type SleepOptions, WOULD_SLEEP } from "./call.ts";
import { checkThread } from "./entry.ts";
import { type Begin, cutShort, resume, startCall } from "./run-call.ts";
import { formatThreads } from "./waits.ts";

/** Keeps the result of a call until the blocking function takes it. */
class SyncDriver extends Driver {
	ended = false;
	private result = 0;
	private failure: { readonly error: unknown } | null = null;

	override woken(thread: Thread): void {
		resume(thread);
	}

	override done(result: number): void {
		this.result = result;
		this.ended = true;
	}

	override failed(error: unknown): void {
		this.failure = { error };
		this.ended = true;
	}

	/** The call's result; throws if it failed. */
	take(): number {
		kassert(this.ended, "a call that blocked is done");
		if (this.failure !== null) throw this.failure.error;
		return this.result;
	}
}

function syncDriver(): SyncDriver {
	return new SyncDriver();
}

/**
 * The form that blocks: returns when the call is done, and throws its error. Meanwhile it drives
 * the machine's host: timers fire and other threads of the machine continue, but nothing else of
 * the program runs, no promise and no callback of the platform. Needs a host that can be driven:
 * `BlockingHost`, or `VirtualHost` in virtual time.
 *
 * Also throws: EDEADLK when nothing more can happen (the message says what every thread of the
 * machine waits for), and when a handler, a filter, a watcher or another such call makes this one;
 * ENOTSUP if the host, or the thread of the platform, cannot block.
 */
export function callSync<A extends readonly unknown[]>(
	thread: Thread,
	syscall: string,
	options: SleepOptions | null | undefined,
	begin: Begin<A>,
	...args: A
): number {
	const host = hostToDrive(thread, syscall);
	let result: number;
	try {
		result = startCall(syncDriver, thread, syscall, options, begin, ...args);
	} catch (error) {
		if (thread.kernel.blockingSlice.makesWay()) host.turn();
		throw error;
	}
	if (result !== WOULD_SLEEP) {
		// A program that never sleeps must not keep timers, and what comes from outside, from running.
		if (thread.kernel.blockingSlice.makesWay()) host.turn();
		return result;
	}
	const driver = thread.driver as SyncDriver;
	try {
		if (!host.drive(() => driver.ended)) giveUp(thread, syscall);
	} catch (error) {
		// The host itself failed: the thread must not stay asleep, as nothing would wake it.
		if (!driver.ended) cutShort(thread, error);
	}
	return driver.take();
}

/** The host of a thread that may block now. */
function hostToDrive(thread: Thread, syscall: string): DrivableHost {
	checkThread(thread, syscall);
	const { activity, host } = thread.kernel;
	if (!isDrivable(host)) {
		const advice = "the machine's host cannot be driven: make the Kernel with a BlockingHost";
		throw new SystemError(errno.ENOTSUP, syscall, advice);
	}
	if (activity.depth > 0 || host.driving) {
		const why = "called inside a handler, a filter, a watcher or another blocking call";
		throw new SystemError(errno.EDEADLK, syscall, why);
	}
	if (!host.mayBlock) {
		const advice = "this thread of the platform may not block: use a worker, or the promise form";
		throw new SystemError(errno.ENOTSUP, syscall, advice);
	}
	return host;
}

/** Ends a call that nothing will ever wake. */
function giveUp(thread: Thread, syscall: string): void {
	const why = `nothing will ever wake it: ${formatThreads(thread.kernel)}`;
	cutShort(thread, new SystemError(errno.EDEADLK, syscall, why));
}
