// A platform whose clock and turns a test moves, and a host on it.
import { RealHost } from "../../src/base/real-host.ts";
import { PlatformSlice } from "../../src/base/slice.ts";

/** A platform: what waits for its turn runs when the test says so. */
export class FakePlatform {
	/** Nanoseconds. */
	time = 1e9;
	/** How often it was asked for a turn. */
	asked = 0;
	private readonly tasks: (() => void)[] = [];
	readonly slice: PlatformSlice = new PlatformSlice(
		() => this.time,
		(fn) => {
			this.asked++;
			this.tasks.push(fn);
		},
	);

	/** Lets that many milliseconds pass, as a piece of work does. */
	work(ms: number): void {
		this.time += ms * 1e6;
	}

	/** Runs what was asked for up to now, and then all reactions of promises. */
	async turn(): Promise<void> {
		for (const task of this.tasks.splice(0)) task();
		await rest();
	}

	/** What `log` gets in each of some turns. */
	async turns<T>(count: number, log: T[]): Promise<T[][]> {
		const seen: T[][] = [];
		for (let i = 0; i < count; i++) {
			await this.turn();
			seen.push(log.splice(0));
		}
		return seen;
	}
}

/** A real host on a platform of a test. */
export class FakeHost extends RealHost {
	private readonly platform: FakePlatform;

	constructor(platform: FakePlatform = new FakePlatform()) {
		super(platform.slice);
		this.platform = platform;
	}

	override now(): number {
		return this.platform.time;
	}
}

/** Waits until all reactions of promises have run. */
export function rest(): Promise<void> {
	return new Promise((resolve) => setImmediate(resolve));
}
