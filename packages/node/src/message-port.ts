// A MessagePort as a descriptor.
import type { MessagePort } from "node:worker_threads";
import type { Thread } from "@kqpoll/kqueue";
import { type OpenOptions, openNodeFile, requireMethods } from "./open.ts";
import { PortFile } from "./port-file.ts";

/**
 * Makes a descriptor for a MessagePort, to read and write messages of bytes like datagrams. A read
 * takes one message (Uint8Array, another view, ArrayBuffer, a string in UTF-8); what does not fit
 * into its buffer is lost. With any other message the read that takes it fails with EINVAL, which
 * says which message it was. READ data is how many
 * messages wait, any number, as ports cannot hold up their senders. A write sends one Uint8Array,
 * always at once. When the channel is closed the descriptor hangs up, after the messages that still
 * wait; then reads return 0, as for an empty message, and writes fail with EPIPE and SIGPIPE.
 *
 * The port is started, which keeps the program alive, as with any listener, unless `ref` is false.
 * Closing the last descriptor closes the port. With `close` false the port stays open: messages
 * that arrived but were not read are lost, later ones stay in the port.
 *
 * Errors: EMFILE; EFAULT if it is not a MessagePort.
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
