// @kqpoll/files: emulated descriptors.
export { type DeviceName, openDevice } from "./device.ts";
export { ChangingDevice } from "./device-changing.ts";
export { DetachableDevice, type DeviceDriver } from "./device-detachable.ts";
export { O_CLOEXEC, PIPE_BUF, pipe, pipe2 } from "./pipe.ts";
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
