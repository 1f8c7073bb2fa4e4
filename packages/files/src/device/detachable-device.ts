// Hardware that can be unplugged.
import { EVFILT_READ, EVFILT_WRITE, errno, type Thread } from "@kqpoll/kqueue";
import {
	type Filterops,
	FREAD,
	filterops,
	Klist,
	type Knote,
	WaitChannel,
	wakeup,
} from "@kqpoll/kqueue/kernel";
import { Device } from "./device.ts";

/** What a device does; all of it may be left out. */
export interface DeviceDriver {
	/** Reads into `buffer`: gives a count or a negative errno. Unless given, ENODEV. */
	readonly read?: (buffer: Uint8Array) => number;
	/** Writes from `buffer`: gives a count or a negative errno. Unless given, ENODEV. */
	readonly write?: (buffer: Uint8Array) => number;
	/** Does what a command asks: gives a result or a negative errno. */
	readonly ioctl?: (command: number, argument: unknown) => number;
	/** How many bytes there are to read. Unless given it is always ready, with data 0. */
	readonly readable?: () => number;
	/** For how many bytes there is room. Unless given it is always ready, with data 0. */
	readonly writable?: () => number;
}

/**
 * A device that can be unplugged. Open it with `openFile`, say with {@link notify} that its
 * driver has something new, and with {@link detach} that it is gone.
 */
export class DetachableDevice extends Device {
	/** Who watches it. */
	protected readonly klist: Klist = new Klist();
	private readonly driver: DeviceDriver;
	private readonly readers: WaitChannel = new WaitChannel();
	private readonly writers: WaitChannel = new WaitChannel();
	private gone = false;

	/** Makes a device that is plugged in. */
	constructor(driver: DeviceDriver = {}) {
		super();
		this.driver = driver;
	}

	/** Whether it was unplugged. */
	get detached(): boolean {
		return this.gone;
	}

	/** Tells who watches, and who sleeps on the device, that it may be ready now. */
	notify(): void {
		wakeup(this.readers);
		wakeup(this.writers);
		this.klist.notify(0);
	}

	/**
	 * Unplugs it, for good. Who watches gets end of file, and poll a hang-up, once; transfers and
	 * knotes that are added from now on fail with ENXIO, those that sleep at once. EDEADLK, with
	 * nothing done, from the driver's callbacks for a knote.
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
		return this.driver.read?.(buffer) ?? -errno.ENODEV;
	}

	/** As the driver says; ENXIO once it is gone. */
	protected override put(_thread: Thread, buffer: Uint8Array): number {
		if (this.gone) return -errno.ENXIO;
		return this.driver.write?.(buffer) ?? -errno.ENODEV;
	}

	/** Where transfers sleep for which the driver gave -EAGAIN. */
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

	/** What the driver says of reading, or of writing; null for always ready. */
	ready(filter: number): number | null {
		const { readable, writable } = this.driver;
		return (filter === EVFILT_READ ? readable?.() : writable?.()) ?? null;
	}
}

function transferEvent(kn: Knote): boolean {
	const data = (kn.fp as DetachableDevice).ready(kn.filter);
	kn.data = data ?? 0;
	return data === null || data > 0;
}

const readFiltops: Filterops = filterops({ name: "device read", event: transferEvent });
const writeFiltops: Filterops = filterops({ name: "device write", event: transferEvent });
