// Node's streams as descriptors.
import type { Duplex, Readable, Writable } from "node:stream";
import { errno, SystemError, type Thread } from "@kqpoll/kqueue";
import { type OpenOptions, openNodeFile, requireMethods } from "./open.ts";
import { isStandard, StreamFile } from "./stream-file.ts";

/**
 * Makes a descriptor to read from a Readable, such as `process.stdin` or the output of a child.
 *
 * The stream is paused. Nothing else may read from it or set an encoding, after which reads fail
 * with EINVAL. READ data is how many bytes it has buffered, at most about its highWaterMark: if
 * they are not read, whatever fills the stream has to wait. EV_EOF is set as soon as the stream
 * knows its end, with the bytes still to be read in data. When the stream fails, what it has
 * buffered is lost; EV_EOF has the errno in fflags, and reads fail with that. It hangs up at its
 * end.
 *
 * Of a stream in object mode, such as that of `Readable.from`, one chunk at a time is taken out, and
 * READ data is what is left of it. A chunk can be bytes (a view, an ArrayBuffer) or a string, which
 * is read in UTF-8. With any other chunk reading ends: EV_EOF has EINVAL in fflags, and reads fail
 * with an error that says which chunk it is.
 *
 * The stream of a terminal, such as `process.stdin` often is, is a terminal for `isatty`,
 * `tcgetattr`, `tcgetwinsize` and `tcsetattr`: without ICANON that puts it into raw mode, with it back.
 *
 * Closing the last descriptor destroys the stream, even a Duplex that is still written to. With
 * `close` false what was not read stays in it. Standard input stays open unless `close` is true, and
 * is paused, so that it does not keep the program alive.
 *
 * Errors: EMFILE; EFAULT if it is not a Readable; EINVAL if it has an encoding.
 */
export function openReadable(thread: Thread, stream: Readable, options: OpenOptions = {}): number {
	checkReadable(stream, "openReadable");
	return openStream(thread, stream, null, options);
}

/**
 * Makes a descriptor to write to a Writable, such as `process.stdout`, `process.stderr` or the
 * input of a child.
 *
 * It is writable unless the stream needs to drain, and WRITE data is what is left of the stream's
 * highWaterMark. A write takes that much, or up to 512 bytes as a whole; the bytes are copied. When
 * the stream has ended or is destroyed, it hangs up with EV_EOF, and writes fail with EPIPE and
 * SIGPIPE; when it has failed, EV_EOF has the errno in fflags, and writes fail with that.
 *
 * If something else calls `end`, writes fail at once, and the hang-up comes when everything is
 * written: a stream does not tell before.
 *
 * A stream in object mode counts chunks, not bytes: while it does not need to drain it takes one
 * chunk of up to 16384 bytes, and WRITE data is that number.
 *
 * The stream of a terminal is a terminal, as with {@link openReadable}; its mode is set by the
 * descriptor that is read from.
 *
 * Closing the last descriptor ends the stream, which goes on until everything is written. Standard
 * output and standard error stay open unless `close` is true.
 *
 * Errors: EMFILE; EFAULT if it is not a Writable.
 */
export function openWritable(thread: Thread, stream: Writable, options: OpenOptions = {}): number {
	checkWritable(stream, "openWritable");
	return openStream(thread, null, stream, options);
}

/**
 * Makes one descriptor for both directions of a Duplex, each as with {@link openReadable} and
 * {@link openWritable}; it hangs up when both have ended. Closing the last descriptor ends the
 * stream, and destroys it when everything is written. For a `net.Socket` use `openSocket`, which
 * can do more. Errors: EMFILE; EFAULT if it is not a Duplex; EINVAL if it has an encoding.
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
	if (stream.readableEncoding !== null)
		throw new SystemError(errno.EINVAL, name, "the stream has an encoding");
}

function checkWritable(stream: Writable, name: string): void {
	requireMethods(stream, name, "on", "off", "write", "end", "destroy");
}
