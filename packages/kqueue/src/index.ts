// @kqpoll/kqueue for programs: kqueues, descriptors, processes, threads, signals.

export {
	__EV_HUP,
	__EV_POLL,
	__EV_SELECT,
	EV_ADD,
	EV_CLEAR,
	EV_DELETE,
	EV_DISABLE,
	EV_DISPATCH,
	EV_ENABLE,
	EV_EOF,
	EV_ERROR,
	EV_FLAG1,
	EV_ONESHOT,
	EV_RECEIPT,
	EV_SYSFLAGS,
	EVFILT_AIO,
	EVFILT_DEVICE,
	EVFILT_EXCEPT,
	EVFILT_PROC,
	EVFILT_READ,
	EVFILT_SIGNAL,
	EVFILT_SYSCOUNT,
	EVFILT_TIMER,
	EVFILT_VNODE,
	EVFILT_WRITE,
	F_DUPFD,
	F_DUPFD_CLOEXEC,
	F_GETFD,
	F_GETFL,
	F_SETFD,
	F_SETFL,
	FD_CLOEXEC,
	FIOASYNC,
	FIOCLEX,
	FIONBIO,
	FIONCLEX,
	FIONREAD,
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
	NOTE_PCTRLMASK,
	NOTE_PDATAMASK,
	NOTE_RENAME,
	NOTE_REVOKE,
	NOTE_TRACK,
	NOTE_TRACKERR,
	NOTE_TRUNCATE,
	NOTE_WRITE,
	NSIG,
	O_APPEND,
	O_ASYNC,
	O_NONBLOCK,
	PID_MAX,
	S_IFCHR,
	S_IFDIR,
	S_IFIFO,
	S_IFREG,
	S_IFSOCK,
	SEEK_CUR,
	SEEK_END,
	SEEK_SET,
} from "./abi/constants.ts";
export { type ErrnoName, errno, errnoName, SystemError } from "./abi/errno.ts";
export { EV_SET, eventList, Kevent, type KeventChange } from "./abi/kevent.ts";
export {
	SIG_BLOCK,
	SIG_DFL,
	SIG_IGN,
	SIG_SETMASK,
	SIG_UNBLOCK,
	SIGABRT,
	SIGALRM,
	SIGBUS,
	SIGCHLD,
	SIGCONT,
	SIGEMT,
	SIGFPE,
	SIGHUP,
	SIGILL,
	SIGINFO,
	SIGINT,
	SIGIO,
	SIGKILL,
	SIGPIPE,
	SIGPROF,
	SIGQUIT,
	SIGSEGV,
	SIGSTOP,
	SIGSYS,
	SIGTERM,
	SIGTHR,
	SIGTRAP,
	SIGTSTP,
	SIGTTIN,
	SIGTTOU,
	SIGURG,
	SIGUSR1,
	SIGUSR2,
	SIGVTALRM,
	SIGWINCH,
	SIGXCPU,
	SIGXFSZ,
	type SignalAction,
	type SignalHandler,
	type Sigset,
	sigset,
} from "./abi/signal.ts";
export type { Timespec, Timeval } from "./abi/time.ts";
export {
	WCOREDUMP,
	WEXITSTATUS,
	WIFCONTINUED,
	WIFEXITED,
	WIFSIGNALED,
	WIFSTOPPED,
	WSTOPSIG,
	WTERMSIG,
} from "./abi/wait.ts";
export { BlockingHost, ringDoorbell } from "./base/blocking-host.ts";
export { filterName, formatKevent } from "./base/format.ts";
export type { Host, HostTimer } from "./base/host.ts";
export { RealHost } from "./base/real-host.ts";
export type { KnoteTransition, TraceEvent, TraceSink, Transition } from "./base/trace.ts";
export {
	type Readiness,
	type Side,
	SyntheticFile,
	type SyntheticFileOptions,
} from "./event/synthetic-file.ts";
export type { File, FileType, Stat } from "./file/file.ts";
export { Kernel } from "./process/kernel.ts";
export type { KernelOptions } from "./process/machine.ts";
export type { Process } from "./process/process.ts";
export type { Thread, ThreadState } from "./process/thread.ts";
export type { AbortSignalLike, SleepOptions } from "./sched/call.ts";
export { interrupt } from "./sched/sleep.ts";
export {
	type KeventIterator,
	type KeventsOptions,
	type KeventsPolicy,
	kevents,
	type Overflow,
} from "./stream/kevents.ts";
export { type KeventObserver, type KeventWatch, watchKevent } from "./stream/watch.ts";
export {
	close,
	closefrom,
	dup,
	dup2,
	fcntl,
	fstat,
	ioctl,
	lseek,
	openFile,
} from "./syscall/descriptors.ts";
export { kevent, keventNow, kqueue } from "./syscall/kevent-call.ts";
export { kill, sigaction, sigpending, sigprocmask, threadKill } from "./syscall/kill.ts";
export { exec, exit, fork, pledge, threadExit } from "./syscall/lifecycle.ts";
export { getpgid, getsid, setpgid, setsid } from "./syscall/session-calls.ts";
export {
	nanosleep,
	pause,
	sigsuspend,
	sigwait,
	sigwaitNow,
	type WritableTimespec,
} from "./syscall/sleep-calls.ts";
export {
	read,
	readNow,
	readv,
	readvNow,
	write,
	writeNow,
	writev,
	writevNow,
} from "./syscall/transfer.ts";
export { type WaitResult, waitpid, waitpidNow } from "./syscall/waitpid.ts";
