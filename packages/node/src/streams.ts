// Node's streams as descriptors.
import type { Duplex, Readable, Writable } from "node:stream";
import { errno, SystemError, type Thread } from "@kqpoll/kqueue";
import { type OpenOptions, openNodeFile, requireMethods } from "./open.ts";
import { isStandard, StreamFile } from "./stream-file.ts";

/**
 * Gives a Readable a descriptor to read from; `process.stdin` and the output of a child are such.
 *
 * It is paused, and nobody else may read from it or give it an encoding: that fails reads with
 * EINVAL. READ data is how many bytes it has buffered, at most about its highWaterMark: who reads
 * nothing holds up whoever fills the stream. EV_EOF is there as soon as the stream knows its end,
 * with what is still to be read in data. When the stream fails, what it has buffered is lost;
 * EV_EOF has the errno in fflags, and reads fail with that. It hangs up at its end.
 *
 * Closing the last descriptor destroys the stream, also if it is a Duplex that is still written to.
 * With `close` false what was not read stays in it; standard input stays open unless `close` is
 * true, and is paused, so that it does not keep the program alive.
 *
 * Errors: EMFILE; EFAULT for what is no Readable; EINVAL in object mode or with an encoding.
 */
export function openReadable(thread: Thread, stream: Readable, options: OpenOptions = {}): number {
	checkReadable(stream, "openReadable");
	return openStream(thread, stream, null, options);
}

/**
 * Gives a Writable a descriptor to write to; `process.stdout`, `process.stderr` and the input of a
 * child are such.
 *
 * It is writable unless it needs to drain, and WRITE data is what its highWaterMark leaves; a write
 * takes that much, or up to 512 bytes as a whole. What it takes is copied. When the stream has
 * ended or is destroyed, it hangs up with EV_EOF, and writes fail with EPIPE and SIGPIPE; when it
 * has failed, EV_EOF has the errno in fflags, and writes fail with that.
 *
 * Closing the last descriptor ends the stream, which goes on until all is out. Standard output and
 * error stay open unless `close` is true.
 *
 * Errors: EMFILE; EFAULT for what is no Writable; EINVAL in object mode.
 */
export function openWritable(thread: Thread, stream: Writable, options: OpenOptions = {}): number {
	checkWritable(stream, "openWritable");
	return openStream(thread, null, stream, options);
}

/**
 * Gives a Duplex one descriptor for both directions, each as by {@link openReadable} and
 * {@link openWritable}; it hangs up when both have ended. Closing the last descriptor ends it, and
 * destroys it when all is out. For a `net.Socket` there is `openSocket`, which can do more. Errors:
 * EMFILE; EFAULT for what is no Duplex; EINVAL in object mode or with an encoding.
 */
export function openDuplex(thread: Thread, stream: Duplex, options: OpenOptions = {}): number {
	checkReadable(stream, "openDuplex");
	checkWritable(stream, "openDuplex");
	return openStream(thread, stream, stream, options);
}

function openStream(
	thread: Thread,
	readable: Readable | null,
	writable: Writable | null,
	options: OpenOptions,
): number {
	const closes = options.close ?? !isStandard(readable ?? writable);
	return openNodeFile(thread, new StreamFile({ readable, writable, closes }), options);
}

function checkReadable(stream: Readable, name: string): void {
	requireMethods(stream, name, "on", "off", "read", "destroy");
	if (stream.readableObjectMode) throw new SystemError(errno.EINVAL, name, "in object mode");
	if (stream.readableEncoding !== null)
		throw new SystemError(errno.EINVAL, name, "the stream has an encoding");
}

function checkWritable(stream: Writable, name: string): void {
	requireMethods(stream, name, "on", "off", "write", "end", "destroy");
	if (stream.writableObjectMode) throw new SystemError(errno.EINVAL, name, "in object mode");
}
