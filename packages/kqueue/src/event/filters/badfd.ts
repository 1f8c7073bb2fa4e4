// The filter of a knote of poll or select whose descriptor was closed.
import { EV_ERROR, EV_ONESHOT } from "../../abi/constants.ts";
import { errno } from "../../abi/errno.ts";
import { type Filterops, filterops } from "../filterops.ts";
import type { Knote } from "../knote.ts";
import { detachNothing, seltrueModify, seltrueProcess } from "./seltrue.ts";

/** @kern filt_badfd */
function badfdEvent(kn: Knote): boolean {
	kn.flags |= EV_ERROR | EV_ONESHOT;
	kn.data = errno.EBADF;
	return true;
}

/** Reports EBADF once. */
export const badfdFiltops: Filterops = filterops({
	name: "badfd",
	detach: detachNothing,
	event: badfdEvent,
	modify: seltrueModify,
	process: seltrueProcess,
});
