// Kevents with readable names, and a type for each filter.
import {
	EV_ENABLE,
	EV_EOF,
	EV_ONESHOT,
	EVFILT_EXCEPT,
	EVFILT_PROC,
	EVFILT_READ,
	EVFILT_SIGNAL,
	EVFILT_TIMER,
	EVFILT_VNODE,
	EVFILT_WRITE,
	type Kevent,
	NOTE_ATTRIB,
	NOTE_CHILD,
	NOTE_DELETE,
	NOTE_EXEC,
	NOTE_EXIT,
	NOTE_EXTEND,
	NOTE_FORK,
	NOTE_LINK,
	NOTE_LOWAT,
	NOTE_OOB,
	NOTE_RENAME,
	NOTE_REVOKE,
	NOTE_TRUNCATE,
	NOTE_WRITE,
	type Thread,
} from "@kqpoll/kqueue";
import { copyOptions } from "./arguments.ts";
import type { DemandObservable } from "./demand/observable.ts";
import { type FromKeventOptions, fromKevent } from "./from-kevent.ts";
import { orLateExit } from "./late-exit.ts";

/** Something can be read, or nothing will come any more. */
export interface ReadableEvent {
	/** Which kind of event this is. */
	readonly filter: typeof EVFILT_READ;
	/** The descriptor. */
	readonly fd: number;
	/** How many bytes can be read; for a listener how many connections wait. */
	readonly bytes: number;
	/** Whether nothing follows these bytes. */
	readonly eof: boolean;
	/** With `eof`: the errno with which a socket ended, or 0. */
	readonly errno: number;
	/** The event itself. */
	readonly kevent: Kevent;
}

/** There is room to write, or no reader is left. */
export interface WritableEvent {
	/** Which kind of event this is. */
	readonly filter: typeof EVFILT_WRITE;
	/** The descriptor. */
	readonly fd: number;
	/** The room in bytes. */
	readonly room: number;
	/** Whether nothing can be written any more. */
	readonly eof: boolean;
	/** With `eof`: the errno with which a socket ended, or 0. */
	readonly errno: number;
	/** The event itself. */
	readonly kevent: Kevent;
}

/** There is out-of-band data, or a control byte of a terminal for its master. */
export interface ExceptionalEvent {
	/** Which kind of event this is. */
	readonly filter: typeof EVFILT_EXCEPT;
	/** The descriptor. */
	readonly fd: number;
	/** Whether there is out-of-band data. */
	readonly oob: boolean;
	/** The event itself. */
	readonly kevent: Kevent;
}

/** A file or directory has changed. */
export interface VnodeEvent {
	/** Which kind of event this is. */
	readonly filter: typeof EVFILT_VNODE;
	/** The descriptor. */
	readonly fd: number;
	/** One of its names was removed. */
	readonly deleted: boolean;
	/** It was written; for a directory: names in it have changed. */
	readonly written: boolean;
	/** It has grown. */
	readonly extended: boolean;
	/** Its attributes have changed. */
	readonly attributes: boolean;
	/** The number of its names has changed. */
	readonly linked: boolean;
	/** It was renamed. */
	readonly renamed: boolean;
	/** It was revoked: open descriptors of it no longer work. */
	readonly revoked: boolean;
	/** It has become smaller. */
	readonly truncated: boolean;
	/** The event itself. */
	readonly kevent: Kevent;
}

/** A process has forked, called exec or exited. */
export interface ProcessEvent {
	/** Which kind of event this is. */
	readonly filter: typeof EVFILT_PROC;
	/** The process's id. */
	readonly pid: number;
	/** It has forked. */
	readonly forked: boolean;
	/** It has called exec. */
	readonly execed: boolean;
	/** It has exited. */
	readonly exited: boolean;
	/** With `exited`: its exit status, null if a signal ended it. */
	readonly exitStatus: number | null;
	/** With `exited`: the signal that ended it, null if none did. */
	readonly exitSignal: number | null;
	/** For a child that is followed with NOTE_TRACK, in its first event: the id of its parent. */
	readonly parent: number | null;
	/** The event itself. */
	readonly kevent: Kevent;
}

/** A signal was sent. */
export interface SignalEvent {
	/** Which kind of event this is. */
	readonly filter: typeof EVFILT_SIGNAL;
	/** The signal. */
	readonly signal: number;
	/** How often it was sent since the last event. */
	readonly count: number;
	/** The event itself. */
	readonly kevent: Kevent;
}

