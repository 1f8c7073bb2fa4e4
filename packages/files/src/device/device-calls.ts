// The devices that every machine has, by name.
import { errno, SystemError, type Thread } from "@kqpoll/kqueue";
import { show, syscall } from "@kqpoll/kqueue/kernel";
import { openWith } from "../shared/open-file.ts";
import { fileFlags, O_RDWR } from "../shared/vnode-flags.ts";
import { openCtty, openSlave } from "../tty/pty-calls.ts";
import type { Device } from "./device.ts";
import { FullDevice, NullDevice, ZeroDevice } from "./memory-device.ts";
import { RandomDevice } from "./random-device.ts";

/** A device that every machine has. */
export type DeviceName = "null" | "zero" | "full" | "random" | `tty${string}`;

/**
 * Opens a device (default: for reading and writing) and returns its descriptor.
 *
 * "null" is empty and takes everything; "zero" is endless zeros and takes everything; "full" is
 * endless zeros and has no room (ENOSPC); "random" is random bytes of the kernel's host and takes
 * everything. None of these ever sleeps. "tty" is the terminal of the caller's session; "ttyp0" and
 * others like it are slaves of ptys. Errors: ENXIO for another name, for a terminal that the
 * session does not have, and a slave whose master is closed; EINVAL for an access mode that does
 * not exist; EMFILE. Source: null(4), zero(4), random(4), tty(4), pty(4); full is Linux's.
 */
export function openDevice(thread: Thread, name: DeviceName, flags: number = O_RDWR): number {
	return syscall(thread, "open", () => {
		const kept = fileFlags(flags, "open");
		if (name === "tty") return openCtty(thread, kept, flags);
		if (typeof name === "string" && name.startsWith("tty"))
			return openSlave(thread, name, kept, flags);
		const device = makeDevice(name);
		device.flags = kept;
		return openWith(thread, device, flags);
	});
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
