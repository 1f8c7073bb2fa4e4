// @kqpoll/kqueue/kernel for those who write file types, filters and system calls.
export { kassert, Panic, unreachable } from "./assert.ts";
export {
	BlockingCall,
	callNow,
	enter,
	leave,
	syscall,
	WOULD_SLEEP,
} from "./call.ts";
export { callAsync } from "./call-async.ts";
export {
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
	NOTE_SIGNAL,
	NOTE_SUBMIT,
} from "./constants.ts";
export { getFile } from "./descriptors.ts";
export { unwrap } from "./errno.ts";
export { File, fileHold, fileRelease } from "./file.ts";
export type { FileTable } from "./filedesc.ts";
export {
	type FilterDefinition,
	type Filterops,
	filterops,
	knoteAssign,
	knoteJoin,
	knoteModify,
	knoteProcess,
	knoteSubmit,
} from "./filterops.ts";
export { badfdFiltops } from "./filters/badfd.ts";
export { deadFiltops } from "./filters/dead.ts";
export { seltrueKqfilter } from "./filters/seltrue.ts";
export { vnodeEvent } from "./filters/vnode.ts";
export { formatKnote } from "./format.ts";
export { sigsuspendMask } from "./kill.ts";
export { Klist } from "./klist.ts";
export type { Knote } from "./knote.ts";
export { knoteActivate } from "./knote-ops.ts";
export { kqpollDone, kqpollInit, SERIAL_MAX } from "./kqpoll.ts";
export { type Kqueue, kqueueDoCheck } from "./kqueue.ts";
export { KqueueFile } from "./kqueue-file.ts";
export { psignal } from "./psignal.ts";
export { knoteFind, kqueueRefresh, kqueueRegister } from "./register.ts";
export {
	type EventSink,
	kqueueScan,
	kqueueScanFinish,
	kqueueScanSetup,
	ScanState,
} from "./scan.ts";
export {
	type ControllingTerminal,
	type ProcessGroup,
	pgsignal,
	type Session,
} from "./session.ts";
export { keepAlive, letGo, WaitChannel, wakeup } from "./sleep.ts";
export { msToNs, timespecToNs, timevalToNs } from "./time.ts";
export { Timeout } from "./timeout.ts";
export { faultOf, isInt16, isInt32, isUint16, isUint32, show } from "./values.ts";
