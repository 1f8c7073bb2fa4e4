// @kqpoll/worker: guests in workers of the platform.
export { workerRunner } from "./host/runner.ts";
