// Calls that only sleep: nanosleep, pause, sigsuspend, sigwait.
import { errno, SystemError } from "../abi/errno.ts";
import { formatSigset, SIGCANTMASK, type Sigset } from "../abi/signal.ts";
import { type Timespec, timespecToNs } from "../abi/time.ts";
import { faultOf } from "../abi/values.ts";
import { reroute } from "../process/psignal.ts";
import type { Thread } from "../process/thread.ts";
import { BlockingCall, type SleepOptions, WOULD_SLEEP } from "../sched/call.ts";
import { callAsync } from "../sched/call-async.ts";
import { sigdelete } from "../sched/cursig.ts";
import { syscall } from "../sched/entry.ts";
import { WaitChannel } from "../sched/wait-channel.ts";
import { checkSet, sigsuspendMask } from "./kill.ts";

/** A time that a call writes. */
export type WritableTimespec = { -readonly [Field in keyof Timespec]: Timespec[Field] };

/**
 * Sleeps for at least this time, and resolves with 0. When a signal interrupts it, the rest of the
 * time is written to `remainder`.
 *
 * Rejects with: EINTR after a signal; EINVAL if the time is out of range; EFAULT if it is not a
 * timespec; as for kevent EBUSY, EDEADLK, ESRCH and the reason of `options.signal`. Source:
 * nanosleep(2).
 */
export function nanosleep(
	thread: Thread,
	time: Timespec,
	remainder: WritableTimespec | null = null,
	options: SleepOptions = {},
): Promise<number> {
	return callAsync(thread, "nanosleep", options, nanosleepCall, time, remainder);
}

/** Begins a {@link nanosleep}, for any driver. */
export function nanosleepCall(
	thread: Thread,
	time: Timespec,
	remainder: WritableTimespec | null = null,
): BlockingCall {
	if (typeof time !== "object" || time === null)
		throw new SystemError(errno.EFAULT, "nanosleep", "the time is not { sec, nsec }");
	// As in OpenBSD, a time of 0 is a sleep too.
	const ns = Math.max(1, timespecToNs(time, "nanosleep"));
	return new NapCall(thread, "nanosleep", ns, remainder);
}

/**
 * Sleeps until a handler has caught a signal. Always rejects: with EINTR after the handler, or as
 * for kevent with EBUSY, EDEADLK, ESRCH and the reason of `options.signal`. Source: pause(3).
 */
export function pause(thread: Thread, options: SleepOptions = {}): Promise<never> {
	return callAsync(thread, "pause", options, pauseCall) as Promise<never>;
}

/** Begins a {@link pause}, for any driver. */
export function pauseCall(thread: Thread): BlockingCall {
	return new NapCall(thread, "pause", Number.POSITIVE_INFINITY, null);
}

/**
 * As {@link pause}, with another mask of blocked signals. Mask and sleep are one step, so a signal
 * that the mask allows is not missed. The mask from before is back when it rejects. Also rejects
 * with EINVAL for what is not a set of signals. Source: sigsuspend(2).
 */
export function sigsuspend(
	thread: Thread,
	mask: Sigset,
	options: SleepOptions = {},
): Promise<never> {
	return callAsync(thread, "sigsuspend", options, sigsuspendCall, mask) as Promise<never>;
}

/** Begins a {@link sigsuspend}, for any driver. */
export function sigsuspendCall(thread: Thread, mask: Sigset): BlockingCall {
	checkSet(mask, "sigsuspend");
	sigsuspendMask(thread, mask, "sigsuspend");
	return new NapCall(thread, "sigsuspend", Number.POSITIVE_INFINITY, null);
}

/**
 * Takes a pending signal that is in `set`, the lowest first, and resolves with its number; sleeps
 * until there is one. The signals of the set should be blocked, so that nothing else takes them.
 * Signals that the process ignores, by default or by choice, never become pending.
 *
 * Rejects with: EINVAL if `set` is not a set of signals; EINTR after another signal was caught; as
 * for kevent EBUSY, EDEADLK, ESRCH and the reason of `options.signal`. Source: sigwait(2).
 */
export function sigwait(thread: Thread, set: Sigset, options: SleepOptions = {}): Promise<number> {
	return callAsync(thread, "sigwait", options, sigwaitCall, set);
}

/** Begins a {@link sigwait}, for any driver. */
export function sigwaitCall(thread: Thread, set: Sigset): BlockingCall {
	checkSet(set, "sigwait");
	return new SigwaitCall(thread, set);
}

/** As {@link sigwait} without sleeping: 0 while no signal of the set is pending. */
export function sigwaitNow(thread: Thread, set: Sigset): number {
	return syscall(thread, "sigwait", () => {
		checkSet(set, "sigwait");
		return takeSignal(thread, set);
	});
}

/** Takes the lowest pending signal of a set, 0 if there is none. */
function takeSignal(thread: Thread, set: Sigset): number {
	const pending = (thread.siglist | thread.process.siglist) & set & ~SIGCANTMASK;
	// One that another thread may take is left, if this one is gone.
	if (pending === 0 || thread.state === "exited") return 0;
	const signal = 32 - Math.clz32(pending & -pending);
	sigdelete(thread, signal);
	return signal;
}

/** A sleep that ends only with its time or a signal. */
class NapCall extends BlockingCall {
	private readonly remainder: WritableTimespec | null;
	override readonly channel: WaitChannel = new WaitChannel();

	constructor(
		thread: Thread,
		syscall: string,
		timeout: number,
		remainder: WritableTimespec | null,
	) {
		super(thread, syscall);
		this.timeout = timeout;
		this.remainder = remainder;
	}

	override step(woken: number): number {
		if (woken === errno.EINTR) {
			return this.remainder === null ? -woken : -this.writeRemainder(this.remainder);
		}
		return this.mayBlock() ? WOULD_SLEEP : 0;
	}

	/** Writes what is left of the time: EINTR, or EFAULT where it cannot be written. */
	private writeRemainder(to: WritableTimespec): number {
		const { deadline, thread, timeout } = this;
		const left = deadline < 0 ? timeout : Math.max(0, deadline - thread.kernel.host.now());
		try {
			to.sec = Math.floor(left / 1e9);
			to.nsec = Math.floor(left % 1e9);
			return errno.EINTR;
		} catch (error) {
			return faultOf(error);
		}
	}

	override end(): void {}
}

/** A sigwait in progress. */
class SigwaitCall extends BlockingCall {
	private readonly set: Sigset;
	/** What the thread waited for before: not nothing if this call is made while it sleeps. */
	private readonly before: Sigset;
	override readonly channel: WaitChannel = new WaitChannel();

	constructor(thread: Thread, set: Sigset) {
		super(thread, "sigwait");
		this.timeout = Number.POSITIVE_INFINITY;
		this.set = set;
		this.before = thread.sigdivert;
	}

	override step(woken: number): number {
		const { set, thread } = this;
		const signal = takeSignal(thread, set);
		if (signal !== 0) return signal;
		if (woken === errno.EINTR) return -woken;
		thread.sigdivert = set;
		return WOULD_SLEEP;
	}

	override end(): void {
		const { before, thread } = this;
		thread.sigdivert = before;
		// What came for this thread while it was about to go on, another may take.
		reroute(thread.process);
	}

	override describe(): string {
		return `sigwait for ${formatSigset(this.set)}`;
	}
}
