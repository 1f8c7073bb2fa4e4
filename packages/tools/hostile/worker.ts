// Runs hostile programs in a thread of the platform, which can be ended when a program never ends.
import { parentPort, workerData } from "node:worker_threads";
import type { HostileOptions } from "./options.ts";
import { runPrograms, type Total } from "./programs.ts";

const { options, shared } = workerData as {
	readonly options: HostileOptions;
	readonly shared: Int32Array;
};
const total: Total = { programs: 0, calls: 0, wakeups: 0 };
await runPrograms(
	options,
	total,
	(finding) => parentPort?.postMessage({ finding }),
	(seed, operation) => {
		shared[0] = seed;
		shared[1] = operation;
		shared[2] = total.calls;
		shared[3] = total.wakeups;
		shared[4] = (shared[4] as number) + 1;
	},
);
parentPort?.postMessage({ total });
