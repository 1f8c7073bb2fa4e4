// timeout_add(9) and timeout_del(9), for file types that do something at a given time.
import type { Timeout } from "../base/timeout.ts";
import type { Machine } from "../process/machine.ts";

/**
 * Adds a timeout that expires when the clock of the machine's host shows `at`, in nanoseconds; one
 * that is pending is moved. Source: timeout_add_nsec(9).
 */
export function timeoutAdd(kernel: Machine, timeout: Timeout, at: number): void {
	kernel.timeouts.add(timeout, at);
}

/** Removes a timeout, if it is pending: it will not expire. Source: timeout_del(9). */
export function timeoutDel(kernel: Machine, timeout: Timeout): void {
	kernel.timeouts.delete(timeout);
}
