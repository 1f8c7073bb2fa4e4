// sys/wait.h: what a wait status says.
import { errno, SystemError } from "./errno.ts";
import { show } from "./values.ts";

/** Whether the process ended by exiting. */
export function WIFEXITED(status: number): boolean {
	return WTERMSIG(status) === 0;
}

/** The exit status of a process that exited, from 0 to 255. */
export function WEXITSTATUS(status: number): number {
	return (statusIn(status) >> 8) & 0xff;
}

/** Whether a signal ended the process. */
export function WIFSIGNALED(status: number): boolean {
	const signal = WTERMSIG(status);
	return signal !== 0 && signal !== 0x7f;
}

/** The signal that ended the process. */
export function WTERMSIG(status: number): number {
	return statusIn(status) & 0x7f;
}

/** Whether a memory image was written: always false, as there is no memory to write. */
export function WCOREDUMP(status: number): boolean {
	return (statusIn(status) & 0x80) !== 0;
}

/** Whether the process has stopped. */
export function WIFSTOPPED(status: number): boolean {
	return (statusIn(status) & 0xff) === 0x7f;
}

/** The signal that stopped the process. */
export function WSTOPSIG(status: number): number {
	return (statusIn(status) >> 8) & 0xff;
}

/** Whether the process was continued after it had stopped. */
export function WIFCONTINUED(status: number): boolean {
	return (statusIn(status) & 0xffff) === 0xffff;
}

/** Throws EINVAL for what is not a number. */
function statusIn(status: number): number {
	if (typeof status === "number") return status;
	throw new SystemError(errno.EINVAL, "wait", `${show(status)} is not a wait status`);
}
