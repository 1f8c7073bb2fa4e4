// The filters of sockets keep the contract of all filters.
import {
	EVFILT_EXCEPT,
	EVFILT_READ,
	EVFILT_WRITE,
	NOTE_OOB,
	readNow,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { type ContractWorld, type FilterSubject, filterContract } from "@kqpoll/kqueue/testing";
import { test } from "uvu";
import { acceptNow, bind, connectNow, listen } from "../../src/socket/connect-calls.ts";
import { sendNow } from "../../src/socket/send-calls.ts";
import { socket, socketpair } from "../../src/socket/socket-calls.ts";
import { MSG_OOB } from "../../src/socket/socket-constants.ts";

/** Two ends of a TCP connection. */
function tcp({ thread, host }: ContractWorld): [number, number] {
	const l = socket(thread, "inet", "stream");
	bind(thread, l, 80);
	listen(thread, l, 5);
	const a = socket(thread, "inet", "stream");
	try {
		connectNow(thread, a, 80);
	} catch {
		host.settle();
	}
	return [a, acceptNow(thread, l)];
}

function read(thread: Thread, fd: number, n: number): void {
	readNow(thread, fd, new Uint8Array(n));
}

const SUBJECTS: readonly FilterSubject[] = [
	{
		name: "socket READ",
		filter: EVFILT_READ,
		kind: "level",
		setup: ({ thread }) => {
			const [a, b] = socketpair(thread, "stream");
			return {
				ident: b,
				trigger: () => {
					writeNow(thread, a, new Uint8Array(3));
				},
				untrigger: () => read(thread, b, 8192),
			};
		},
	},
	{
		name: "socket WRITE",
		filter: EVFILT_WRITE,
		kind: "level",
		setup: ({ thread }) => {
			const [a, b] = socketpair(thread, "stream");
			writeNow(thread, a, new Uint8Array(8192));
			return {
				ident: a,
				trigger: () => read(thread, b, 2048),
				untrigger: () => {
					writeNow(thread, a, new Uint8Array(8192));
				},
			};
		},
	},
	{
		name: "socket EXCEPT",
		filter: EVFILT_EXCEPT,
		kind: "level",
		setup: (world) => {
			const { thread } = world;
			const [a, b] = tcp(world);
			return {
				ident: b,
				fflags: NOTE_OOB,
				trigger: () => {
					sendNow(thread, a, new Uint8Array(1), MSG_OOB);
				},
				untrigger: () => {
					writeNow(thread, a, new Uint8Array(1));
					read(thread, b, 1);
				},
			};
		},
	},
	{
		name: "listener READ",
		filter: EVFILT_READ,
		kind: "level",
		setup: ({ thread }) => {
			const l = socket(thread, "local", "stream");
			bind(thread, l, "l");
			listen(thread, l, 5);
			return {
				ident: l,
				trigger: () => connectNow(thread, socket(thread, "local", "stream"), "l"),
				untrigger: () => {
					acceptNow(thread, l);
				},
			};
		},
	},
];

for (const subject of SUBJECTS) {
	for (const { number, name, run } of filterContract(subject)) {
		test(`${subject.name}, ${number}: ${name}`, run);
	}
}

test.run();
