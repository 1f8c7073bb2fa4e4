// @kqpoll/files/fcntl: fcntl.h, how files are opened.
export { O_CLOEXEC } from "./shared/open-file.ts";
export {
	AT_REMOVEDIR,
	AT_SYMLINK_FOLLOW,
	AT_SYMLINK_NOFOLLOW,
	O_CREAT,
	O_DIRECTORY,
	O_EXCL,
	O_NOFOLLOW,
	O_RDONLY,
	O_RDWR,
	O_TRUNC,
	O_WRONLY,
} from "./shared/vnode-flags.ts";
