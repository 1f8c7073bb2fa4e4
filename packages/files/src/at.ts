// @kqpoll/files/at: the calls whose paths begin at the directory of a descriptor.
export { fchmodat, fchownat, fstatat, utimensat } from "./tree/attribute-at-calls.ts";
export {
	linkat,
	mkdirat,
	mkfifoat,
	readlinkat,
	renameat,
	symlinkat,
	unlinkat,
} from "./tree/name-at-calls.ts";
export { openat, openatNow } from "./tree/open-at-calls.ts";
