// struct kevent: what a program asks of a kqueue, and what the kqueue reports.
import { errno, SystemError } from "./errno.ts";
import { copyin } from "./lists.ts";
import { isInt16, isInt32, isUint16, isUint32, show } from "./values.ts";

/** A change to a kqueue. A field that is left out is 0, or null for `udata`. */
export interface KeventChange {
	/** What to watch: a descriptor, process id, signal number or the name of a timer. */
	readonly ident: number;
	/** One of the EVFILT_ constants. */
	readonly filter: number;
	/** What to do: EV_ constants, or-ed. */
	readonly flags: number;
	/** What to watch for: NOTE_ constants, or-ed. */
	readonly fflags?: number;
	/** A number for the filter: a low-water mark, a period in milliseconds. An integer. */
	readonly data?: number;
	/** Any value; each event has it. */
	readonly udata?: unknown;
}

/** What to watch for: a change whose flags may be left out, since a watch is added in any case. */
export interface KeventRequest extends Omit<KeventChange, "flags"> {
	/** EV_ constants, or-ed; 0 by default. */
	readonly flags?: number;
}

/** A kernel event: six fields, the same for a change and for a report. */
export class Kevent implements KeventChange {
	/** What is watched: a descriptor, process id, signal number or the name of a timer. */
	ident: number;
	/** One of the EVFILT_ constants. */
	filter: number;
	/** EV_ constants, or-ed; 16 bits. */
	flags: number;
	/** NOTE_ constants, or-ed; 32 bits, unsigned. An errno with EV_EOF on some descriptors. */
	fflags: number;
	/** A number from the filter: bytes, room, periods, signals, a wait status, an errno. */
	data: number;
	/** What the program passed when it added the event. */
	udata: unknown;

	/** Makes a kevent; without arguments an empty one, to be filled by `kevent`. */
	constructor(ident = 0, filter = 0, flags = 0, fflags = 0, data = 0, udata: unknown = null) {
		this.ident = ident;
		this.filter = filter;
		this.flags = flags;
		this.fflags = fflags;
		this.data = data;
		this.udata = udata;
	}
}

/** Makes a kevent, with the arguments in the order of C's macro of that name. */
export function EV_SET(
	ident: number,
	filter: number,
	flags: number,
	fflags = 0,
	data = 0,
	udata: unknown = null,
): Kevent {
	return new Kevent(ident, filter, flags, fflags, data, udata);
}

/** How many entries an event list of {@link eventList} has at most. */
const MAX_LIST = 2 ** 24;

/**
 * Makes `n` empty kevents: an event list that `kevent` can use any number of times. EINVAL for what
 * is not a whole number from 0 to 2^24.
 */
export function eventList(n: number): Kevent[] {
	if (!isUint32(n) || n > MAX_LIST)
		throw new SystemError(
			errno.EINVAL,
			"eventList",
			`${show(n)} is not a whole number up to ${MAX_LIST}`,
		);
	return Array.from({ length: n }, () => new Kevent());
}

/** Copies all six fields of an event, or of a knote, whose fflags may be negative. */
export function copyKevent(from: Readonly<Kevent>, to: Kevent): void {
	to.ident = from.ident;
	to.filter = from.filter;
	to.flags = from.flags;
	to.fflags = from.fflags >>> 0;
	to.data = from.data;
	to.udata = from.udata;
}

/** Writes an entry of an event list, into the object that is there if there is one. */
export function copyoutKevent(
	kev: Readonly<Kevent>,
	events: (Kevent | undefined)[],
	slot: number,
): void {
	let to = events[slot];
	if (typeof to !== "object" || to === null) {
		to = new Kevent();
		events[slot] = to;
	}
	copyKevent(kev, to);
}

/** Empties all six fields. */
export function clearKevent(kev: Kevent): void {
	kev.ident = 0;
	kev.filter = 0;
	kev.flags = 0;
	kev.fflags = 0;
	kev.data = 0;
	kev.udata = null;
}

/**
 * Copies a program's change into an object of the engine, so that later writes by the program have
 * no effect. Reads each field once, in the order of the struct. Returns "", or what is wrong with a
 * field that does not fit into the struct, which is EINVAL; the fields that do fit are copied
 * anyway, for the receipt. Register checks the ident, as only it knows which ones the filter allows.
 */
export function copyinKevent(from: KeventChange, to: Kevent): string {
	const { ident, filter, flags, fflags = 0, data = 0, udata = null } = from;
	const fits =
		typeof ident === "number" &&
		isInt16(filter) &&
		isUint16(flags) &&
		(isInt32(fflags) || isUint32(fflags)) &&
		Number.isSafeInteger(data);
	to.ident = ident;
	to.filter = filter;
	// If all fields fit, they are not checked again.
	to.flags = fits || isUint16(flags) ? flags : 0;
	to.fflags = fits || typeof fflags === "number" ? fflags >>> 0 : 0;
	to.data = data;
	to.udata = udata;
	return fits ? "" : misfit(ident, filter, flags, fflags, data);
}

/**
 * Copies what a program wants to watch; each field is read once. Throws EFAULT for something that
 * is not an object, EINVAL for a field that does not fit.
 */
export function copyinRequest(request: KeventRequest, syscall: string): Kevent {
	if (typeof request !== "object" || request === null)
		throw new SystemError(errno.EFAULT, syscall, "the change is not an object");
	const change = copyin(syscall, "the change", () => {
		const { ident, filter, flags = 0, fflags = 0, data = 0, udata = null } = request;
		return { ident, filter, flags, fflags, data, udata };
	});
	const copy = new Kevent();
	const misfit = copyinKevent(change, copy);
	if (misfit !== "") throw new SystemError(errno.EINVAL, syscall, misfit);
	return copy;
}

/** Describes the field that does not fit. */
function misfit(
	ident: number,
	filter: number,
	flags: number,
	fflags: number,
	data: number,
): string {
	if (typeof ident !== "number") return `ident ${show(ident)} is not a number`;
	if (!isInt16(filter)) return `filter ${show(filter)} is not an EVFILT_ constant`;
	if (!isUint16(flags)) return `flags ${show(flags)} are not EV_ constants`;
	if (!isInt32(fflags) && !isUint32(fflags))
		return `fflags ${show(fflags)} are not NOTE_ constants`;
	return `data ${show(data)} is not a whole number`;
}
