// Signals of the real process for an emulated one.
import { errno, type Process, SIGKILL, SIGSTOP, SystemError } from "@kqpoll/kqueue";
import { psignal } from "@kqpoll/kqueue/kernel";
import { Listeners } from "./listeners.ts";
import { signalNumber } from "./signal-numbers.ts";

/** What forwards signals, from {@link forwardSignals}, until it is closed. */
export class SignalForwarding {
	private readonly target: Process;
	private readonly listeners: Listeners = new Listeners(process);

	/** Made by {@link forwardSignals}. */
	constructor(target: Process, signals: ReadonlyMap<NodeJS.Signals, number>) {
		this.target = target;
		for (const [name, number] of signals) this.listeners.on(name, () => this.forward(name, number));
	}

	private forward(name: NodeJS.Signals, number: number): void {
		if (!this.target.exiting) {
			psignal(this.target, number);
			return;
		}
		// Nobody is left who could take it: what would have happened to it without us.
		this.close();
		process.kill(process.pid, name);
	}

	/** Forwards no more: the listeners go, and with the last one Node's default action is back. */
	close(): void {
		this.listeners.off();
	}

	/** Ends it when a block of `using` ends. */
	[Symbol.dispose](): void {
		this.close();
	}
}

/**
 * Sends signals that the real process gets, by name, to an emulated one, under OpenBSD's numbers,
 * until the handle is closed: handlers, EVFILT_SIGNAL and default actions of the emulated process
 * see them.
 *
 * While Node has a listener for a signal its default action is off: SIGINT and SIGTERM no longer
 * end the program, but the emulated process. A signal that comes when that has exited takes the
 * listeners off and is sent again. Listeners for signals do not keep the program alive, and several
 * signals of a kind in a row may arrive as one.
 *
 * Errors: ESRCH when the process has exited; EINVAL for SIGKILL and SIGSTOP, which nobody can
 * forward, and for a name that OpenBSD or this system does not have.
 */
export function forwardSignals(
	target: Process,
	signals: readonly NodeJS.Signals[],
): SignalForwarding {
	if (target.exiting)
		throw new SystemError(errno.ESRCH, "forwardSignals", `process ${target.pid} has exited`);
	const numbers = new Map(signals.map((name) => [name, numberOf(name)]));
	return new SignalForwarding(target, numbers);
}

function numberOf(name: NodeJS.Signals): number {
	const number = signalNumber(name, "forwardSignals");
	if (number === SIGKILL || number === SIGSTOP)
		throw new SystemError(errno.EINVAL, "forwardSignals", `${name} cannot be forwarded`);
	return number;
}
