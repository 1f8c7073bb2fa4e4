// What files that can be watched with EVFILT_VNODE share.
import { EV_EOF, NOTE_REVOKE } from "../../abi/constants.ts";
import type { Knote } from "../knote.ts";

/** The `event` of EVFILT_VNODE: `hint` has the NOTE_ flags of what happened, which add up. */
export function vnodeEvent(kn: Knote, hint: number): boolean {
	// If the watcher asked for one of these flags, it gets all of them.
	if ((kn.sfflags & hint) !== 0) kn.fflags |= hint;
	if (hint === NOTE_REVOKE) {
		kn.flags |= EV_EOF;
		return true;
	}
	return kn.fflags !== 0;
}
