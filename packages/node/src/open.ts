// How Node's objects get their descriptors, and what can be chosen for all of them.
import { close, errno, openFile, SystemError, type Thread } from "@kqpoll/kqueue";
import { type File, getFile } from "@kqpoll/kqueue/kernel";

/** What can be chosen when a Node object gets a descriptor. */
export interface OpenOptions {
	/**
	 * Whether the object is closed with the last descriptor: it is unless this is false. Then only the
	 * listeners go, and the object can be used as before.
	 */
	readonly close?: boolean | undefined;
	/**
	 * Whether the object keeps the program alive: true and false are what its own `ref` and `unref`
	 * do. Unless given it stays as it is, as Node's objects do unless they are told otherwise.
	 */
	readonly ref?: boolean | undefined;
}

/** What has `ref` and `unref`, as Node's handles do; of streams not all have. */
export interface Refable {
	/** It keeps the program alive. */
	ref?(): unknown;
	/** It does not keep the program alive. */
	unref?(): unknown;
}

/** An open file behind which there is an object of Node. */
export interface NodeFile extends File {
	/** The object that keeps the program alive, or does not. */
	readonly handle: Refable;
	/** Begins to follow the object. Called once, when the file has a descriptor. */
	start(): void;
}

/** Gives the file of a Node object a descriptor, and then lets it follow the object. EMFILE. */
export function openNodeFile(thread: Thread, file: NodeFile, options: OpenOptions): number {
	const fd = openFile(thread, file);
	try {
		file.start();
	} catch (error) {
		close(thread, fd);
		throw error;
	}
	if (options.ref !== undefined) setRef(file.handle, options.ref);
	return fd;
}

/** Lets an object keep the program alive or not, as far as it can. */
export function setRef(handle: Refable, on: boolean): void {
	if (on) handle.ref?.();
	else handle.unref?.();
}

/**
 * Lets the Node object behind a descriptor keep the program alive, as its own `ref` does. A stream
 * that has none keeps it alive by what it has under way. Errors: EBADF; EINVAL for the descriptor
 * of anything else.
 */
export function ref(thread: Thread, fd: number): void {
	setRef(nodeFile(thread, fd, "ref").handle, true);
}

/** As {@link ref}, the other way: the program ends when nothing else keeps it alive. */
export function unref(thread: Thread, fd: number): void {
	setRef(nodeFile(thread, fd, "unref").handle, false);
}

function nodeFile(thread: Thread, fd: number, name: string): NodeFile {
	const file = getFile(thread, fd, name) as File & Partial<NodeFile>;
	if (file.handle === undefined)
		throw new SystemError(errno.EINVAL, name, `descriptor ${fd} is no object of Node`);
	return file as NodeFile;
}

/** Throws EFAULT unless an object has all these methods. */
export function requireMethods(object: object, syscall: string, ...names: string[]): void {
	const methods = object as Readonly<Record<string, unknown>> | null | undefined;
	const missing = names.find((name) => typeof methods?.[name] !== "function");
	if (missing !== undefined)
		throw new SystemError(errno.EFAULT, syscall, `the object has no ${missing}()`);
}
