// The constants of event.h, fcntl.h and other headers: filters, actions, flags, notes, sizes.

/** Bytes or connections can be read. `data` is how many. */
export const EVFILT_READ = -1;
/** There is room to write. `data` is how many bytes. */
export const EVFILT_WRITE = -2;
/** Asynchronous I/O: has no filter here, and is always refused with EINVAL. */
export const EVFILT_AIO = -3;
/** A file changed: see the NOTE_ flags from NOTE_DELETE to NOTE_TRUNCATE. */
export const EVFILT_VNODE = -4;
/** A process forked, executed or exited. */
export const EVFILT_PROC = -5;
/** A signal was sent to the caller's process. `data` is how many times. */
export const EVFILT_SIGNAL = -6;
/** A period of `data` milliseconds has passed. Delivered `data` is how many periods. */
export const EVFILT_TIMER = -7;
/** A device changed: NOTE_CHANGE. */
export const EVFILT_DEVICE = -8;
/** An exceptional condition: NOTE_OOB. */
export const EVFILT_EXCEPT = -9;
/** How many system filters there are. */
export const EVFILT_SYSCOUNT = 9;

/** Action: add the event, or change it if it is there. */
export const EV_ADD = 0x0001;
/** Action: delete the event. */
export const EV_DELETE = 0x0002;
/** Action: allow a disabled event to report again. */
export const EV_ENABLE = 0x0004;
/** Action: keep the event from reporting; its object is still watched. */
export const EV_DISABLE = 0x0008;
/** Report once, then delete the event. */
export const EV_ONESHOT = 0x0010;
/** Reset the state after each report (edge-triggered). */
export const EV_CLEAR = 0x0020;
/** Answer the change with an EV_ERROR entry whose data is 0 or an errno. */
export const EV_RECEIPT = 0x0040;
/** Disable the event after each report. */
export const EV_DISPATCH = 0x0080;
/** The flags that a program cannot set: they are removed from its changes. */
export const EV_SYSFLAGS = 0xf800;
/** Private to a filter. */
export const EV_FLAG1 = 0x2000;
/** Returned: `data` is an errno, or 0 in a receipt. */
export const EV_ERROR = 0x4000;
/** Returned: end of file, or the object is gone. */
export const EV_EOF = 0x8000;
/** The knote belongs to select. */
export const __EV_SELECT = 0x0800;
/** The knote belongs to poll. */
export const __EV_POLL = 0x1000;
/** A filter saw a hang-up, for poll. */
export const __EV_HUP = 0x2000;

/** READ and WRITE: `data` of the change is a low-water mark. */
export const NOTE_LOWAT = 0x0001;
/** READ on files: report at end of file too. */
export const NOTE_EOF = 0x0002;
/** EXCEPT: out-of-band data. */
export const NOTE_OOB = 0x0004;

/** VNODE: unlinked. */
export const NOTE_DELETE = 0x0001;
/** VNODE: written. */
export const NOTE_WRITE = 0x0002;
/** VNODE: grew. */
export const NOTE_EXTEND = 0x0004;
/** VNODE: attributes changed. */
export const NOTE_ATTRIB = 0x0008;
/** VNODE: link count changed. */
export const NOTE_LINK = 0x0010;
/** VNODE: renamed. */
export const NOTE_RENAME = 0x0020;
/** VNODE: access revoked. */
export const NOTE_REVOKE = 0x0040;
/** VNODE: truncated. */
export const NOTE_TRUNCATE = 0x0080;

/** PROC: exited; delivered `data` is the wait status. */
export const NOTE_EXIT = 0x80000000;
/** PROC: forked. */
export const NOTE_FORK = 0x40000000;
/** PROC: executed. */
export const NOTE_EXEC = 0x20000000;
/** PROC: the control bits of a hint. */
export const NOTE_PCTRLMASK = 0xf0000000;
/** PROC: the process id inside a hint. */
export const NOTE_PDATAMASK = 0x000fffff;
/** PROC: follow forks. */
export const NOTE_TRACK = 0x00000001;
/** PROC: a fork could not be followed. */
export const NOTE_TRACKERR = 0x00000002;
/** PROC: this is a followed child; delivered `data` is the parent's id. */
export const NOTE_CHILD = 0x00000004;

/** DEVICE: changed. */
export const NOTE_CHANGE = 0x00000001;

/** Hint: something was submitted; file types pass it when no other hint fits. */
export const NOTE_SUBMIT = 0x01000000;
/** Hint: a signal was sent; or-ed with its number. */
export const NOTE_SIGNAL = 0x08000000;

