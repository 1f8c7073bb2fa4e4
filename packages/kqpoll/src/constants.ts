// The numbers of poll.h and select.h.

/** Data can be read. */
export const POLLIN = 0x0001;
/** An exceptional condition, such as out-of-band data. */
export const POLLPRI = 0x0002;
/** Data can be written. */
export const POLLOUT = 0x0004;
/** Returned: the descriptor cannot be watched. */
export const POLLERR = 0x0008;
/** Returned: the other side hung up. */
export const POLLHUP = 0x0010;
/** Returned: the descriptor is not open. */
export const POLLNVAL = 0x0020;
/** As POLLIN. */
export const POLLRDNORM = 0x0040;
/** As POLLRDNORM. */
export const POLLNORM = 0x0040;
/** As POLLOUT. */
export const POLLWRNORM = 0x0004;
/** As POLLPRI. */
export const POLLRDBAND = 0x0080;
/** Accepted, without effect. */
export const POLLWRBAND = 0x0100;
/** For the kernel only: cleared from the events that programs ask for. */
export const POLL_NOHUP = 0x1000;
/** The timeout of a poll that waits forever. */
export const INFTIM = -1;
/** How many descriptors a set has room for by default. */
export const FD_SETSIZE = 1024;
