// A small machine in virtual time for tests of poll and select, and the errors of calls.
import {
	Kernel,
	type KernelOptions,
	openFile,
	type Process,
	SyntheticFile,
	SystemError,
	type Thread,
} from "@kqpoll/kqueue";
import { type Knote, kqueueDoCheck } from "@kqpoll/kqueue/kernel";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import type { Pollfd } from "../src/index.ts";

/** A kernel with diagnostics on, one process, and its thread. */
export interface Machine {
	readonly host: VirtualHost;
	readonly kernel: Kernel;
	readonly process: Process;
	readonly thread: Thread;
}

/** Makes a machine. */
export function machine(options: KernelOptions = {}): Machine {
	const host = new VirtualHost();
	const kernel = new Kernel({ host, diagnostics: true, ...options });
	const process = kernel.spawn();
	return { host, kernel, process, thread: process.main };
}

/** A descriptor of a synthetic file, with `bytes` bytes to read. */
export function readable(thread: Thread, bytes = 1): number {
	const file = new SyntheticFile();
	file.push(new Uint8Array(bytes));
	return openFile(thread, file);
}

/** The synthetic file behind a descriptor. */
export function fileOf(thread: Thread, fd: number): SyntheticFile {
	return thread.process.fdp.get(fd) as SyntheticFile;
}

/** An entry of poll, whose revents show whether they were written. */
export function entry(fd: number, events: number): Pollfd {
	return { fd, events, revents: UNWRITTEN };
}

/** A value that no call writes into revents. */
export const UNWRITTEN = 0x7777;

/** The revents of all entries. */
export function revents(fds: readonly Pollfd[]): number[] {
	return fds.map((each) => each.revents);
}

/** The knotes of a thread's polls and selects, by descriptor, the newest first. */
export function knotes(thread: Thread): Knote[] {
	const found: Knote[] = [];
	for (const head of thread.kq?.knlist.flat() ?? [])
		for (let kn = head; kn !== null; kn = kn.link) found.push(kn);
	return found;
}

/** Checks every kqueue of the machine, and that no callback left one busy. */
export function checkMachine({ kernel }: Machine): void {
	for (const process of kernel.processes.values()) {
		for (let kq = process.fdp.firstKqueue; kq !== null; kq = kq.next) {
			kqueueDoCheck(kq);
			if (kq.busy !== 0) throw new Error(`kqueue ${kq.id} is busy after the call`);
		}
		for (const thread of process.threads) {
			if (thread.polling !== (thread.state !== "running"))
				throw new Error(`thread ${thread.tid} is ${thread.state}, polling ${thread.polling}`);
		}
	}
}

/**
 * Code and call of an error, which has to be a SystemError; the text of any other value. ppoll
 * counts as poll, and pselect as select.
 */
function described(error: unknown): string {
	if (!(error instanceof SystemError)) return String(error);
	return `${error.code} ${error.syscall.replace(/^p(poll|select)$/, "$1")}`;
}

/** How a call fails: `"EBADF select"`. */
export function refusal(call: () => unknown): string {
	try {
		call();
	} catch (error) {
		return described(error);
	}
	return "no error";
}

/** The same for a promise. */
export function rejection(promise: Promise<unknown>): Promise<string> {
	return promise.then(() => "no error", described);
}

/** A value in words, to tell the rows of a table. */
export function show(value: unknown): string {
	if (typeof value === "string") return JSON.stringify(value);
	return Array.isArray(value) ? `[${value.map(show).join()}]` : String(value);
}
