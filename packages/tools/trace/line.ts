// The lines of a trace: comments, operations with their results, and results of calls that slept.

/** The lines of a text, whatever its line ends are, and without a byte order mark. */
export function linesOf(text: string): string[] {
	const lines = text.replace(/^\uFEFF/, "").split(/\r\n|\n|\r/);
	if (lines.at(-1) === "") lines.pop();
	return lines;
}

/** Whether a line has no meaning. */
export function isComment(line: string): boolean {
	return line === "" || line.startsWith("#");
}

/** Whether a line is an operation, and not the result of an earlier one. */
export function isOperation(line: string): boolean {
	return !isComment(line) && !line.startsWith("<");
}

/** An operation without its result. */
export function operationOf(line: string): string {
	const end = line.indexOf(" =>");
	return end < 0 ? line : line.slice(0, end);
}

/** The operations of a trace, in order, without their results. */
export function operationsOf(trace: string): string[] {
	return linesOf(trace).filter(isOperation).map(operationOf);
}

/** The first line of a text that no trace can have, or undefined. */
export function oddLine(text: string): string | undefined {
	return linesOf(text).find((line) => !isComment(line) && !/^(< \d+|\S.* =>) ./.test(line));
}
