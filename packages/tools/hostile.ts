// npm run hostile: runs random hostile programs, and shrinks those in which something is found.
import { Command } from "./command.ts";
import { argumentsOf, hostileOptions, USAGE } from "./hostile/options.ts";
import type { Finding } from "./hostile/programs.ts";

async function main(): Promise<number> {
	const options = new Command("hostile", USAGE).parse(hostileOptions);
	const { mode, ops } = options;
	// The engine is loaded only now: an argument that is wrong shows at once.
	const { supervise } = await import("./hostile/run.ts");
	let found = 0;
	const report = ({ seed, problem, operations, transcript }: Finding): void => {
		found++;
		console.log(`seed ${seed}: ${problem}`);
		console.log(`  npm run hostile -- ${argumentsOf(seed, ops, mode, operations)}`);
		for (const line of transcript) console.log(`  ${line}`);
	};
	const { programs, calls, wakeups } = await supervise(options, report);
	const woken = mode === "wakeups" ? `, ${wakeups} wake-ups` : "";
	console.log(`${programs} programs, ${calls} calls${woken}, ${found} found`);
	return found === 0 ? 0 : 1;
}

process.exitCode = await main();
