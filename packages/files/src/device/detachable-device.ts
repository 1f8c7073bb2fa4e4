// Hardware that can be unplugged.
import { EVFILT_READ, EVFILT_WRITE, errno, SystemError, type Thread } from "@kqpoll/kqueue";
import {
	copyin,
	type Filterops,
	FREAD,
	filterops,
	Klist,
	type Knote,
	show,
	WaitChannel,
	wakeup,
} from "@kqpoll/kqueue/kernel";
import { Device } from "./device.ts";

/** What a device does; all members are optional. */
export interface DeviceDriver {
	/** Reads into `buffer`. Returns a count or a negative errno (default: -ENODEV). */
	readonly read?: (buffer: Uint8Array) => number;
	/** Writes from `buffer`. Returns a count or a negative errno (default: -ENODEV). */
	readonly write?: (buffer: Uint8Array) => number;
	/** Does what a command asks. Returns a result or a negative errno (default: -ENOTTY). */
	readonly ioctl?: (command: number, argument: unknown) => number;
	/** Returns how many bytes there are to read. By default it is always ready, with data 0. */
	readonly readable?: () => number;
	/** Returns for how many bytes there is room. By default it is always ready, with data 0. */
	readonly writable?: () => number;
}

/**
 * A device that can be unplugged. Open it with `openFile`, call {@link notify} when its driver has
 * something new, and {@link detach} when it is unplugged.
 */
export class DetachableDevice extends Device {
	/** Its watchers. */
	protected readonly klist: Klist = new Klist();
	private readonly driver: DeviceDriver;
	private readonly readers: WaitChannel = new WaitChannel();
	private readonly writers: WaitChannel = new WaitChannel();
	private gone = false;

	/** Makes a device that is plugged in. EFAULT for a driver that is not a DeviceDriver. */
	constructor(driver: DeviceDriver = {}) {
		super();
		checkDriver(driver);
		this.driver = driver;
	}

	/** Whether it was unplugged. */
	get detached(): boolean {
		return this.gone;
	}

	/** Tells watchers and sleepers that it may be ready now. */
	notify(): void {
		wakeup(this.readers);
		wakeup(this.writers);
		this.klist.notify(0);
	}

	/**
	 * Unplugs it for good. Watchers get end of file, and poll a hang-up, once. From now on reads,
	 * writes and new knotes fail with ENXIO; sleepers wake up with it. EDEADLK, with nothing done,
	 * from the driver's callbacks for a knote.
	 */
	detach(): void {
		if (this.gone) return;
		this.klist.invalidate();
		this.gone = true;
		wakeup(this.readers);
		wakeup(this.writers);
	}

	/** As the driver says; ENXIO once it is gone. */
	protected override get(_thread: Thread, buffer: Uint8Array): number {
		if (this.gone) return -errno.ENXIO;
		return this.after(this.driver.read?.(buffer) ?? -errno.ENODEV);
	}

	/** As the driver says; ENXIO once it is gone. */
	protected override put(_thread: Thread, buffer: Uint8Array): number {
		if (this.gone) return -errno.ENXIO;
		return this.after(this.driver.write?.(buffer) ?? -errno.ENODEV);
	}

	/** What a transfer returns: it must not begin to sleep when the driver has unplugged the device. */
	private after(result: number): number {
		return result === -errno.EAGAIN && this.gone ? -errno.ENXIO : result;
	}

	/** Reads and writes for which the driver returned -EAGAIN sleep here. */
	override channel(mode: number): WaitChannel {
		return mode === FREAD ? this.readers : this.writers;
	}

	/** As the driver says; ENXIO once it is gone. */
	override ioctl(thread: Thread, command: number, argument: unknown): number {
		if (this.gone) return -errno.ENXIO;
		return this.driver.ioctl?.(command, argument) ?? super.ioctl(thread, command, argument);
	}

	/** Joins READ and WRITE knotes; ENXIO once it is gone, EINVAL for other filters. */
	protected override watch(kn: Knote): number {
		if (this.gone) return errno.ENXIO;
		if (kn.filter === EVFILT_READ) kn.fop = readFiltops;
		else if (kn.filter === EVFILT_WRITE) kn.fop = writeFiltops;
		else return errno.EINVAL;
		this.klist.insert(kn);
		return 0;
	}

	/** What the driver says about reading, or about writing; null if it is always ready. */
	ready(filter: number): number | null {
		const { readable, writable } = this.driver;
		return (filter === EVFILT_READ ? readable?.() : writable?.()) ?? null;
	}
}

/** What is wrong with a driver is found when the device is made, and not by its watchers. */
function checkDriver(driver: DeviceDriver): void {
	const members = copyin("DetachableDevice", "the driver", () => [
		driver.read,
		driver.write,
		driver.ioctl,
		driver.readable,
		driver.writable,
	]);
	for (const member of members)
		if (member !== undefined && typeof member !== "function")
			throw new SystemError(errno.EFAULT, "DetachableDevice", `${show(member)} is not a function`);
}

function transferEvent(kn: Knote): boolean {
	const data = (kn.fp as DetachableDevice).ready(kn.filter);
	kn.data = data ?? 0;
	return data === null || data > 0;
}

const readFiltops: Filterops = filterops({ name: "device read", event: transferEvent });
const writeFiltops: Filterops = filterops({ name: "device write", event: transferEvent });
