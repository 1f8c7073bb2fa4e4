// @kqpoll/files: emulated descriptors.
export { ChangingDevice } from "./device/changing-device.ts";
export { DetachableDevice, type DeviceDriver } from "./device/detachable-device.ts";
export { type DeviceName, openDevice } from "./device/device-calls.ts";
export { PIPE_BUF, pipe, pipe2 } from "./pipe/pipe.ts";
export {
	accept,
	accept4,
	accept4Now,
	acceptNow,
	bind,
	connect,
	connectNow,
	listen,
} from "./socket/connect-calls.ts";
export { getsockopt, setsockopt } from "./socket/option-calls.ts";
export { type IncomingMessage, recv, recvmsg, recvmsgNow, recvNow } from "./socket/recv-calls.ts";
export {
	type OutgoingMessage,
	send,
	sendmsg,
	sendmsgNow,
	sendNow,
	sendto,
	sendtoNow,
} from "./socket/send-calls.ts";
export { getpeername, getsockname, shutdown, socket, socketpair } from "./socket/socket-calls.ts";
export type { Received } from "./socket/socket-io.ts";
export { chmod, chown, lchown, lstat, stat, truncate, utimes } from "./tree/attribute-calls.ts";
export type { Times } from "./tree/attributes.ts";
export {
	fchmod,
	fchown,
	fdatasync,
	fsync,
	ftruncate,
	futimens,
	futimes,
	getdents,
} from "./tree/descriptor-calls.ts";
export type { Dirent, PositionedDirent } from "./tree/dirent.ts";
export { FileSystem } from "./tree/file-system.ts";
export { type MountOptions, mount, type UnmountOptions, unmount } from "./tree/mount-calls.ts";
export {
	link,
	mkdir,
	mkfifo,
	readdir,
	readlink,
	rename,
	rmdir,
	symlink,
	unlink,
} from "./tree/name-calls.ts";
export { open, openNow } from "./tree/open-calls.ts";
export { revoke } from "./tree/revoke-calls.ts";
export { Tree, type TreeOptions } from "./tree/tree.ts";
export type { VnodeStat } from "./tree/vnode-stat.ts";
export { openpty, posix_openpt, ptsname } from "./tty/pty-calls.ts";
export {
	isatty,
	login_tty,
	tcdrain,
	tcdrainNow,
	tcflush,
	tcgetattr,
	tcgetpgrp,
	tcgetwinsize,
	tcsetattr,
	tcsetattrNow,
	tcsetpgrp,
	tcsetwinsize,
} from "./tty/tty-calls.ts";
