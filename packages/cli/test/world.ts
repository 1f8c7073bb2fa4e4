// The command in a world of its own, for tests.
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { main, type World } from "../src/index.ts";

/** What came of a command. */
export interface Outcome {
	readonly status: number;
	readonly output: string;
	readonly errors: string;
}

/** A command that runs. */
export interface Running {
	readonly stdin: PassThrough;
	readonly stdout: PassThrough;
	readonly stderr: PassThrough;
	readonly outcome: Promise<Outcome>;
}

/** Starts the command. Relative paths begin in `cwd`. */
export function start(cwd: string, ...args: string[]): Running {
	const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
	const world: World = { stdin, stdout, stderr, real: false, cwd };
	const [output, errors] = [text(stdout), text(stderr)];
	const outcome = main(args, world).then(async (status) => {
		stdout.end();
		stderr.end();
		return { status, output: await output, errors: await errors };
	});
	return { stdin, stdout, stderr, outcome };
}

/** Runs the command to its end, with this input. */
export function run(cwd: string, input: string, ...args: string[]): Promise<Outcome> {
	const { stdin, outcome } = start(cwd, ...args);
	stdin.end(input);
	return outcome;
}
