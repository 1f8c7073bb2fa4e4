// The filter of a knote whose object is gone.
import {
	__EV_HUP,
	__EV_POLL,
	EV_DISABLE,
	EV_EOF,
	EV_ONESHOT,
	EVFILT_EXCEPT,
} from "../../abi/constants.ts";
import { type Filterops, filterops } from "../filterops.ts";
import type { Knote } from "../knote.ts";
import { detachNothing, seltrueModify, seltrueProcess } from "./seltrue.ts";

/** @kern filt_dead */
function deadEvent(kn: Knote): boolean {
	if (kn.filter === EVFILT_EXCEPT && (kn.flags & __EV_POLL) === 0) {
		// There is no out-of-band data to report, and only poll reports hang-ups here.
		kn.flags |= EV_DISABLE;
		return false;
	}
	kn.flags |= EV_EOF | EV_ONESHOT;
	if ((kn.flags & __EV_POLL) !== 0) kn.flags |= __EV_HUP;
	kn.data = 0;
	return true;
}

/** Reports end of file once, and a hang-up to poll. */
export const deadFiltops: Filterops = filterops({
	name: "dead",
	detach: detachNothing,
	event: deadEvent,
	modify: seltrueModify,
	process: seltrueProcess,
});
