// The devices that every machine has, by name.
import { errno, SystemError, type Thread } from "@kqpoll/kqueue";
import { show } from "@kqpoll/kqueue/kernel";
import type { Device } from "./device-file.ts";
import { FullDevice, NullDevice, ZeroDevice } from "./device-memory.ts";
import { RandomDevice } from "./device-random.ts";
import { openWith } from "./open-file.ts";
import { fileFlags, O_RDWR } from "./vnode-flags.ts";

/** A device that every machine has. */
export type DeviceName = "null" | "zero" | "full" | "random";

/**
 * Opens a device, for reading and writing unless `flags` say otherwise, and gives its descriptor.
 *
 * "null" is empty and takes everything; "zero" gives zeros and takes everything; "full" gives
 * zeros and has no room (ENOSPC); "random" gives random bytes of the kernel's host and takes
 * everything. None ever sleeps. Errors: ENXIO for another name; EINVAL for an access mode that
 * does not exist; EMFILE. Source: null(4), zero(4), random(4); full is Linux's.
 */
export function openDevice(thread: Thread, name: DeviceName, flags: number = O_RDWR): number {
	const kept = fileFlags(flags, "open");
	const device = makeDevice(name);
	device.flags = kept;
	return openWith(thread, device, flags);
}

function makeDevice(name: DeviceName): Device {
	switch (name) {
		case "null":
			return new NullDevice();
		case "zero":
			return new ZeroDevice();
		case "full":
			return new FullDevice();
		case "random":
			return new RandomDevice();
		default:
			throw new SystemError(errno.ENXIO, "open", `device ${show(name)}`);
	}
}
