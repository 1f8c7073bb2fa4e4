// @kqpoll/kqueue/testing for tests: virtual time and the filter contract.
export { VirtualHost, type VirtualHostOptions } from "./virtual-host.ts";
