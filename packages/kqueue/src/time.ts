// @kqpoll/kqueue/time: sys/time.h, the structures of time-outs.
export type { Timespec, Timeval } from "./abi/time.ts";
