// Both ends of a pty keep the contract of all filters.

import {
	EVFILT_EXCEPT,
	EVFILT_READ,
	EVFILT_WRITE,
	ioctl,
	NOTE_OOB,
	readNow,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { type FilterSubject, filterContract } from "@kqpoll/kqueue/testing";
import { test } from "uvu";
import { openpty, tcflush } from "../../src/index.ts";
import { cfmakeraw, TCIFLUSH, TCOFLUSH, TTYDEF } from "../../src/termios.ts";
import { TIOCUCNTL, UIOCCMD } from "../../src/ttycom.ts";
import { codeOf } from "../machine.ts";

const FULL = new Uint8Array(9000);

interface Ends {
	readonly thread: Thread;
	readonly master: number;
	readonly slave: number;
}

function subject(
	name: string,
	filter: number,
	which: "master" | "slave",
	trigger: (ends: Ends) => unknown,
	untrigger: (ends: Ends) => unknown,
	before: (ends: Ends) => unknown = () => {},
): FilterSubject {
	return {
		name,
		filter,
		kind: "level",
		setup: ({ thread }) => {
			const [master, slave] = openpty(thread, cfmakeraw(TTYDEF));
			const ends = { thread, master, slave };
			before(ends);
			return {
				ident: ends[which],
				trigger: () => void codeOf(() => trigger(ends)),
				untrigger: () => void codeOf(() => untrigger(ends)),
			};
		},
	};
}

const type = ({ thread, master }: Ends) => writeNow(thread, master, FULL);
const print = ({ thread, slave }: Ends) => writeNow(thread, slave, FULL);
const look = ({ thread, master }: Ends) => readNow(thread, master, FULL);
const flushInput = ({ thread, slave }: Ends) => tcflush(thread, slave, TCIFLUSH);
const flushOutput = ({ thread, slave }: Ends) => tcflush(thread, slave, TCOFLUSH);

const SUBJECTS: readonly FilterSubject[] = [
	subject("slave read", EVFILT_READ, "slave", type, flushInput),
	subject("slave write", EVFILT_WRITE, "slave", look, print, print),
	subject("master read", EVFILT_READ, "master", print, flushOutput),
	subject("master write", EVFILT_WRITE, "master", flushInput, type, type),
	{
		name: "master except",
		filter: EVFILT_EXCEPT,
		kind: "sticky",
		setup: ({ thread }) => {
			const [master, slave] = openpty(thread);
			ioctl(thread, master, TIOCUCNTL, 1);
			const trigger = () => void ioctl(thread, slave, UIOCCMD(1));
			return { ident: master, fflags: NOTE_OOB, trigger };
		},
	},
];

for (const each of SUBJECTS) {
	for (const { number, name, run } of filterContract(each)) {
		test(`${each.name}, ${number}: ${name}`, run);
	}
}

test.run();
