// The machine as programs make it.
import { userret } from "./deliver.ts";
import { Machine } from "./machine.ts";
import type { Thread } from "./thread.ts";

/** An emulated machine: its clock, its processes, its limits. Machines share nothing. */
export class Kernel extends Machine {
	/** See {@link Machine.userret}. @internal */
	override userret(thread: Thread): void {
		userret(thread);
	}
}
