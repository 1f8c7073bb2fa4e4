// How Node's objects get their descriptors, and the options that all of them have.
import { close, errno, openFile, SystemError, type Thread } from "@kqpoll/kqueue";
import { type File, getFile } from "@kqpoll/kqueue/kernel";

/** Options for the descriptor of a Node object. */
export interface OpenOptions {
	/**
	 * Whether the object is closed with the last descriptor, by default true. If false only the
	 * listeners are removed, and the object can be used as before.
	 */
	readonly close?: boolean | undefined;
	/**
	 * Whether the object keeps the program alive: true and false do what its own `ref` and `unref`
	 * do. By default it stays as it is.
	 */
	readonly ref?: boolean | undefined;
}

/** An object with `ref` and `unref`, like Node's handles; not all streams have them. */
export interface Refable {
	/** It keeps the program alive. */
	ref?(): unknown;
	/** It does not keep the program alive. */
	unref?(): unknown;
}

/** An open file of an object of Node. */
export interface NodeFile extends File {
	/** The object that keeps the program alive, or does not. */
	readonly handle: Refable;
	/** Begins to follow the object. Called once, when the file has a descriptor. */
	start(): void;
}

/**
 * Makes a descriptor for the file of a Node object, and then lets the file follow the object.
 * EMFILE.
 */
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

/** Lets an object keep the program alive or not, if it has `ref` and `unref`. */
export function setRef(handle: Refable, on: boolean): void {
	if (on) handle.ref?.();
	else handle.unref?.();
}

/**
 * Lets the Node object behind a descriptor keep the program alive, as its own `ref` does. A stream
 * without `ref` keeps it alive while it works on something. Errors: EBADF; EINVAL for a descriptor
 * of anything else.
 */
export function ref(thread: Thread, fd: number): void {
	setRef(nodeFile(thread, fd, "ref").handle, true);
}

/** The opposite of {@link ref}: the program ends when nothing else keeps it alive. */
export function unref(thread: Thread, fd: number): void {
	setRef(nodeFile(thread, fd, "unref").handle, false);
}

function nodeFile(thread: Thread, fd: number, name: string): NodeFile {
	const file = getFile(thread, fd, name) as File & Partial<NodeFile>;
	if (file.handle === undefined)
		throw new SystemError(errno.EINVAL, name, `descriptor ${fd} is not an object of Node`);
	return file as NodeFile;
}

/** Throws EFAULT unless an object has all these methods. */
export function requireMethods(object: object, syscall: string, ...names: string[]): void {
	const methods = object as Readonly<Record<string, unknown>> | null | undefined;
	const missing = names.find((name) => typeof methods?.[name] !== "function");
	if (missing !== undefined)
		throw new SystemError(errno.EFAULT, syscall, `the object has no ${missing}()`);
}
