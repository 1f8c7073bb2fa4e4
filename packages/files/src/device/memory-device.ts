// mem(4): the devices that hold nothing, and are always ready.
import { errno, type Thread } from "@kqpoll/kqueue";
import { type Knote, seltrueKqfilter } from "@kqpoll/kqueue/kernel";
import { Device } from "./device.ts";

/** Empty, and takes everything. */
export class NullDevice extends Device {
	/** End of file. */
	protected override get(_thread: Thread, _buffer: Uint8Array): number {
		return 0;
	}

	/** Takes all and keeps nothing. */
	protected override put(_thread: Thread, buffer: Uint8Array): number {
		return buffer.length;
	}

	/** Always ready. */
	protected override watch(kn: Knote): number {
		return seltrueKqfilter(kn);
	}
}

/** Endless zeros, and takes everything. */
export class ZeroDevice extends NullDevice {
	/** Zeros, as many as fit. */
	protected override get(_thread: Thread, buffer: Uint8Array): number {
		buffer.fill(0);
		return buffer.length;
	}
}

/** Endless zeros, and no room. */
export class FullDevice extends ZeroDevice {
	/** ENOSPC, unless there is nothing to write. */
	protected override put(_thread: Thread, buffer: Uint8Array): number {
		return buffer.length === 0 ? 0 : -errno.ENOSPC;
	}
}
