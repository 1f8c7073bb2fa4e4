// @kqpoll/files: emulated descriptors.
export { type DeviceName, openDevice } from "./device.ts";
export { ChangingDevice } from "./device-changing.ts";
export { DetachableDevice, type DeviceDriver } from "./device-detachable.ts";
export { O_CLOEXEC } from "./open-file.ts";
export { PIPE_BUF, pipe, pipe2 } from "./pipe.ts";
export { getpeername, getsockname, shutdown, socket, socketpair } from "./socket.ts";
export { accept, accept4, acceptNow, bind, connect, connectNow, listen } from "./socket-connect.ts";
export {
	type Address,
	MSG_CMSG_CLOEXEC,
	MSG_DONTWAIT,
	MSG_NOSIGNAL,
	MSG_OOB,
	MSG_PEEK,
	MSG_TRUNC,
	MSG_WAITALL,
	SHUT_RD,
	SHUT_RDWR,
	SHUT_WR,
	SIOCATMARK,
	SO_ACCEPTCONN,
	SO_ERROR,
	SO_OOBINLINE,
	SO_RCVBUF,
	SO_RCVLOWAT,
	SO_SNDBUF,
	SO_SNDLOWAT,
	SO_TYPE,
	SOCK_CLOEXEC,
	SOCK_NONBLOCK,
	SOL_SOCKET,
	SOMAXCONN,
	type SocketDomain,
	type SocketType,
} from "./socket-constants.ts";
export type { Received } from "./socket-io.ts";
export { getsockopt, setsockopt } from "./socket-options.ts";
export { type IncomingMessage, recv, recvmsg, recvmsgNow, recvNow } from "./socket-recv.ts";
export {
	type OutgoingMessage,
	send,
	sendmsg,
	sendmsgNow,
	sendNow,
	sendto,
	sendtoNow,
} from "./socket-send.ts";
export { Tree, type TreeOptions } from "./tree.ts";
export { chmod, stat, truncate, utimes } from "./tree-attributes.ts";
export { type Dirent, link, mkdir, readdir, rename, rmdir, unlink } from "./tree-names.ts";
export { ftruncate, open } from "./tree-open.ts";
export { revoke, unmount } from "./tree-revoke.ts";
export type { VnodeStat } from "./vnode.ts";
export {
	O_CREAT,
	O_DIRECTORY,
	O_EXCL,
	O_RDONLY,
	O_RDWR,
	O_TRUNC,
	O_WRONLY,
} from "./vnode-flags.ts";
