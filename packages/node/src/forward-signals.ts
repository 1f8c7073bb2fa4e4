// Signals of the real process for an emulated one.
import { errno, type Process, SystemError } from "@kqpoll/kqueue";
import { psignal } from "@kqpoll/kqueue/kernel";
import { SIGKILL, SIGSTOP } from "@kqpoll/kqueue/signal";
import { Listeners } from "./listeners.ts";
import { signalNumber } from "./signal-numbers.ts";

/** Forwards signals until it is closed; see {@link forwardSignals}. */
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
		// No process is left to take it: what follows is what would happen without forwarding.
		this.close();
		process.kill(process.pid, name);
	}

	/** Stops forwarding: removes the listeners; with the last one Node's default action is back. */
	close(): void {
		this.listeners.off();
	}

	/** Ends it when a block of `using` ends. */
	[Symbol.dispose](): void {
		this.close();
	}
}

/**
 * Sends signals that the real process gets to an emulated process, until the handle is closed. They
 * are chosen by name and sent under OpenBSD's numbers. Handlers, EVFILT_SIGNAL and default actions
 * of the emulated process work for them.
 *
 * While Node has a listener for a signal, the signal's default action is off: SIGINT and SIGTERM no
 * longer end the program, but the emulated process. A signal that comes after that has exited
 * removes the listeners and is sent again. Listeners for signals do not keep the program alive, and
 * several equal signals in a row may arrive as one.
 *
 * Errors: ESRCH when the process has exited; EINVAL for SIGKILL and SIGSTOP, which cannot be
 * forwarded, and for a name that OpenBSD or this system does not have.
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
