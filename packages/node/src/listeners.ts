// The listeners that a descriptor has on a Node object: they come one by one and go together.

import type { EventEmitter } from "node:events";

/** What an object can call. */
type Listener = Parameters<EventEmitter["on"]>[1];

/** The part of an EventEmitter that is needed. */
export interface Emitter {
	/** Calls `listener` whenever `event` happens. */
	on(event: string, listener: Listener): unknown;
	/** Calls it no longer. */
	off(event: string, listener: Listener): unknown;
}

/** The listeners on one object. */
export class Listeners {
	private readonly emitter: Emitter;
	private readonly list: [event: string, listener: Listener][] = [];
	/** Whether they have been taken off. */
	isOff = false;

	/** Begins with none. */
	constructor(emitter: Emitter) {
		this.emitter = emitter;
	}

	/** Adds one. */
	on(event: string, listener: Listener): this {
		this.emitter.on(event, listener);
		this.list.push([event, listener]);
		return this;
	}

	/** Takes all of them off. */
	off(): void {
		this.isOff = true;
		for (const [event, listener] of this.list.splice(0)) this.emitter.off(event, listener);
	}
}

/** A stream, or anything else that fails and closes. */
export interface Closable extends Emitter {
	/** Whether it is closed; 'error' and 'close' may still come in this turn of the event loop or the next. */
	readonly closed: boolean;
}

/** Takes listeners off when nothing will come any more. */
export function offWhenClosed(stream: Closable, listeners: Listeners): void {
	const off = (): void => listeners.off();
	listeners.on("close", off);
	if (stream.closed) setImmediate(() => setImmediate(off));
}

/**
 * Lets a stream fail without harm that nobody has a descriptor for any more, until it is closed;
 * gives the listeners for that, to which others can be added.
 */
export function ignoreErrors(stream: Closable): Listeners {
	const listeners = new Listeners(stream);
	listeners.on("error", () => {});
	offWhenClosed(stream, listeners);
	return listeners;
}
