// clock_res_get, clock_time_get: the clocks.
import { CLOCK_MONOTONIC, CLOCK_PROCESS, CLOCK_REALTIME, CLOCK_THREAD } from "../abi/constants.ts";
import { wasiErrno } from "../abi/errno.ts";
import { type Guest, SUCCESS } from "../guest/guest.ts";
import { stop } from "../guest/trouble.ts";

/** The step of all clocks, in nanoseconds. */
const RESOLUTION = 1000;

/** Writes the step of a clock. INVAL for a clock that does not exist. */
export function clock_res_get({ memory }: Guest, id: number, resolution: number): number {
	if (id >>> 0 > CLOCK_THREAD) stop(wasiErrno.INVAL);
	memory.setU64(resolution, RESOLUTION);
	return SUCCESS;
}

/** Writes the time of a clock; the precision is ignored. INVAL for a clock that does not exist. */
export function clock_time_get(guest: Guest, id: number, _precision: bigint, time: number): number {
	guest.memory.setU64(time, timeOf(guest, id));
	return SUCCESS;
}

/** Nobody counts processor time: the clocks of process and thread show how long the guest has run. */
function timeOf({ thread, started }: Guest, id: number): number {
	const { host } = thread.kernel;
	switch (id) {
		case CLOCK_REALTIME:
			return host.realtime();
		case CLOCK_MONOTONIC:
			return Math.trunc(host.now());
		case CLOCK_PROCESS:
		case CLOCK_THREAD:
			return Math.trunc(host.now() - started);
		default:
			return stop(wasiErrno.INVAL);
	}
}
