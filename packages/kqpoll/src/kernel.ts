// @kqpoll/kqpoll/kernel for hosts: how each call begins, for any driver.
export { pollCall, ppollCall } from "./poll.ts";
export { pselectCall, selectCall } from "./select.ts";
