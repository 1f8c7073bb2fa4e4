// A shell runs `yes | head -n 3 | wc -l`: three processes, two pipes, and one wait for all of them.
// When head has its three lines it exits, so that nothing reads what yes writes: yes gets SIGPIPE.
// NOTE_EXIT tells the shell how each of them ended.
import { pipe } from "@kqpoll/files";
import {
	close,
	dup2,
	EV_ADD,
	EV_SET,
	EVFILT_PROC,
	eventList,
	exit,
	fork,
	Kernel,
	kevent,
	kqueue,
	NOTE_EXIT,
	openFile,
	type Process,
	read,
	SyntheticFile,
	type Thread,
	waitpidNow,
	write,
} from "@kqpoll/kqueue";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { closefrom } from "@kqpoll/kqueue/unistd";
import { LineReader } from "./lines.ts";

/** The program of a process; returns the exit status. Descriptor 0 is its input, 1 its output. */
type Program = (thread: Thread) => Promise<number>;

const put = (thread: Thread, text: string) => write(thread, 1, new TextEncoder().encode(text));

/** The lines of standard input. */
function input(thread: Thread): LineReader {
	const buffer = new Uint8Array(4096);
	return new LineReader(async () => {
		const n = await read(thread, 0, buffer);
		return n === 0 ? null : buffer.subarray(0, n);
	});
}

const yes: Program = async (thread) => {
	for (;;) await put(thread, "y\n");
};

const head: Program = async (thread) => {
	const lines = input(thread);
	for (let i = 0; i < 3; i++) {
		const line = await lines.next();
		if (line === null) break;
		await put(thread, `${line}\n`);
	}
	return 0;
};

const wc: Program = async (thread) => {
	const lines = input(thread);
	let count = 0;
	while ((await lines.next()) !== null) count++;
	await put(thread, `${count}\n`);
	return 0;
};

/** Forks a child that has only these descriptors, as its standard input and output. */
function spawn(shell: Thread, stdin: number, stdout: number): Process {
	const child = fork(shell);
	dup2(child.main, stdin, 0);
	dup2(child.main, stdout, 1);
	closefrom(child.main, 3);
	return child;
}

/** Lets a child run its program. A signal may end the child earlier. */
async function execute(child: Process, program: Program): Promise<void> {
	try {
		exit(child.main, await program(child.main));
	} catch (error) {
		if (!child.exiting) throw error;
	}
}

/** How a process ended, from its wait status. */
function ending(status: number): string {
	const signal = status & 0x7f;
	return signal === 0 ? `exited with ${status >> 8}` : `was ended by signal ${signal}`;
}

/** Runs a pipeline and waits for its end. */
async function pipeline(shell: Thread, job: [name: string, program: Program][]): Promise<string[]> {
	const kq = kqueue(shell);
	const changes = [];
	const running: (() => Promise<void>)[] = [];
	let stdin = 0;
	for (const [i, [name, program]] of job.entries()) {
		const last = i === job.length - 1;
		const [r, w] = last ? [0, 1] : pipe(shell);
		const child = spawn(shell, stdin, w);
		// Watched before it runs: a process that has exited cannot be watched.
		changes.push(EV_SET(child.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, name));
		running.push(() => execute(child, program));
		// The shell must close its ends of the pipe, or the children would never see an end of it
		// closed.
		if (stdin !== 0) close(shell, stdin);
		if (!last) close(shell, w);
		stdin = r;
	}
	await kevent(shell, kq, changes, null, { sec: 0, nsec: 0 });
	const ended = Promise.all(running.map((start) => start()));

	const report: string[] = [];
	const events = eventList(job.length);
	while (report.length < job.length) {
		const n = await kevent(shell, kq, null, events, null);
		for (const { ident, data, udata } of events.slice(0, n)) {
			report.push(`${udata} ${ending(data)}`);
			waitpidNow(shell, ident); // until then it is a zombie
		}
	}
	await ended;
	close(shell, kq);
	return report;
}

/** Runs the pipeline, in virtual time; prints its output, and how its processes ended. */
export async function run(print: (line: string) => void): Promise<void> {
	const host = new VirtualHost();
	const { main } = new Kernel({ host }).spawn();
	const screen = new SyntheticFile({
		write(bytes) {
			print(new TextDecoder().decode(bytes).trimEnd());
			return bytes.length;
		},
	});
	for (const _ of [0, 1, 2]) openFile(main, screen);
	const job: [string, Program][] = [
		["yes", yes],
		["head", head],
		["wc", wc],
	];
	for (const line of await host.run(() => pipeline(main, job))) print(line);
}
