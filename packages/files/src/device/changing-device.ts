// A device whose configuration changes: a display that gets another monitor.
import { EVFILT_DEVICE, errno, NOTE_CHANGE } from "@kqpoll/kqueue";
import { type Filterops, filterops, type Knote } from "@kqpoll/kqueue/kernel";
import { DetachableDevice } from "./detachable-device.ts";

/**
 * A device that notifies EVFILT_DEVICE of NOTE_CHANGE when it changes, as OpenBSD's displays do.
 * Otherwise it is a {@link DetachableDevice}. Source: kqueue(2), drm(4).
 */
export class ChangingDevice extends DetachableDevice {
	/** Notifies watchers of a change. */
	change(): void {
		this.klist.notify(NOTE_CHANGE);
	}

	/** Also joins DEVICE knotes. */
	protected override watch(kn: Knote): number {
		if (kn.filter !== EVFILT_DEVICE) return super.watch(kn);
		if (this.detached) return errno.ENXIO;
		kn.fop = changeFiltops;
		this.klist.insert(kn);
		return 0;
	}
}

const changeFiltops: Filterops = filterops({
	name: "device change",
	event: (kn, hint) => {
		if ((kn.sfflags & hint) !== 0) kn.fflags |= hint;
		return kn.fflags !== 0;
	},
});
