// A descriptor that a program emulates, and a poll that sleeps until it is readable.
import { POLLIN, poll } from "@kqpoll/kqpoll";
import { Kernel, openFile, readNow, SyntheticFile } from "@kqpoll/kqueue";

const { main } = new Kernel().spawn(); // a machine, a process, its thread
const inbox = new SyntheticFile();
const fd = openFile(main, inbox);
setTimeout(() => inbox.push(new TextEncoder().encode("hello")), 100);

const fds = [{ fd, events: POLLIN, revents: 0 }];
const ready = await poll(main, fds, 1000); // 1, and revents is POLLIN
const buffer = new Uint8Array(64);
const length = readNow(main, fd, buffer);
console.log(
	ready,
	fds[0]?.revents === POLLIN,
	new TextDecoder().decode(buffer.subarray(0, length)),
);
