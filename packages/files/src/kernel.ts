// @kqpoll/files/kernel for those who write protocols and devices.
export { Device } from "./device-file.ts";
export { Ring } from "./ring.ts";
export { type Packet, SockBuf } from "./socket-buffer.ts";
export {
	SS_CANTRCVMORE,
	SS_CANTSENDMORE,
	SS_ISCONNECTED,
	SS_ISCONNECTING,
	SS_ISDISCONNECTED,
} from "./socket-constants.ts";
export { Socket } from "./socket-file.ts";
