// Describes why a change was refused.
import { EVFILT_PROC, EVFILT_TIMER } from "../abi/constants.ts";
import { errno } from "../abi/errno.ts";
import type { Kevent } from "../abi/kevent.ts";
import { show } from "../abi/values.ts";
import { limitOf, type Resource } from "../base/account.ts";
import { filterName } from "../base/format.ts";
import type { Kqueue } from "./kqueue.ts";

/** A change that register refused, and why: `READ 5: descriptor 5 is not open`. */
export function formatRefusal(kq: Kqueue, kev: Kevent, error: number): string {
	return `${filterName(kev.filter)} ${show(kev.ident)}: ${reason(kq, kev, error)}`;
}

function reason(kq: Kqueue, { filter, ident }: Kevent, error: number): string {
	const fops = kq.sysfilters[~filter] ?? null;
	if (fops === null) return "there is no such filter";
	switch (error) {
		case errno.EBADF:
			return `descriptor ${show(ident)} is not open`;
		case errno.ENOENT:
			return "there is no such event to change";
		case errno.EDEADLK:
			return "a callback is at work on that event";
		case errno.ENOMEM:
			return limitOf(kq.fdp.account, lacking(kq, filter));
		case errno.ESRCH:
			return `there is no process ${show(ident)}`;
	}
	if (error === errno.EPERM && filter === EVFILT_PROC) return 'the process has not pledged "proc"';
	const type = fops.isfd ? kq.fdp.get(ident)?.type : undefined;
	return type === undefined ? "the filter refused it" : `the file refused it, which is a ${type}`;
}

/** What there are too many of. */
function lacking({ fdp }: Kqueue, filter: number): Resource {
	return filter === EVFILT_TIMER && fdp.account.knotes.hasRoom(1) ? "timers" : "knotes";
}
