// @kqpoll/kqueue/time: sys/time.h, the types of time-outs.
export type { Timespec, Timeval } from "./abi/time.ts";
