// @kqpoll/cli: the command kqpoll, for programs that run it themselves.
import { HELP, parse } from "./options.ts";
import { Refusal } from "./refusal.ts";
import { run } from "./run.ts";
import { realWorld, type World } from "./world.ts";

export { realWorld, type World };

/**
 * Runs the command with its arguments, and returns its exit status. What is wrong with the command
 * line is one line on standard error, and status 2.
 */
export async function main(args: readonly string[], world: World = realWorld()): Promise<number> {
	try {
		const options = parse(args);
		if (options !== null) return await run(options, world);
		world.stdout.write(HELP);
		return 0;
	} catch (error) {
		if (!(error instanceof Refusal)) throw error;
		world.stderr.write(`kqpoll: ${error.message}\n`);
		return error.status;
	}
}
