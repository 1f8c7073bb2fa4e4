// @kqpoll/kqueue/stat: sys/stat.h, what fstat returns.
export {
	S_IFCHR,
	S_IFDIR,
	S_IFIFO,
	S_IFLNK,
	S_IFREG,
	S_IFSOCK,
	UTIME_NOW,
	UTIME_OMIT,
} from "./abi/constants.ts";
export type { Stat } from "./file/file.ts";
