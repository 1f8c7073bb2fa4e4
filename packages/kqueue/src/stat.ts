// @kqpoll/kqueue/stat: sys/stat.h, what fstat returns.
export { S_IFCHR, S_IFDIR, S_IFIFO, S_IFREG, S_IFSOCK } from "./abi/constants.ts";
export type { Stat } from "./file/file.ts";