/** Periods of a timer have passed. */
export interface TimerEvent {
	/** Which kind of event this is. */
	readonly filter: typeof EVFILT_TIMER;
	/** How many periods have passed since the last event. */
	readonly expirations: number;
	/** The event itself. */
	readonly kevent: Kevent;
}

/** What the observables of this module emit; `filter` tells which. */
export type KqueueEvent =
	| ReadableEvent
	| WritableEvent
	| ExceptionalEvent
	| VnodeEvent
	| ProcessEvent
	| SignalEvent
	| TimerEvent;

/**
 * A guard for events of some filters: `events.pipe(filter(hasFilter(EVFILT_READ)))` emits
 * ReadableEvents. `event.filter === EVFILT_READ` narrows an event too, in `if`, in `switch` and, from
 * TypeScript 5.5 on, in `filter`.
 */
export function hasFilter<F extends KqueueEvent["filter"]>(
	...filters: readonly [F, ...F[]]
): <E extends Pick<KqueueEvent, "filter">>(event: E) => event is Extract<E, Record<"filter", F>> {
	return (event): event is never => (filters as readonly number[]).includes(event.filter);
}

/** Options of {@link readable} and {@link writable}. */
export interface ReadinessOptions extends FromKeventOptions {
	/**
	 * The fewest bytes for which there is an event; by default the descriptor's own low-water mark.
	 */
	readonly lowat?: number | undefined;
}

/**
 * When a descriptor can be read. {@link fromKevent} says what holds for all of these functions. A
 * subscriber is told first what can be read already. Completes after the event of the end of file,
 * unless `eof` is "emit". Errors with EBADF when the descriptor is closed or becomes another
 * file's, ESRCH when the thread exits.
 */
export function readable(
	thread: Thread,
	fd: number,
	options: ReadinessOptions | null = {},
): DemandObservable<ReadableEvent> {
	return readiness(thread, fd, EVFILT_READ, options).decoded((kevent) => ({
		filter: EVFILT_READ,
		fd,
		bytes: kevent.data,
		eof: isEof(kevent),
		errno: isEof(kevent) ? kevent.fflags : 0,
		kevent,
	}));
}

/**
 * When a descriptor can be written. A subscriber is told first of the room that there is. Completes
 * when no reader is left, unless `eof` is "emit". Errors as {@link readable} does.
 */
export function writable(
	thread: Thread,
	fd: number,
	options: ReadinessOptions | null = {},
): DemandObservable<WritableEvent> {
	return readiness(thread, fd, EVFILT_WRITE, options).decoded((kevent) => ({
		filter: EVFILT_WRITE,
		fd,
		room: kevent.data,
		eof: isEof(kevent),
		errno: isEof(kevent) ? kevent.fflags : 0,
		kevent,
	}));
}

function readiness(
	thread: Thread,
	ident: number,
	filter: number,
	options: ReadinessOptions | null,
): DemandObservable<Kevent> {
	const { lowat, eof } = copyOptions(options, "kevent", (from) => ({
		lowat: from.lowat,
		eof: from.eof,
	}));
	const mark = lowat === undefined ? {} : { fflags: NOTE_LOWAT, data: lowat };
	return fromKevent(thread, { ident, filter, flags: 0, ...mark }, { eof });
}

function isEof(kevent: Kevent): boolean {
	return (kevent.flags & EV_EOF) !== 0;
}

/**
 * When out-of-band data arrives. A subscriber is told first of data that is there. It never
 * completes. Errors as {@link readable} does, and with EINVAL for a descriptor that cannot have any.
 */
export function exceptional(thread: Thread, fd: number): DemandObservable<ExceptionalEvent> {
	const change = { ident: fd, filter: EVFILT_EXCEPT, flags: 0, fflags: NOTE_OOB };
	return fromKevent(thread, change).decoded((kevent) => ({
		filter: EVFILT_EXCEPT,
		fd,
		oob: has(kevent, NOTE_OOB),
		kevent,
	}));
}

const ALL_VNODE_NOTES: number =
	NOTE_DELETE |
	NOTE_WRITE |
	NOTE_EXTEND |
	NOTE_ATTRIB |
	NOTE_LINK |
	NOTE_RENAME |
	NOTE_REVOKE |
	NOTE_TRUNCATE;

/**
 * When an open file or directory changes. `notes` are the NOTE_ flags to watch for, by default all.
 * A subscriber is told of what happens from then on. Completes after the event of a revoked file.
 * Errors as {@link readable} does, and with EINVAL for what is not a file of a tree.
 */
