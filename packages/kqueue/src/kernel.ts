// @kqpoll/kqueue/kernel, for authors of file types, filters, system calls and hosts.
export { contentOf, isIntact, viewOf, wordsOf } from "./abi/bytes.ts";
export {
	__EV_HUP,
	__EV_POLL,
	__EV_SELECT,
	EV_FLAG1,
	EV_SYSFLAGS,
	EVFILT_AIO,
	EVFILT_SYSCOUNT,
	FREAD,
	FWRITE,
	INT_MAX,
	KN_ACTIVE,
	KN_DETACHED,
	KN_DISABLED,
	KN_PROCESSING,
	KN_QUEUED,
	KQ_DYING,
	KQ_NEVENTS,
	KQ_SLEEP,
	KQ_TASK,
	NOTE_PCTRLMASK,
	NOTE_PDATAMASK,
	NOTE_SIGNAL,
	NOTE_SUBMIT,
	PID_MAX,
} from "./abi/constants.ts";
export { type ErrnoName, unwrap } from "./abi/errno.ts";
export { copyin, copyout, isList, lengthOfList } from "./abi/lists.ts";
export { formatSigset, signalName } from "./abi/signal.ts";
export { msToNs, timespecToNs, timevalToNs } from "./abi/time.ts";
export { faultOf, isInt16, isInt32, isObject, isUint16, isUint32, show } from "./abi/values.ts";
export {
	ACCOUNT_LIMITS,
	type Account,
	limitOf,
	MACHINE_LIMITS,
	Quota,
	type Resource,
} from "./base/account.ts";
export { kassert, Panic, unreachable } from "./base/assert.ts";
export { attempt, doAll, type Failure, rethrow } from "./base/failure.ts";
export { filterName } from "./base/format.ts";
export { type DrivableHost, type Host, type HostTimer, isDrivable } from "./base/host.ts";
export type { Slice } from "./base/slice.ts";
export { Timeout } from "./base/timeout.ts";
export type { KnoteTransition, Traced, TraceEvent, TraceSink, Transition } from "./base/trace.ts";
export {
	type FilterDefinition,
	type Filterops,
	filterops,
	knoteAssign,
	knoteJoin,
	knoteModify,
	knoteProcess,
	knoteSubmit,
} from "./event/filterops.ts";
export { badfdFiltops } from "./event/filters/badfd.ts";
export { deadFiltops } from "./event/filters/dead.ts";
export { seltrueKqfilter } from "./event/filters/seltrue.ts";
export { vnodeEvent } from "./event/filters/vnode.ts";
export { formatKnote, type Knote } from "./event/knote.ts";
export { knoteActivate } from "./event/knote-ops.ts";
export { knoteFind } from "./event/knote-table.ts";
export { kqpollDone, kqpollInit, SERIAL_MAX } from "./event/kqpoll.ts";
export type { Kqueue } from "./event/kqueue.ts";
export { KqueueFile } from "./event/kqueue-file.ts";
export { kqueueDoCheck } from "./event/kqueue-ops.ts";
export { Klist, notify } from "./event/notify.ts";
export { kqueueRefresh, kqueueRegister } from "./event/register.ts";
export {
	type EventSink,
	kqueueScan,
	kqueueScanFinish,
	kqueueScanSetup,
	ScanState,
} from "./event/scan.ts";
export {
	File,
	type FileType,
	fileCharge,
	fileDischarge,
	fileHold,
	fileRelease,
} from "./file/file.ts";
export { type FileTable, getFile, newDescriptor } from "./file/filedesc.ts";
export { onThreadExit } from "./process/exit.ts";
export type { Machine } from "./process/machine.ts";
export { pgsignal, psignal } from "./process/psignal.ts";
export type { ControllingTerminal, ProcessGroup, Session } from "./process/session.ts";
export type { ThreadState } from "./process/thread.ts";
export { type AbortSignalLike, BlockingCall, Driver, WOULD_SLEEP } from "./sched/call.ts";
export { callAsync, callEither } from "./sched/call-async.ts";
export { callNow } from "./sched/call-now.ts";
export { callSync } from "./sched/call-sync.ts";
export { enter, isThread, leave, syscall } from "./sched/entry.ts";
export { type Begin, cutShort, resume, startCall } from "./sched/run-call.ts";
export { keepAlive, letGo, wakeup } from "./sched/sleep.ts";
export { timeoutAdd, timeoutDel } from "./sched/timeouts.ts";
export { WaitChannel } from "./sched/wait-channel.ts";
export { formatThread, formatThreads } from "./sched/waits.ts";
export type { KeventsPolicy, Overflow } from "./stream/kevents.ts";
export { keventCall } from "./syscall/kevent-call.ts";
export { sigsuspendMask } from "./syscall/kill.ts";
export {
	nanosleepCall,
	pauseCall,
	sigsuspendCall,
	sigwaitCall,
	type WritableTimespec,
} from "./syscall/sleep-calls.ts";
export { readCall, readvCall, writeCall, writevCall } from "./syscall/transfer.ts";
export { type WaitStatus, waitpidCall } from "./syscall/waitpid.ts";
