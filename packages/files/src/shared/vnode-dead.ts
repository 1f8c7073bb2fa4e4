// deadfs: what is left of a vnode that was revoked.
import { EVFILT_EXCEPT, EVFILT_READ, EVFILT_WRITE, errno } from "@kqpoll/kqueue";
import { __EV_POLL, deadFiltops, type Knote } from "@kqpoll/kqueue/kernel";

/**
 * The `kqfilter` of a revoked vnode: READ and WRITE are always ready, at end of file, and poll gets
 * a hang-up. EINVAL for other filters, and for EXCEPT unless poll asks. Source: dead_kqfilter.
 */
export function deadKqfilter(kn: Knote): number {
	switch (kn.filter) {
		case EVFILT_READ:
		case EVFILT_WRITE:
			break;
		case EVFILT_EXCEPT:
			if ((kn.flags & __EV_POLL) === 0) return errno.EINVAL;
			break;
		default:
			return errno.EINVAL;
	}
	kn.fop = deadFiltops;
	return 0;
}
