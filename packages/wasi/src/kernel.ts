// @kqpoll/wasi/kernel, for packages that run guests elsewhere: the functions by name, and the errors.
export { wasiErrno, wasiErrnoOf } from "./abi/errno.ts";
export type { WasiImport } from "./guest/guest.ts";
export { maySleep, PREVIEW1 } from "./imports.ts";
