// @kqpoll/kqueue, for programs: event.h, the everyday calls of unistd.h, and the machine.
export {
	EV_ADD,
	EV_CLEAR,
	EV_DELETE,
	EV_DISABLE,
	EV_DISPATCH,
	EV_ENABLE,
	EV_EOF,
	EV_ERROR,
	EV_ONESHOT,
	EV_RECEIPT,
	EVFILT_DEVICE,
	EVFILT_EXCEPT,
	EVFILT_PROC,
	EVFILT_READ,
	EVFILT_SIGNAL,
	EVFILT_TIMER,
	EVFILT_VNODE,
	EVFILT_WRITE,
	NOTE_ATTRIB,
	NOTE_CHANGE,
	NOTE_CHILD,
	NOTE_DELETE,
	NOTE_EOF,
	NOTE_EXEC,
	NOTE_EXIT,
	NOTE_EXTEND,
	NOTE_FORK,
	NOTE_LINK,
	NOTE_LOWAT,
	NOTE_OOB,
	NOTE_RENAME,
	NOTE_REVOKE,
	NOTE_TRACK,
	NOTE_TRACKERR,
	NOTE_TRUNCATE,
	NOTE_WRITE,
} from "./abi/constants.ts";
export { errno, errnoName, SystemError } from "./abi/errno.ts";
export { EV_SET, eventList, Kevent, type KeventChange, type KeventRequest } from "./abi/kevent.ts";
export type { Limits } from "./base/account.ts";
export { BlockingHost, ringDoorbell } from "./base/blocking-host.ts";
export { formatKevent } from "./base/format.ts";
export { RealHost } from "./base/real-host.ts";
export {
	type Readiness,
	type Side,
	SyntheticFile,
	type SyntheticFileOptions,
} from "./event/synthetic-file.ts";
export { Kernel } from "./process/kernel.ts";
export type { KernelOptions } from "./process/machine.ts";
export type { Process } from "./process/process.ts";
export type { Thread } from "./process/thread.ts";
export type { SleepOptions } from "./sched/call.ts";
export { interrupt } from "./sched/sleep.ts";
export { type KeventIterator, type KeventsOptions, kevents } from "./stream/kevents.ts";
export { type KeventObserver, type KeventWatch, watchKevent } from "./stream/watch.ts";
export { close, dup, dup2, fcntl, fstat, ioctl, lseek, openFile } from "./syscall/descriptors.ts";
export { kevent, keventNow, kqueue } from "./syscall/kevent-call.ts";
export { kill, sigaction, sigprocmask } from "./syscall/kill.ts";
export { exec, exit, fork, pledge, threadExit } from "./syscall/lifecycle.ts";
export { nanosleep } from "./syscall/sleep-calls.ts";
export { read, readNow, write, writeNow } from "./syscall/transfer.ts";
export { waitpid, waitpidNow } from "./syscall/waitpid.ts";
