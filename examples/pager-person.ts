// A person at an emulated terminal, and a program that writes slowly: a scene for the pager.
import { login_tty, openpty, pipe, tcsetwinsize } from "@kqpoll/files";
import { TTYDEF } from "@kqpoll/files/termios";
import { poll } from "@kqpoll/kqpoll";
import {
	close,
	dup,
	dup2,
	exit,
	fork,
	Kernel,
	readNow,
	type Thread,
	waitpidNow,
	writeNow,
} from "@kqpoll/kqueue";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { closefrom } from "@kqpoll/kqueue/unistd";

/** Plays the scene with a pager, in virtual time; prints each action, and the screen after it. */
export async function perform(
	pager: (thread: Thread) => Promise<void>,
	print: (line: string) => void,
): Promise<void> {
	const host = new VirtualHost();
	const { main: person } = new Kernel({ host }).spawn();
	const [master, slave] = openpty(person, TTYDEF, { row: 6, col: 40, xpixel: 0, ypixel: 0 });
	const [r, w] = pipe(person);

	const writer = fork(person).main;
	const { main: reader, pid } = fork(person);
	const input = dup(reader, r);
	login_tty(reader, slave);
	dup2(reader, input, 0);
	closefrom(reader, 3);
	for (const fd of [master, slave, r]) close(writer, fd);
	for (const fd of [slave, r, w]) close(person, fd);

	/** Waits a moment, and prints the screen: what was written since it was cleared. */
	const look = async (what: string): Promise<void> => {
		await poll(person, [], 10);
		const buffer = new Uint8Array(4096);
		const n = readNow(person, master, buffer);
		const screen = new TextDecoder().decode(buffer.subarray(0, n)).split("\x1b[2J").pop() ?? "";
		print(what);
		for (const line of screen.split("\r\n")) print(`    | ${line}`);
	};
	const type = (key: string) => writeNow(person, master, new TextEncoder().encode(key));

	await host.run(async () => {
		const others = Promise.all([pager(reader), writeSlowly(writer, w)]);
		await look("the first lines are there, in a window of 6 lines of 40");
		await poll(person, [], 100);
		await look("more has come");
		type(" ");
		await look("space");
		tcsetwinsize(person, master, { row: 9, col: 26, xpixel: 0, ypixel: 0 });
		await look("the window becomes 9 lines of 26");
		await poll(person, [], 100);
		await look("the rest has come");
		type(" ");
		await look("space");
		await poll(person, [], 100);
		await look("the text has ended");
		type("b");
		await look("b");
		type("q");
		await others;
		print(`q: the pager exits with status ${waitpidNow(person, pid)?.status}`);
	});
}

/** Writes numbered lines: some at once, some after a while, the rest later. */
async function writeSlowly(thread: Thread, fd: number): Promise<void> {
	let number = 0;
	for (const lines of [3, 9, 8]) {
		for (let i = 0; i < lines; i++) {
			const text = [++number, ...Array<string>(number % 5).fill("potato")].join(" ");
			writeNow(thread, fd, new TextEncoder().encode(`${text}\n`));
		}
		await poll(thread, [], 100);
	}
	exit(thread, 0);
}
