// @kqpoll/node: Node's own objects as descriptors.
export { type AdoptedChild, adoptChild } from "./child.ts";
export { forwardSignals, type SignalForwarding } from "./forward-signals.ts";
export { openMessagePort } from "./message-port.ts";
export { type OpenOptions, ref, unref } from "./open.ts";
export { openPath, type PathOptions } from "./path-file.ts";
export { RealDirectory, type RealDirectoryOptions } from "./real-directory.ts";
export { openServer, type ServerOptions } from "./server.ts";
export { openSocket } from "./socket.ts";
export { openDuplex, openReadable, openWritable } from "./streams.ts";
export { openWebReadable, type WebOptions } from "./web-readable.ts";
export { openWebWritable } from "./web-writable.ts";
export { type AdoptedWorker, adoptWorker } from "./worker.ts";
