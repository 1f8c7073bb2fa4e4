// @kqpoll/kqpoll/kernel, for hosts: begins each call, for any driver.
export { pollCall, ppollCall } from "./poll.ts";
export { pselectCall, selectCall } from "./select.ts";
export {
	CLOCKID_MONOTONIC,
	CLOCKID_REALTIME,
	EVENTTYPE_CLOCK,
	EVENTTYPE_FD_READ,
	EVENTTYPE_FD_WRITE,
	SUBSCRIPTION_CLOCK_ABSTIME,
	SUBSCRIPTION_FD_BARRED,
	SubscriptionSet,
} from "./subscription-set.ts";
export { subscriptionsCall } from "./subscriptions.ts";
