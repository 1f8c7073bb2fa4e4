// A MessagePort as a descriptor.
import type { MessagePort } from "node:worker_threads";
import type { Thread } from "@kqpoll/kqueue";
import { type OpenOptions, openNodeFile, requireMethods } from "./open.ts";
import { PortFile } from "./port-file.ts";

/**
 * Gives a MessagePort a descriptor to read and write messages of bytes, as datagrams: a read gives
 * one message (Uint8Array, another view, ArrayBuffer), of which what its buffer has no room for is
 * lost; a message that is no bytes fails the read that takes it with EINVAL. READ data is how many
 * messages wait; there may be any number, as ports cannot hold up who sends. A write sends one
 * Uint8Array, always at once. When the channel is closed it hangs up, after what still waits; then
 * reads give 0, as they do for an empty message, and writes fail with EPIPE and SIGPIPE.
 *
 * The port is started, and as with any listener that keeps the program alive; `ref` false does not.
 * Closing the last descriptor closes the port. With `close` false messages that have not been read
 * yet are lost, later ones stay in the port.
 *
 * Errors: EMFILE; EFAULT for what is no MessagePort.
 */
export function openMessagePort(
	thread: Thread,
	port: MessagePort,
	options: OpenOptions = {},
): number {
	requireMethods(port, "openMessagePort", "on", "off", "postMessage", "close");
	const { close = true } = options;
	const file = new PortFile(port, "close", () => {
		if (close) port.close();
	});
	return openNodeFile(thread, file, options);
}
