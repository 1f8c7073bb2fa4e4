// A real child process whose input, output and errors are served together, in one wait. Here each
// of the three is more than a pipe holds. A program that writes all of the input first, or reads
// all of the output before the errors, would wait forever for a child that waits for the program.
import { type ChildProcess, spawn } from "node:child_process";
import {
	close,
	EV_ADD,
	EV_SET,
	EVFILT_PROC,
	EVFILT_READ,
	EVFILT_WRITE,
	eventList,
	exit,
	Kernel,
	kevent,
	kqueue,
	NOTE_EXIT,
	readNow,
	type Thread,
	waitpidNow,
	writeNow,
} from "@kqpoll/kqueue";
import { adoptChild } from "@kqpoll/node";

/** The child: writes many errors, copies its input in capitals, writes many errors again. */
const PROGRAM = `
	const complain = () => process.stderr.write("oh dear! ".repeat(20_000));
	complain();
	process.stdin.on("data", (chunk) => process.stdout.write(String(chunk).toUpperCase()));
	process.stdin.on("end", () => {
		complain();
		process.exitCode = 3;
	});
`;

/** The result. */
interface Outcome {
	readonly output: string;
	readonly errors: string;
	readonly status: number;
}

/** Writes all of a child's input, and reads its output and errors, as fast as possible. */
async function communicate(thread: Thread, child: ChildProcess, input: string): Promise<Outcome> {
	const { pid, stdin, stdout, stderr } = adoptChild(thread, child);
	let rest = new TextEncoder().encode(input);
	const said = { [stdout]: "", [stderr]: "" };
	const buffer = new Uint8Array(65536);
	const kq = kqueue(thread);
	let changes = [
		EV_SET(stdin, EVFILT_WRITE, EV_ADD),
		EV_SET(stdout, EVFILT_READ, EV_ADD),
		EV_SET(stderr, EVFILT_READ, EV_ADD),
		EV_SET(pid, EVFILT_PROC, EV_ADD, NOTE_EXIT),
	];
	const events = eventList(changes.length);
	// Three descriptors are to be closed, in any order, and the child is to exit.
	for (let left = 4; left > 0; ) {
		const n = await kevent(thread, kq, changes, events, null);
		changes = [];
		for (const { ident, filter } of events.slice(0, n)) {
			let over = filter === EVFILT_PROC;
			if (filter === EVFILT_WRITE) {
				rest = rest.subarray(writeNow(thread, stdin, rest));
				over = rest.length === 0;
			} else if (filter === EVFILT_READ) {
				const length = readNow(thread, ident, buffer);
				said[ident] += new TextDecoder().decode(buffer.subarray(0, length));
				over = length === 0;
			}
			if (over) left--;
			// Closing a descriptor ends its events; the child sees the end of its input.
			if (over && filter !== EVFILT_PROC) close(thread, ident);
		}
	}
	close(thread, kq);
	const status = waitpidNow(thread, pid)?.status ?? -1;
	return { output: said[stdout] ?? "", errors: said[stderr] ?? "", status };
}

/** Runs the child, and prints how much went in and came out. */
export async function run(print: (line: string) => void): Promise<void> {
	const { main } = new Kernel().spawn();
	const child = spawn(process.execPath, ["-e", PROGRAM]);
	const input = "what goes in comes out, ".repeat(20_000);
	const { output, errors, status } = await communicate(main, child, input);
	print(`wrote ${input.length} bytes of input`);
	print(`read ${output.length} bytes of output: ${output === input.toUpperCase()}`);
	print(`read ${errors.length} bytes of errors: ${errors === "oh dear! ".repeat(40_000)}`);
	print(`it exited with ${status >> 8}`);
	exit(main, 0);
}
