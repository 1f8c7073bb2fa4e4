// A small machine in virtual time for tests, which checks its invariants at every step.

import { kqueueDoCheck } from "../src/event/kqueue-ops.ts";
import {
	Kernel,
	type KernelOptions,
	type Kevent,
	type Process,
	SyntheticFile,
	type Thread,
} from "../src/index.ts";
import type { Knote } from "../src/kernel.ts";
import { VirtualHost } from "../src/testing.ts";

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

/** A synthetic file whose filters do what a test says before they answer. */
export class HookedFile extends SyntheticFile {
	/** Called whenever a filter is asked. */
	asked: (() => void) | null = null;
	/** Called whenever a knote leaves. */
	left: (() => void) | null = null;

	/** Joins a knote, as a file does whose filters are not safe. */
	override kqfilter(kn: Knote): number {
		const error = super.kqfilter(kn);
		const { event, detach } = kn.fop;
		const ask = (each: Knote, hint: number): boolean => {
			this.asked?.();
			return event(each, hint);
		};
		const leave = (each: Knote): void => {
			this.left?.();
			detach(each);
		};
		if (error === 0) kn.fop = { ...kn.fop, mpsafe: false, event: ask, detach: leave };
		return error;
	}
}

/** An event as a list of its six fields, to compare whole results. */
export type Fields = [
	ident: number,
	filter: number,
	flags: number,
	fflags: number,
	data: number,
	udata: unknown,
];

/** The first `n` events as lists of fields. */
export function fields(events: readonly Kevent[], n: number): Fields[] {
	return events
		.slice(0, n)
		.map(({ ident, filter, flags, fflags, data, udata }) => [
			ident,
			filter,
			flags,
			fflags,
			data,
			udata,
		]);
}

/** Checks every kqueue of the machine, and that no callback left one busy. */
export function checkMachine({ kernel }: Machine): void {
	for (const process of kernel.processes.values()) {
		for (let kq = process.fdp.firstKqueue; kq !== null; kq = kq.next) {
			kqueueDoCheck(kq);
			if (kq.busy !== 0) throw new Error(`kqueue ${kq.id} is busy after the call`);
		}
	}
}

/** What a call throws or rejects with: the code of an error, or the value itself. */
export function codeOf(call: () => unknown): unknown {
	try {
		call();
	} catch (error) {
		return (error as { code?: string }).code ?? error;
	}
	return "no error";
}

/** The same for a promise. */
export function rejection(promise: Promise<unknown>): Promise<unknown> {
	return promise.then(
		() => "no error",
		(error) => (error as { code?: string }).code ?? error,
	);
}
