// Operations on kqueues, their events and their knotes.
import {
	EV_ERROR,
	errno,
	errnoName,
	eventList,
	fstat,
	ioctl,
	Kevent,
	kevent,
	kqueue,
	readNow,
	SystemError,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { FIONREAD } from "@kqpoll/kqueue/ioctl";
import { getFile, KqueueFile, kqpollDone, kqpollInit, SERIAL_MAX } from "@kqpoll/kqueue/kernel";
import { hexadecimal, integer, list, timespec } from "./argument.ts";
import type { Operations } from "./operation.ts";

export const KQUEUES: Operations = {
	kqueue: (thread) => kqueue(thread),
	kevent: keventOperation,
	stat: (thread, [fd]) => fstat(thread, queue(thread, fd).fd).size,
	read: (thread, [fd]) => readNow(thread, queue(thread, fd).fd, new Uint8Array(1)),
	write: (thread, [fd]) => writeNow(thread, queue(thread, fd).fd, new Uint8Array(1)),
	ioctl: (thread, [fd]) => ioctl(thread, queue(thread, fd).fd, FIONREAD),
	knotes: (thread, [fd]) =>
		fd === "self" ? (thread.kq?.nknotes ?? 0) : queue(thread, fd).file.kq.nknotes,
	timermax: (thread, [limit]) => {
		thread.kernel.timermax = integer(limit);
		return 0;
	},
	serial: (thread, [serial = ""]) => {
		if (thread.kq === null) {
			kqpollInit(thread, 0, "serial");
			kqpollDone(thread, 0);
		}
		thread.kqserial = serial.startsWith("max-")
			? SERIAL_MAX - integer(serial.slice(4))
			: integer(serial);
		return 0;
	},
};

function queue(thread: Thread, text: string | undefined): { fd: number; file: KqueueFile } {
	const fd = integer(text);
	const file = getFile(thread, fd, "stat");
	if (file instanceof KqueueFile) return { fd, file };
	throw new SystemError(errno.EBADF, "stat");
}

async function keventOperation(
	thread: Thread,
	[kq, changes, nevents, timeout]: readonly string[],
): Promise<string> {
	const changelist = list(changes).map(parseKevent);
	const events = eventList(integer(nevents));
	const n = await kevent(thread, integer(kq), changelist, events, timespec(timeout));
	return n === 0 ? "0" : `${n} ${events.slice(0, n).map(printKevent).join(";")}`;
}

/** Idents are as wide as a pointer and without sign in a trace; -1 stands for the largest. */
function parseKevent(text: string): Kevent {
	const [ident = "0", filter, flags, fflags, data, udata] = text.split(",");
	return new Kevent(
		Number(BigInt.asIntN(64, BigInt(ident))),
		integer(filter),
		hexadecimal(flags),
		hexadecimal(fflags),
		integer(data),
		integer(udata),
	);
}

function printKevent(kev: Kevent): string {
	const { ident, filter, flags, fflags, data, udata } = kev;
	const id = BigInt.asUintN(64, BigInt(ident));
	const shown = (flags & EV_ERROR) === 0 || data === 0 ? data : errnoName(data);
	return `${id},${filter},0x${flags.toString(16)},0x${fflags.toString(16)},${shown},${udata}`;
}
