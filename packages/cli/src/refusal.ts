// Why the command cannot do what it was asked for.

/** Status of a command line that is wrong, or asks for what is not there. */
const USAGE = 2;
/** Status of a program that was found, and cannot run. */
export const CANNOT_RUN = 126;
/** Status of a program that was not found. */
export const NOT_FOUND = 127;

/** Ends the command with a status, after one line on standard error. */
export class Refusal extends Error {
	/** The status. */
	readonly status: number;

	/** Takes the line, and the status. */
	constructor(message: string, status: number = USAGE) {
		super(oneLine(message));
		this.status = status;
	}
}

/** A message in one line. */
function oneLine(message: string): string {
	return message.replace(/\s*\n\s*/g, " ");
}

/** What was thrown, as a message. */
export function messageOf(thrown: unknown): string {
	return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The error code of an error of the system, or "". */
export function codeOf(thrown: unknown): string {
	const code = (thrown as { readonly code?: unknown } | null | undefined)?.code;
	return typeof code === "string" ? code : "";
}
