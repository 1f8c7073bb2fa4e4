// The machine as programs make it.
import { userret } from "./deliver.ts";
import { Machine } from "./machine.ts";
import type { Thread } from "./thread.ts";

/** An emulated machine: its clock, its processes, its limits. Machines share nothing. */
export class Kernel extends Machine {
	/** Engine: see {@link Machine.userret}. */
	override userret(thread: Thread): void {
		userret(thread);
	}
}
