// @kqpoll/files/fcntl: fcntl.h, how files are opened.
export { O_CLOEXEC } from "./shared/open-file.ts";
export {
	O_CREAT,
	O_DIRECTORY,
	O_EXCL,
	O_RDONLY,
	O_RDWR,
	O_TRUNC,
	O_WRONLY,
} from "./shared/vnode-flags.ts";
