// Kevents and the status of knotes in words, for messages and traces.
import * as C from "../abi/constants.ts";
import { errnoName } from "../abi/errno.ts";
import type { KeventChange } from "../abi/kevent.ts";
import { copyin } from "../abi/lists.ts";
import { show } from "../abi/values.ts";

type Names = readonly (readonly [number, string])[];

const FILTERS: Readonly<Record<number, string>> = {
	[C.EVFILT_READ]: "READ",
	[C.EVFILT_WRITE]: "WRITE",
	[C.EVFILT_AIO]: "AIO",
	[C.EVFILT_VNODE]: "VNODE",
	[C.EVFILT_PROC]: "PROC",
	[C.EVFILT_SIGNAL]: "SIGNAL",
	[C.EVFILT_TIMER]: "TIMER",
	[C.EVFILT_DEVICE]: "DEVICE",
	[C.EVFILT_EXCEPT]: "EXCEPT",
};

const FLAGS: Names = [
	[C.EV_ADD, "ADD"],
	[C.EV_DELETE, "DELETE"],
	[C.EV_ENABLE, "ENABLE"],
	[C.EV_DISABLE, "DISABLE"],
	[C.EV_ONESHOT, "ONESHOT"],
	[C.EV_CLEAR, "CLEAR"],
	[C.EV_RECEIPT, "RECEIPT"],
	[C.EV_DISPATCH, "DISPATCH"],
	[C.__EV_SELECT, "SELECT"],
	[C.__EV_POLL, "POLL"],
	[C.__EV_HUP, "HUP"],
	[C.EV_ERROR, "ERROR"],
	[C.EV_EOF, "EOF"],
];

const READ_NOTES: Names = [
	[C.NOTE_LOWAT, "LOWAT"],
	[C.NOTE_EOF, "EOF"],
];
const VNODE_NOTES: Names = [
	[C.NOTE_DELETE, "DELETE"],
	[C.NOTE_WRITE, "WRITE"],
	[C.NOTE_EXTEND, "EXTEND"],
	[C.NOTE_ATTRIB, "ATTRIB"],
	[C.NOTE_LINK, "LINK"],
	[C.NOTE_RENAME, "RENAME"],
	[C.NOTE_REVOKE, "REVOKE"],
	[C.NOTE_TRUNCATE, "TRUNCATE"],
];
const PROC_NOTES: Names = [
	[C.NOTE_EXIT, "EXIT"],
	[C.NOTE_FORK, "FORK"],
	[C.NOTE_EXEC, "EXEC"],
	[C.NOTE_TRACK, "TRACK"],
	[C.NOTE_TRACKERR, "TRACKERR"],
	[C.NOTE_CHILD, "CHILD"],
];

const NOTES: Readonly<Record<number, Names>> = {
	[C.EVFILT_READ]: READ_NOTES,
	[C.EVFILT_WRITE]: READ_NOTES,
	[C.EVFILT_VNODE]: VNODE_NOTES,
	[C.EVFILT_PROC]: PROC_NOTES,
	[C.EVFILT_DEVICE]: [[C.NOTE_CHANGE, "CHANGE"]],
	[C.EVFILT_EXCEPT]: [[C.NOTE_OOB, "OOB"]],
};

const STATUS: Names = [
	[C.KN_ACTIVE, "ACTIVE"],
	[C.KN_QUEUED, "QUEUED"],
	[C.KN_DISABLED, "DISABLED"],
	[C.KN_DETACHED, "DETACHED"],
	[C.KN_PROCESSING, "PROCESSING"],
	[C.KN_NOTIFYING, "NOTIFYING"],
	[C.KN_ATTACHING, "ATTACHING"],
];

/** The names of the bits that are set, joined by `|`; bits without a name follow in hexadecimal. */
function names(bits: number, table: Names): string {
	if (typeof bits !== "number") return show(bits);
	let rest = bits >>> 0;
	const words: string[] = [];
	for (const [bit, name] of table) {
		if ((rest & bit) === 0) continue;
		words.push(name);
		rest = (rest & ~bit) >>> 0;
	}
	if (rest !== 0 || words.length === 0) words.push(`0x${rest.toString(16)}`);
	return words.join("|");
}

/** The name of a filter without its EVFILT_, or its number. */
export function filterName(filter: number): string {
	if (typeof filter !== "number") return show(filter);
	return FILTERS[filter] ?? String(filter);
}

/**
 * A kevent in words: `READ 5 ADD|CLEAR data=3`. Flags and notes are names; fields that are 0 or
 * null are left out. EFAULT for what is not an object.
 */
export function formatKevent(kev: KeventChange): string {
	const { ident, filter, flags, fflags, data, udata } = copyin("formatKevent", "the kevent", () => {
		const { ident, filter, flags, fflags = 0, data = 0, udata = null } = kev;
		return { ident, filter, flags, fflags, data, udata };
	});
	const notes = typeof filter === "number" ? NOTES[filter] : undefined;
	const failed = typeof flags === "number" && (flags & C.EV_ERROR) !== 0;
	const words = [filterName(filter), show(ident), names(flags, FLAGS)];
	if (fflags !== 0) words.push(`fflags=${names(fflags, notes ?? [])}`);
	if (failed) words.push(`error=${data === 0 ? "0" : errnoName(data)}`);
	else if (data !== 0) words.push(`data=${show(data)}`);
	if (udata !== null) words.push(`udata=${valueName(udata)}`);
	return words.join(" ");
}

function valueName(udata: unknown): string {
	if (typeof udata === "object") return "{…}";
	return typeof udata === "function" ? "a function" : String(udata);
}

/** The names of a knote's KN_ bits. */
export function statusNames(status: number): string {
	return names(status, STATUS);
}
