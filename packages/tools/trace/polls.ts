// The operations poll and select.
import { FdSet, type Pollfd, poll, ppoll, pselect, select } from "@kqpoll/kqpoll";
import type { Thread } from "@kqpoll/kqueue";
import { hexadecimal, integer, list, timespec } from "./argument.ts";
import type { Operations } from "./operation.ts";

/** The size of the sets of select, and how many descriptors a process can have. */
export const MAXFILES = 1024;

export const POLLS: Operations = { poll: pollOperation, select: selectOperation };

async function pollOperation(
	thread: Thread,
	[entries, timeout]: readonly string[],
): Promise<string> {
	const fds = list(entries).map((entry): Pollfd => {
		const [fd, events] = entry.split(":");
		return { fd: integer(fd), events: hexadecimal(events), revents: 0 };
	});
	const ts = timespec(timeout);
	const n = await (ts === null || (ts.sec >= 0 && ts.nsec % 1e6 === 0)
		? poll(thread, fds, ts === null ? -1 : ts.sec * 1000 + ts.nsec / 1e6)
		: ppoll(thread, fds, ts));
	const revents = fds.map((entry) => `0x${(entry.revents & 0xffff).toString(16)}`);
	return fds.length === 0 ? `${n}` : `${n} ${revents.join(";")}`;
}

async function selectOperation(
	thread: Thread,
	[nd, read, write, except, timeout]: readonly string[],
): Promise<string> {
	const sets = [fdSet(read), fdSet(write), fdSet(except)] as const;
	const ts = timespec(timeout);
	const n = await (ts === null || ts.nsec % 1000 === 0
		? select(thread, integer(nd), ...sets, ts === null ? null : { ...ts, usec: ts.nsec / 1000 })
		: pselect(thread, integer(nd), ...sets, ts));
	const shown = sets.map((set) => [...set].join(";") || "-");
	return `${n} ${shown.join(" ")}`;
}

/** The descriptors of a list; those that no set has room for are left out. */
function fdSet(text: string | undefined): FdSet {
	const fds = list(text).map(integer);
	return new FdSet(
		fds.filter((fd) => fd < MAXFILES),
		MAXFILES,
	);
}
