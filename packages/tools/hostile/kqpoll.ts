// Operations of @kqpoll/kqpoll: poll, select, and sets of descriptors.
import {
	FD_CLR,
	FD_COPY,
	FD_ISSET,
	FD_SET,
	FD_ZERO,
	FdSet,
	POLLIN,
	POLLOUT,
	POLLPRI,
	POLLRDBAND,
	poll,
	pollNow,
	pollSubscriptions,
	pollSubscriptionsNow,
	ppoll,
	ppollNow,
	pselect,
	pselectNow,
	select,
	selectNow,
} from "@kqpoll/kqpoll";
import {
	pollCall,
	ppollCall,
	pselectCall,
	SUBSCRIPTION_FD_BARRED,
	SubscriptionSet,
	selectCall,
	subscriptionsCall,
} from "@kqpoll/kqpoll/kernel";
import { resume } from "@kqpoll/kqueue/kernel";
import { begun, custom, formsOf, now, plain, sleeps } from "./calls.ts";
import {
	draw,
	fd,
	fdNumber,
	flagsOf,
	type Kind,
	listOf,
	maybe,
	milliseconds,
	oneOf,
	sigset,
	timespec,
	timeval,
	upTo,
} from "./values.ts";
import { MAX_FILES, type Operations, type World } from "./world.ts";

const pollEvents = flagsOf(POLLIN, POLLOUT, POLLPRI, POLLRDBAND, 0);
const pollfd: Kind = (world) => ({
	fd: world.random.once(10) ? -1 : fd(world),
	events: pollEvents(world),
	revents: 0,
});
/** The list of a poll. */
export const pollfds = listOf(pollfd, 6);

/** A set of descriptors: a new one, or one that other calls use. */
const set: Kind<FdSet> = (world) => {
	const { random, sets } = world;
	// Of sleepers that share a set, the first one that returns changes what the others asked for.
	if (sets.length > 0 && !world.honest && random.once(3)) return random.pick(sets);
	const made = new FdSet([fd(world), fd(world)], random.pick([32, 64, 1024]));
	if (random.once(4)) sets.push(made);
	if (sets.length > 6) sets.shift();
	if (world.objects && random.once(12)) {
		const words = random.pick<unknown>([null, undefined, [1], new Float64Array(2), {}]);
		Object.assign(made, { words });
		if (random.once(2)) return Object.assign(made, { words: new Int32Array(0) });
	}
	return made;
};

function makeSet(world: World): void {
	const { random, sets } = world;
	const fds = draw(listOf(fdNumber), world) as number[];
	const made = new FdSet(fds, draw(oneOf(0, 32, 64, 1024), world) as number);
	for (const each of made.copy()) made.clear(each);
	made.zero();
	made.set(draw(fdNumber, world) as number);
	made.has(draw(fdNumber, world) as number);
	if (random.once(2)) sets.push(made);
}

const clockTimeout = oneOf<unknown>(0, 0, 1e6, 5e6, 1e8, 0.5, 2n ** 64n - 1n, Infinity, -1, null);
const subscription: Kind = (world) => {
	const { random } = world;
	if (random.once(4))
		return {
			type: "clock",
			clock: random.pick([undefined, "monotonic", "realtime", "process"]),
			timeout: clockTimeout(world),
			absolute: random.once(3),
			userdata: random.next(),
		};
	return { type: random.pick(["fd_read", "fd_write"]), fd: fd(world) };
};
const subscriptions = listOf(subscription, 6);

/** A new set of subscriptions to descriptors, and sometimes to clocks. */
export const subscriptionSet: Kind<SubscriptionSet> = (world) => {
	const { random } = world;
	const made = new SubscriptionSet();
	const n = world.honest || !random.once(8) ? 1 + random.below(6) : 0;
	made.reserve(n);
	for (let i = 0; i < n; i++) {
		const clock = random.once(5);
		made.type[i] = !world.honest && random.once(20) ? 7 : clock ? 0 : 1 + random.below(2);
		made.ident[i] = clock ? random.below(world.honest ? 2 : 5) : fd(world);
		made.flags[i] = random.once(9) ? random.pick([1, SUBSCRIPTION_FD_BARRED]) : 0;
		made.timeout.set(
			random.pick([
				[0, 0],
				[5e6, 0],
				[-1, -1],
				[0, 1],
			]),
			2 * i,
		);
	}
	if (world.objects && random.once(12)) Object.assign(made, { nevents: null, busy: 1 });
	return made;
};

/** A set that several calls use, one after the other or at once. */
const anySubscriptionSet: Kind<SubscriptionSet> = (world) => {
	const { random, subscriptionSets } = world;
	if (subscriptionSets.length > 0 && random.once(3)) return random.pick(subscriptionSets);
	const made = subscriptionSet(world);
	if (random.once(4)) subscriptionSets.push(made);
	if (subscriptionSets.length > 6) subscriptionSets.shift();
	return made;
};

function makeSubscriptionSet(world: World): void {
	const made = anySubscriptionSet(world);
	made.reserve(draw(oneOf(0, 1, 17, 100, 2 ** 20 + 1), world) as number);
	made.type.fill(1);
}

const nfds = oneOf(MAX_FILES, MAX_FILES, 1, 64, 1024);
/** The first arguments of a select. */
export const setKinds: readonly Kind[] = [nfds, maybe(set), maybe(set), maybe(set)];
const mask = maybe(sigset);
const forms = formsOf(resume);

/** The operations, by the names of what they call. */
export const kqpollOperations: Operations = {
	FD_CLR: plain(FD_CLR, [fdNumber, set]),
	FD_COPY: plain(FD_COPY, [set, set]),
	FD_ISSET: plain(FD_ISSET, [fdNumber, set]),
	FD_SET: plain(FD_SET, [upTo(64), set]),
	FD_ZERO: plain(FD_ZERO, [set]),
	FdSet: custom("FdSet", makeSet),
	poll: sleeps(poll, [pollfds, milliseconds]),
	pollNow: now(pollNow, [pollfds]),
	pollSubscriptions: sleeps(pollSubscriptions, [subscriptions]),
	pollSubscriptionsNow: now(pollSubscriptionsNow, [subscriptions]),
	ppoll: sleeps(ppoll, [pollfds, maybe(timespec), mask]),
	ppollNow: now(ppollNow, [pollfds, mask]),
	pselect: sleeps(pselect, [...setKinds, maybe(timespec), mask]),
	pselectNow: now(pselectNow, [...setKinds, mask]),
	select: sleeps(select, [...setKinds, maybe(timeval)]),
	selectNow: now(selectNow, setKinds),
	pollCall: begun(forms, pollCall, [pollfds, milliseconds]),
	ppollCall: begun(forms, ppollCall, [pollfds, maybe(timespec), mask]),
	pselectCall: begun(forms, pselectCall, [...setKinds, maybe(timespec), mask]),
	selectCall: begun(forms, selectCall, [...setKinds, maybe(timeval)]),
	SubscriptionSet: custom("SubscriptionSet", makeSubscriptionSet),
	subscriptionsCall: begun(forms, subscriptionsCall, [anySubscriptionSet]),
};
