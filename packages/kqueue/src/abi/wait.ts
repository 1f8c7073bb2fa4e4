// sys/wait.h: what a wait status says.

/** Whether the process ended by exiting. */
export function WIFEXITED(status: number): boolean {
	return WTERMSIG(status) === 0;
}

/** The exit status of a process that exited, from 0 to 255. */
export function WEXITSTATUS(status: number): number {
	return (status >> 8) & 0xff;
}

/** Whether a signal ended the process. */
export function WIFSIGNALED(status: number): boolean {
	const signal = WTERMSIG(status);
	return signal !== 0 && signal !== 0x7f;
}

/** The signal that ended the process. */
export function WTERMSIG(status: number): number {
	return status & 0x7f;
}

/** Whether a memory image was written: always false, as there is no memory to write. */
export function WCOREDUMP(status: number): boolean {
	return (status & 0x80) !== 0;
}

/** Whether the process has stopped. */
export function WIFSTOPPED(status: number): boolean {
	return (status & 0xff) === 0x7f;
}

/** The signal that stopped the process. */
export function WSTOPSIG(status: number): number {
	return (status >> 8) & 0xff;
}

/** Whether the process was continued after it had stopped. */
export function WIFCONTINUED(status: number): boolean {
	return (status & 0xffff) === 0xffff;
}
