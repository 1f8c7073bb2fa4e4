// Exit statuses, as shells have them.
import { constants } from "node:os";
import { signalName } from "@kqpoll/kqueue/kernel";

/**
 * The exit status for a wait status: 128 and the number of a signal, which is that of this system
 * where it has one.
 */
export function exitStatus(status: number): number {
	const signal = status & 0x7f;
	if (signal === 0) return status >> 8;
	const name = signalName(signal) as NodeJS.Signals;
	return 128 + (constants.signals[name] ?? signal);
}
