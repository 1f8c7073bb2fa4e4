// poll-oneoff: the subscriptions of a guest to descriptors, one of which is ready, beside our poll.
import { POLLIN, pollNow } from "@kqpoll/kqpoll";
import { EVENTTYPE_FD_READ, SubscriptionSet, subscriptionsCall } from "@kqpoll/kqpoll/kernel";
import { Kernel, openFile, SyntheticFile, type Thread } from "@kqpoll/kqueue";
import { callNow, syscall } from "@kqpoll/kqueue/kernel";
import type { Contest } from "../contest.ts";

const SIZES = [1, 10, 100, 1000];
/** How many descriptors a run asks for in all. */
const ASKED = 1_000_000;

/** A thread with `n` descriptors, the last of which is ready. */
function world(n: number): { thread: Thread; fds: readonly number[] } {
	const thread = new Kernel({ maxfiles: n + 1 }).spawn().main;
	const files = Array.from({ length: n }, () => new SyntheticFile());
	const fds = files.map((file) => openFile(thread, file));
	files.at(-1)?.set("read", { data: 1 });
	return { thread, fds };
}

function timed(calls: number, call: () => number): number {
	const begin = performance.now();
	for (let i = 0; i < calls; i++) if (call() !== 1) throw new Error("one is ready");
	return (performance.now() - begin) * 1e6;
}

/** The contests: nanoseconds a descriptor. */
export function pollOneoff(quick: boolean): Contest[] {
	return SIZES.map((n): Contest => {
		const calls = (quick ? ASKED / 10 : ASKED) / n;
		const { thread, fds } = world(n);
		const list = fds.map((fd) => ({ fd, events: POLLIN, revents: 0 }));
		const set = new SubscriptionSet();
		set.reserve(n);
		set.type.fill(EVENTTYPE_FD_READ);
		set.ident.set(fds);
		const oneoff = (): number => callNow(subscriptionsCall(thread, set));
		return {
			name: "poll-oneoff",
			n,
			unit: "descriptor",
			count: calls * n,
			contestants: [
				{
					name: "poll_oneoff",
					run: () => timed(calls, () => syscall(thread, "poll_oneoff", oneoff)),
				},
				{ name: "poll", run: () => timed(calls, () => pollNow(thread, list)) },
			],
		};
	});
}
