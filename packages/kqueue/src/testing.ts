// @kqpoll/kqueue/testing, for tests: virtual time and the filter contract.

export { VirtualHost, type VirtualHostOptions } from "./base/virtual-host.ts";
export {
	type ContractCheck,
	type ContractWorld,
	type FilterFixture,
	type FilterSubject,
	filterContract,
} from "./testing/filter-contract.ts";
