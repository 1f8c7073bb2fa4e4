// A small machine in virtual time for the tests of observables.
import { Kernel, openFile, type Process, SyntheticFile, type Thread } from "@kqpoll/kqueue";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import type { Observable, Subscription } from "rxjs";
import * as assert from "uvu/assert";

/** A machine with one synthetic file, and a log of what subscribers were told. */
export interface World {
	readonly host: VirtualHost;
	readonly kernel: Kernel;
	readonly process: Process;
	readonly thread: Thread;
	readonly file: SyntheticFile;
	readonly fd: number;
	/** What subscribers were told: a name, then a value, the code of an error, or "done". */
	readonly log: string[];
	/** Subscribes under a name; `show` says what to log of a value. */
	listen<T>(name: string, source: Observable<T>, show?: (value: T) => unknown): Subscription;
	/** What subscribers were told since the last call, after everything that is due now. */
	heard(): string[];
	/** Throws if a knote, pump, timer or sleeper is left. */
	checkClean(): void;
}

/** Makes a machine. */
export function world(): World {
	const host = new VirtualHost();
	const kernel = new Kernel({ host, diagnostics: true });
	const process = kernel.spawn();
	const thread = process.main;
	const file = new SyntheticFile();
	const fd = openFile(thread, file);
	const log: string[] = [];
	return {
		host,
		kernel,
		process,
		thread,
		file,
		fd,
		log,
		listen: (name, source, show = (value) => String(value)) =>
			source.subscribe({
				next: (value) => log.push(`${name} ${show(value)}`),
				error: (error) => log.push(`${name} ${error?.code ?? error}`),
				complete: () => log.push(`${name} done`),
			}),
		heard() {
			host.settle();
			return log.splice(0);
		},
		checkClean() {
			assert.equal(
				[thread.watches, process.fdp.firstKqueue, kernel.timeouts.size, kernel.sleepers],
				[null, null, 0, 0],
			);
		},
	};
}
