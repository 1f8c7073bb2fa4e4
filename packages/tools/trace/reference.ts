// The program that makes and answers traces.
import { type ExecFileException, execFile } from "node:child_process";
import { linesOf, oddLine, operationsOf } from "./line.ts";

/** How much the program may print in one run, in bytes. */
const MAX_OUTPUT = 2 ** 28;

/** Asks the program, and checks its answers. Every call rejects with an error that says what failed. */
export class Reference {
	private readonly program: string;

	constructor(program: string) {
		this.program = program;
	}

	/** Makes the random trace of a seed, with a number of operations, as a profile says. */
	async generate(seed: number, operations: number, profile: string): Promise<string> {
		const args = ["gen", String(seed), String(operations), profile];
		const trace = await this.trace(args, "");
		if (operationsOf(trace).length === 0) throw new Error(`${this.command(args)} printed no trace`);
		return trace;
	}

	/** Answers a list of operations with their trace. */
	async answer(operations: readonly string[]): Promise<string> {
		const trace = await this.trace(["run"], operations.map((each) => `${each}\n`).join(""));
		const answered = operationsOf(trace);
		const at = operations.findIndex((operation, i) => answered[i] !== operation);
		if (at < 0 && answered.length === operations.length) return trace;
		const missing = operations[at] ?? "that nothing comes after the last one";
		throw new Error(`${this.command(["run"])} printed no answer to ${missing}`);
	}

	private async trace(args: readonly string[], input: string): Promise<string> {
		const output = await this.run(args, input);
		const odd = oddLine(output);
		if (odd === undefined) return output;
		throw new Error(`${this.command(args)} printed what is not a trace: ${odd.slice(0, 80)}`);
	}

	private run(args: readonly string[], input: string): Promise<string> {
		return new Promise((resolve, reject) => {
			const child = execFile(
				this.program,
				args,
				{ maxBuffer: MAX_OUTPUT },
				(error, stdout, stderr) => {
					if (error === null) resolve(stdout);
					else reject(new Error(`${this.command(args)} ${failure(error, stderr)}`));
				},
			);
			// The program may end early or not read its input; that must not end this one.
			child.stdin?.on("error", () => {});
			child.stdin?.end(input);
		});
	}

	private command(args: readonly string[]): string {
		return [this.program, ...args].join(" ");
	}
}

/** How a program failed, as the end of a sentence about it. */
function failure({ code, signal }: ExecFileException, stderr: string): string {
	if (typeof code === "number") {
		const [reason] = linesOf(stderr);
		return `ended with status ${code}${reason === undefined ? "" : `: ${reason}`}`;
	}
	if (code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER") return `printed more than ${MAX_OUTPUT} bytes`;
	return typeof code === "string" ? `cannot be started: ${code}` : `was ended by ${signal}`;
}
