// What files that can be watched with EVFILT_VNODE share.
import { EV_EOF, NOTE_REVOKE } from "../../abi/constants.ts";
import type { Knote } from "../knote.ts";

/** The `event` of EVFILT_VNODE: `hint` is the NOTE_* of what happened, and they add up. */
export function vnodeEvent(kn: Knote, hint: number): boolean {
	// Who watches for a part of what happened is told all of it.
	if ((kn.sfflags & hint) !== 0) kn.fflags |= hint;
	if (hint === NOTE_REVOKE) {
		kn.flags |= EV_EOF;
		return true;
	}
	return kn.fflags !== 0;
}
