// Where the rows of the guests differ from Linux's, and why. Everything else is equal.

/** A row that differs. */
interface Difference {
	/** The guest. */
	readonly guest: string;
	/** The names of the rows, and what they are here. */
	readonly rows: Readonly<Record<string, string>>;
	/** Why that is right. */
	readonly reason: string;
}

/** All rows that differ. */
const DIFFERENCES: readonly Difference[] = [
	{
		guest: "poll-rows",
		rows: {
			"a pipe whose writer has gone": "1 IN|HUP",
			"a pipe whose writer has gone, to read and write": "1 IN|HUP",
			"a pipe whose writer has gone, when it was read": "1 IN|HUP",
			"a master whose terminal nobody has": "1 IN|HUP",
		},
		reason: "wasi-libc reports POLLHUP only together with POLLIN.",
	},
	{
		guest: "poll-rows",
		rows: {
			"a pipe whose writer has gone, for nothing": "0 -",
			"a pipe whose reader has gone, for nothing": "0 -",
			"a local socket whose peer has gone, for nothing": "0 -",
			"a descriptor that was never open, for nothing": "0 -",
		},
		reason: "wasi-libc makes no subscription for a descriptor without events, so nothing can come.",
	},
	{
		guest: "poll-rows",
		rows: {
			"a local socket whose peer has gone": "1 IN|HUP",
			"a local socket with 5 bytes whose peer has gone": "1 IN|HUP",
			"a TCP socket when both will send no more, to read and write": "1 IN|HUP",
		},
		reason: "wasi-libc takes POLLOUT away when there is POLLHUP.",
	},
	{
		guest: "poll-rows",
		rows: {
			"a pipe whose reader has gone": "1 OUT",
			"a full pipe whose reader has gone": "1 OUT",
			"a local socket whose peer has gone, to write": "1 OUT",
		},
		reason:
			"A side to write whose reader has gone is ready, without a hang-up or an error: with either, wasi-libc's select would return 0 at once and guests would spin. The write gets EPIPE.",
	},
	{
		guest: "poll-rows",
		rows: {
			"a local socket whose peer has gone without reading": "1 IN|HUP",
			"a terminal whose master has gone": "1 IN|HUP",
			"a terminal whose master has gone, to read": "1 IN|HUP",
		},
		reason:
			"OpenBSD has no pending error there: the reader finds the end of file. And POLLOUT goes with POLLHUP.",
	},
	{
		guest: "poll-rows",
		rows: { "a local socket that is shut down in both directions": "1 IN|OUT" },
		reason: "On OpenBSD a local socket hangs up when its peer has gone, not before.",
	},
	{
		guest: "poll-rows",
		rows: { "a pipe, for urgent data only": "ENOSYS" },
		reason: "wasi-libc refuses POLLPRI alone: WASI has no urgent data.",
	},
	{
		guest: "select-rows",
		rows: {
			"a descriptor that was never open": "0 -",
			"a file, and a descriptor that was never open": "1 r -",
		},
		reason: "wasi-libc's select drops a descriptor of which poll says POLLNVAL.",
	},
	{
		guest: "select-rows",
		rows: { "a pipe, for urgent data": "ENOSYS" },
		reason: "wasi-libc refuses a third set: WASI has no exceptional conditions.",
	},
	{
		guest: "files",
		rows: { "truncate what is open to read": "ENOTCAPABLE" },
		reason: "A descriptor that was opened to read does not have WASI's right to set the size.",
	},
	{
		guest: "files",
		rows: { "no name": "ok" },
		reason: "wasi-libc takes an empty path for the root.",
	},
];

/**
 * What a guest has to print here: what it prints on Linux, with the rows that differ. Throws for a row
 * that is listed and does not differ, or does not exist.
 */
export function expectedHere(guest: string, linux: string): string {
	const listed = DIFFERENCES.filter((each) => each.guest === guest);
	const rows = new Map(listed.flatMap((each) => Object.entries(each.rows)));
	const lines = linux.split("\n").map((line) => {
		const [name = ""] = line.split(": ", 1);
		const here = rows.get(name);
		if (here === undefined) return line;
		rows.delete(name);
		const changed = `${name}: ${here}`;
		if (changed === line) throw new Error(`${guest}: "${name}" is listed, and does not differ`);
		return changed;
	});
	for (const name of rows.keys()) throw new Error(`${guest}: there is no row "${name}"`);
	return lines.join("\n");
}
