// @kqpoll/kqpoll/kernel, for hosts: begins each call, for any driver.
export { pollCall, ppollCall } from "./poll.ts";
export { pselectCall, selectCall } from "./select.ts";
