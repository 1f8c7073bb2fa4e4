// A pipe, and a poll that sleeps until it can be read: the program that the README begins with.
import { pipe } from "@kqpoll/files";
import { POLLIN, poll } from "@kqpoll/kqpoll";
import { Kernel, readNow, writeNow } from "@kqpoll/kqueue";

/** Prints how many descriptors were ready, whether the pipe was readable, and the bytes. */
export async function run(print: (line: string) => void): Promise<void> {
	const { main } = new Kernel().spawn(); // a machine, a process, its thread
	const [r, w] = pipe(main);
	setTimeout(() => writeNow(main, w, new TextEncoder().encode("hello")), 100);

	const fds = [{ fd: r, events: POLLIN, revents: 0 }];
	const ready = await poll(main, fds, 1000); // sleeps for a tenth of a second
	const buffer = new Uint8Array(64);
	const length = readNow(main, r, buffer);
	const text = new TextDecoder().decode(buffer.subarray(0, length));
	print(`${ready} ${fds[0]?.revents === POLLIN} ${text}`);
}
