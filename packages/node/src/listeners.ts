// The listeners that a descriptor has on a Node object: added one by one, removed together.

import type { EventEmitter } from "node:events";

/** A listener. */
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
	/** Whether they have been removed. */
	isOff = false;

	/** Begins without listeners. */
	constructor(emitter: Emitter) {
		this.emitter = emitter;
	}

	/** Adds one. */
	on(event: string, listener: Listener): this {
		this.emitter.on(event, listener);
		this.list.push([event, listener]);
		return this;
	}

	/** Removes all of them. */
	off(): void {
		this.isOff = true;
		for (const [event, listener] of this.list.splice(0)) this.emitter.off(event, listener);
	}
}

/** A stream, or anything else that fails and closes. */
export interface Closable extends Emitter {
	/**
	 * Whether it is closed; 'error' and 'close' may still come in this turn of the event loop or the
	 * next.
	 */
	readonly closed: boolean;
}

/** Removes listeners when no event will come any more. */
export function offWhenClosed(stream: Closable, listeners: Listeners): void {
	const off = (): void => listeners.off();
	listeners.on("close", off);
	if (stream.closed) setImmediate(() => setImmediate(off));
}

/**
 * Lets a stream without a descriptor fail harmlessly, until it is closed. Returns the listeners for
 * that, to which others can be added.
 */
export function ignoreErrors(stream: Closable): Listeners {
	const listeners = new Listeners(stream);
	listeners.on("error", () => {});
	offWhenClosed(stream, listeners);
	return listeners;
}
