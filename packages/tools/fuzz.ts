// npm run fuzz: replays random traces of the reference, and shrinks the ones that differ.
import { Command, messageOf } from "./command.ts";
import { fuzzOptions, USAGE } from "./trace/fuzz-options.ts";
import { Reference } from "./trace/reference.ts";

const command = new Command("fuzz", USAGE);

async function main(): Promise<number> {
	const options = command.parse(fuzzOptions);
	const reference = new Reference(options.reference);
	try {
		// An operation that every reference knows.
		await reference.answer(["0 kqueue"]);
	} catch (error) {
		return command.refuse(`--reference: ${messageOf(error)}`);
	}
	// The engine is loaded only now: an argument that is wrong shows at once.
	const { fuzzTraces } = await import("./trace/fuzz-traces.ts");
	try {
		const { lines, differ } = await fuzzTraces(reference, options);
		const total = options.profiles.length * (options.last - options.first + 1);
		console.log(`${total} traces, ${lines} lines, ${differ} differ`);
		return differ === 0 ? 0 : 1;
	} catch (error) {
		return command.abort(messageOf(error));
	}
}

process.exitCode = await main();
