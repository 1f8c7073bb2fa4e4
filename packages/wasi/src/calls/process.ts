// proc_exit, proc_raise, sched_yield.
import { exit, kill, type Thread } from "@kqpoll/kqueue";
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

/** Lets what is due, and others that are ready, run first. */
export function sched_yield(guest: Guest): Answer {
	return guest.mode === "now" ? SUCCESS : guest.call("sched_yield", yieldCall);
}

function yieldCall(thread: Thread): BlockingCall {
	return new YieldCall(thread);
}

/** Sleeps until everything that is ready now has run. */
class YieldCall extends BlockingCall {
	override readonly channel: WaitChannel = new WaitChannel();
	private over = false;

	constructor(thread: Thread) {
		super(thread, "sched_yield");
		this.timeout = Number.POSITIVE_INFINITY;
		thread.kernel.host.defer(() => {
			this.over = true;
			wakeup(this.channel);
		});
	}

	override step(woken: number): number {
		return woken === 0 && !this.over ? WOULD_SLEEP : 0;
	}

	override end(): void {}
}
