// @kqpoll/kqpoll: poll, ppoll, select, pselect, and the subscriptions of poll_oneoff.
export {
	FD_SETSIZE,
	INFTIM,
	POLL_NOHUP,
	POLLERR,
	POLLHUP,
	POLLIN,
	POLLNORM,
	POLLNVAL,
	POLLOUT,
	POLLPRI,
	POLLRDBAND,
	POLLRDNORM,
	POLLWRBAND,
	POLLWRNORM,
} from "./constants.ts";
export { FD_CLR, FD_COPY, FD_ISSET, FD_SET, FD_ZERO, FdSet } from "./fdset.ts";
export { type Pollfd, poll, pollNow, ppoll, ppollNow } from "./poll.ts";
export { pselect, pselectNow, select, selectNow } from "./select.ts";
export {
	type ClockSubscription,
	type FdSubscription,
	pollSubscriptions,
	pollSubscriptionsNow,
	type Subscription,
	type SubscriptionEvent,
} from "./subscriptions.ts";