/** How many changes and events the engine handles at a time. */
export const KQ_NEVENTS = 8;
/** How many entries the array of knotes by descriptor grows by. */
export const KQEXTENT = 256;
/** How many buckets hold the knotes that have no descriptor. */
export const KN_HASHSIZE = 64;
/**
 * The largest `tqseq`, after which it begins again at 0: a small integer in every JavaScript
 * engine.
 */
export const TQSEQ_MAX = 0x3fffffff;

/** Status of a knote: its event has triggered. */
export const KN_ACTIVE = 0x01;
/** Status of a knote: it is in its kqueue's list of ready knotes. */
export const KN_QUEUED = 0x02;
/** Status of a knote: it must not report. */
export const KN_DISABLED = 0x04;
/** Status of a knote: the process it watched is gone. */
export const KN_DETACHED = 0x08;
/** Status of a knote: it is acquired, and only its acquirer may work on it. */
export const KN_PROCESSING = 0x10;
/** Status of a knote: a notification is asking its filter. */
export const KN_NOTIFYING = 0x20;
/** Status of a knote: the attach of its filter is running. */
export const KN_ATTACHING = 0x40;
/** Status of a knote: its file is a vnode, which can be revoked. */
export const KN_VNODE = 0x80;

/** State of a kqueue: a scan sleeps on it. */
export const KQ_SLEEP = 0x02;
/** State of a kqueue: its descriptor was closed. */
export const KQ_DYING = 0x04;
/** State of a kqueue: the task for its watchers has been used. */
export const KQ_TASK = 0x08;

/** The largest process id. */
export const PID_MAX = 99999;
/** Signals are numbered from 1 to NSIG - 1. */
export const NSIG = 33;
/** The largest descriptor a C int can name. */
export const INT_MAX = 0x7fffffff;
/** How many buffers a readv, a writev and their kind take at most. */
export const IOV_MAX = 1024;
/** How many descriptors a new table has room for. */
export const NDFILE = 20;
/** How many it has room for after it first grows; then it doubles. */
export const NDEXTENT = 50;

/** Open for reading. */
export const FREAD = 0x0001;
/** Open for writing. */
export const FWRITE = 0x0002;
/** Calls on the descriptor do not block. */
export const O_NONBLOCK = 0x0004;
/** Writes append. */
export const O_APPEND = 0x0008;
/** Signal the owner when I/O is possible. */
export const O_ASYNC = 0x0040;
/** Writes return when the bytes are stored. */
export const O_SYNC = 0x0080;
/** The same as O_SYNC, as in OpenBSD. */
export const O_DSYNC = 0x0080;

/** fcntl: duplicate to the lowest free number not below the argument. */
export const F_DUPFD = 0;
/** fcntl: read the descriptor's flags. */
export const F_GETFD = 1;
/** fcntl: set the descriptor's flags. */
export const F_SETFD = 2;
/** fcntl: read the open file's flags. */
export const F_GETFL = 3;
/** fcntl: set the open file's flags. */
export const F_SETFL = 4;
/** fcntl: as F_DUPFD, closed on exec. */
export const F_DUPFD_CLOEXEC = 10;
/** The descriptor flag of F_GETFD and F_SETFD: close on exec. */
export const FD_CLOEXEC = 1;

/** ioctl: close on exec. */
export const FIOCLEX = 0x20006601;
/** ioctl: keep open on exec. */
export const FIONCLEX = 0x20006602;
/** ioctl: how many bytes can be read. */
export const FIONREAD = 0x4004667f;
/** ioctl: set or clear O_NONBLOCK. */
export const FIONBIO = 0x8004667e;
/** ioctl: set or clear O_ASYNC. */
export const FIOASYNC = 0x8004667d;

/** lseek: from the beginning. */
export const SEEK_SET = 0;
/** lseek: from the current offset. */
export const SEEK_CUR = 1;
/** lseek: from the end. */
export const SEEK_END = 2;

/** stat: a pipe; kqueues report this too. */
export const S_IFIFO = 0o010000;
/** stat: a character device. */
export const S_IFCHR = 0o020000;
/** stat: a directory. */
export const S_IFDIR = 0o040000;
/** stat: a regular file. */
export const S_IFREG = 0o100000;
/** stat: a symbolic link. */
export const S_IFLNK = 0o120000;
/** stat: a socket. */
export const S_IFSOCK = 0o140000;

/** futimens, utimensat: as `nsec`, the time of the call. */
export const UTIME_NOW = -2;
/** futimens, utimensat: as `nsec`, the time that there is. */
export const UTIME_OMIT = -1;
