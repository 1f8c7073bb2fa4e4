// @kqpoll/kqueue/testing for tests: virtual time and the filter contract.

export {
	type ContractCheck,
	type ContractWorld,
	type FilterFixture,
	type FilterSubject,
	filterContract,
} from "./filter-contract.ts";
export { VirtualHost, type VirtualHostOptions } from "./virtual-host.ts";