export function vnodeChanges(
	thread: Thread,
	fd: number,
	notes: number = ALL_VNODE_NOTES,
): DemandObservable<VnodeEvent> {
	const change = { ident: fd, filter: EVFILT_VNODE, flags: 0, fflags: notes };
	return fromKevent(thread, change).decoded((kevent) => ({
		filter: EVFILT_VNODE,
		fd,
		deleted: has(kevent, NOTE_DELETE),
		written: has(kevent, NOTE_WRITE),
		extended: has(kevent, NOTE_EXTEND),
		attributes: has(kevent, NOTE_ATTRIB),
		linked: has(kevent, NOTE_LINK),
		renamed: has(kevent, NOTE_RENAME),
		revoked: has(kevent, NOTE_REVOKE),
		truncated: has(kevent, NOTE_TRUNCATE),
		kevent,
	}));
}

const ALL_PROCESS_NOTES: number = NOTE_EXIT | NOTE_FORK | NOTE_EXEC;

/**
 * What a process does, until it exits. `notes` are the NOTE_ flags to watch for, by default
 * NOTE_EXIT, NOTE_FORK and NOTE_EXEC. Its exit is always emitted. With NOTE_TRACK the children that
 * are born from now on are followed too, and the observable completes when the last of them has
 * exited.
 *
 * A child of the thread's process that has exited already can be asked for until it is waited for:
 * then its exit is emitted, and the observable completes. It stays to be waited for. All other
 * processes that have exited are ESRCH, as are ids that no process has; who else watches them makes
 * no difference.
 */
export function processEvents(
	thread: Thread,
	pid: number,
	notes: number = ALL_PROCESS_NOTES,
): DemandObservable<ProcessEvent> {
	const change = { ident: pid, filter: EVFILT_PROC, flags: 0, fflags: notes };
	return orLateExit(thread, pid, fromKevent(thread, change)).decoded((kevent) => {
		const exited = isEof(kevent);
		const signal = kevent.data & 0x7f;
		return {
			filter: EVFILT_PROC,
			pid: kevent.ident,
			forked: has(kevent, NOTE_FORK),
			execed: has(kevent, NOTE_EXEC),
			exited,
			exitStatus: exited && signal === 0 ? (kevent.data >> 8) & 0xff : null,
			exitSignal: exited && signal !== 0 ? signal : null,
			parent: has(kevent, NOTE_CHILD) && !exited ? kevent.data : null,
			kevent,
		};
	});
}

/**
 * Signals to the thread's process, even those that it ignores; the count says how many. A subscriber
 * is told of those that are sent from then on. It never completes. Errors with EINVAL for what is not
 * a signal, ESRCH when the thread exits.
 */
export function signals(thread: Thread, signal: number): DemandObservable<SignalEvent> {
	const change = { ident: signal, filter: EVFILT_SIGNAL, flags: 0 };
	return fromKevent(thread, change).decoded((kevent) => ({
		filter: EVFILT_SIGNAL,
		signal: kevent.ident,
		count: kevent.data,
		kevent,
	}));
}

/** Options of a {@link kernelTimer}. */
export interface TimerOptions {
	/** Whether it expires only once, and then completes. */
	readonly oneshot?: boolean | undefined;
}

/**
 * A timer with a period of `ms` milliseconds, which begins when it is subscribed to. Parts of a
 * millisecond are rounded up; the shortest period is 1. Each subscriber has a timer of its own. It
 * completes only with `oneshot`, after its event.
 *
 * Errors with ESRCH when the thread exits; EINVAL for what is not a number of milliseconds; ENOMEM
 * when there are too many timers, see `timermax` of the machine, and the `timers` of its limits.
 */
export function kernelTimer(
	thread: Thread,
	ms: number,
	options: TimerOptions | null = {},
): DemandObservable<TimerEvent> {
	// With EV_ENABLE each subscription has a knote of its own: none joins a timer that already runs.
	const oneshot = copyOptions(options, "kevent", (from) => from.oneshot === true);
	const flags = oneshot ? EV_ONESHOT : EV_ENABLE;
	const change = { ident: 0, filter: EVFILT_TIMER, flags, data: ms };
	return fromKevent(thread, change).decoded((kevent) => ({
		filter: EVFILT_TIMER,
		expirations: kevent.data,
		kevent,
	}));
}

function has(kevent: Kevent, note: number): boolean {
	return (kevent.fflags & note) !== 0;
}
