// @kqpoll/kqueue/unistd: the rarer calls of unistd.h: offsets, sessions, pause, closefrom.
export { SEEK_CUR, SEEK_END, SEEK_SET } from "./abi/constants.ts";
export { closefrom } from "./syscall/descriptors.ts";
export { pread, pwrite } from "./syscall/positioned.ts";
export { getpgid, getsid, setpgid, setsid } from "./syscall/session-calls.ts";
export { pause } from "./syscall/sleep-calls.ts";
