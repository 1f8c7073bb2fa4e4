// How a function of WASI stops: with an error number for the guest, or because the guest is over.
import { wasiErrno } from "../abi/errno.ts";

/** What a function of WASI throws to return an error number to the guest. */
export class Trouble {
	/** The number of WASI. */
	readonly errno: number;

	/** Takes the number. */
	constructor(errno: number) {
		this.errno = errno;
	}
}

const troubles: Trouble[] = [];

/** Stops the function: the guest gets this error number of WASI. */
export function stop(errno: number): never {
	troubles[errno] ??= new Trouble(errno);
	throw troubles[errno];
}

/** A pointer or a length of the guest is wrong. */
export function fault(): never {
	stop(wasiErrno.FAULT);
}

/**
 * What an import throws when the process of the guest has ended, to leave the guest: it has called
 * proc_exit, or a signal has ended it.
 */
export class ProcessExit extends Error {
	/** The name of the class. */
	override readonly name = "ProcessExit";
	/** The exit status, 128 and the signal's number for a signal. */
	readonly status: number;

	/** Takes the status. */
	constructor(status: number) {
		super(`the process has ended with status ${status}`);
		this.status = status;
	}
}
