// What goes on on a host: whether something is in the middle of its work, on any machine.
import type { Host } from "./host.ts";

/** Counts what is on the stack, for all machines that run on one host. */
export interface Activity {
	/** How many calls, handlers, filters and run queues are at work. */
	depth: number;
}

const activities = new WeakMap<Host, Activity>();

/** The activity on a host. */
export function activityOf(host: Host): Activity {
	const known = activities.get(host);
	if (known !== undefined) return known;
	const activity: Activity = { depth: 0 };
	activities.set(host, activity);
	return activity;
}
