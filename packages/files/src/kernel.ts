// @kqpoll/files/kernel: for authors of protocols and devices.
export { Device } from "./device/device.ts";
export { Ring } from "./shared/ring.ts";
export { accept4Call, acceptCall, connectCall } from "./socket/connect-calls.ts";
export { recvCall, recvmsgCall } from "./socket/recv-calls.ts";
export { sendCall, sendmsgCall, sendtoCall } from "./socket/send-calls.ts";
export { Socket } from "./socket/socket.ts";
export { type Packet, SockBuf } from "./socket/socket-buffer.ts";
export {
	SS_CANTRCVMORE,
	SS_CANTSENDMORE,
	SS_ISCONNECTED,
	SS_ISCONNECTING,
	SS_ISDISCONNECTED,
} from "./socket/socket-constants.ts";
export type { Caller } from "./tree/caller.ts";
export { Directory, type Entry, type Present } from "./tree/directory.ts";
export { FileSystem, newDevice, type OpenFile } from "./tree/file-system.ts";
export { type LookupOptions, namei } from "./tree/namei.ts";
export { openatCall, stayBeneath } from "./tree/open-at-calls.ts";
export { openCall } from "./tree/open-calls.ts";
export { rootOf, type Start, startAt } from "./tree/start.ts";
export {
	checkSize,
	type Named,
	type NewFile,
	type NewTime,
	type Place,
	Vnode,
} from "./tree/vnode.ts";
export { tcdrainCall, tcsetattrCall } from "./tty/tty-calls.ts";
