// @kqpoll/kqueue/uio: sys/uio.h, reads and writes of several buffers.
export { IOV_MAX } from "./abi/constants.ts";
export { preadv, pwritev } from "./syscall/positioned.ts";
export { readv, readvNow, writev, writevNow } from "./syscall/transfer.ts";
