// proc_exit, proc_raise, sched_yield.
import { type BlockingHost, exit, kill, RealHost, type Thread } from "@kqpoll/kqueue";
import { BlockingCall, WaitChannel, WOULD_SLEEP, wakeup } from "@kqpoll/kqueue/kernel";
import { wasiErrno } from "../abi/errno.ts";
import { signalOf } from "../abi/signals.ts";
import { type Answer, type Guest, SUCCESS } from "../guest/guest.ts";
import { stop } from "../guest/trouble.ts";

/** Ends the process of the guest, with the low 8 bits of the status. Does not return. */
export function proc_exit(guest: Guest, status: number): never {
	guest.checkAlive();
	exit(guest.thread, status & 0xff);
	throw guest.exit();
}

/** Sends a signal to the process of the guest. INVAL for what is not a signal. */
export function proc_raise({ thread }: Guest, signal: number): number {
	const ours = signalOf(signal >>> 0);
	if (ours < 0) stop(wasiErrno.INVAL);
	if (ours > 0) kill(thread, thread.process.pid, ours);
	return SUCCESS;
}

/** What a yield takes where time is virtual, in nanoseconds: programs that only yield see it pass. */
const YIELD = 1000;

/**
 * Lets run what is ready, before the guest goes on. Where time is virtual, this takes a microsecond.
 */
export function sched_yield(guest: Guest): Answer {
	const { host } = guest.thread.kernel;
	if (guest.mode === "now") return SUCCESS;
	if (guest.mode !== "sync" || !(host instanceof RealHost))
		return guest.call("sched_yield", yieldCall);
	(host as BlockingHost).turn();
	return SUCCESS;
}

/** Begins the sleep of a {@link sched_yield}. */
export function yieldCall(thread: Thread): BlockingCall {
	return new YieldCall(thread);
}

/** Sleeps until everything that is ready now has run. */
class YieldCall extends BlockingCall {
	override readonly channel: WaitChannel = new WaitChannel();
	private over = false;

	constructor(thread: Thread) {
		super(thread, "sched_yield");
		const { host } = thread.kernel;
		this.timeout = host instanceof RealHost ? Number.POSITIVE_INFINITY : YIELD;
		if (!(host instanceof RealHost)) return;
		host.defer(() => {
			this.over = true;
			wakeup(this.channel);
		});
	}

	override step(woken: number): number {
		return woken === 0 && !this.over ? WOULD_SLEEP : 0;
	}

	override end(): void {}
}
