// A machine in virtual time, on which programs of other toolchains run as guests.
import { Kernel, openFile, SyntheticFile, type Thread } from "@kqpoll/kqueue";
import { S_IFIFO } from "@kqpoll/kqueue/stat";
import { VirtualHost } from "@kqpoll/kqueue/testing";

/** How the calls of a guest wait. */
export type Mode = "sync" | "jspi";

/** A program, and what has to come of it. */
export interface Expectation {
	readonly name: string;
	play(): Promise<string>;
	readonly expected: string;
}

/** A machine with one process, the parent of guests. */
export class Machine {
	private readonly host: VirtualHost = new VirtualHost({ epoch: Date.UTC(2026, 0, 1) });
	/** The thread of that process. */
	readonly thread: Thread = new Kernel({ host: this.host }).spawn().main;

	/** Runs a program of promises on it, to its end. */
	run<T>(program: (thread: Thread) => Promise<T>): Promise<T> {
		return this.host.run(() => program(this.thread));
	}
}

/** A descriptor that keeps what is written to it. */
export function collector(thread: Thread): { readonly fd: number; text(): string } {
	const decoder = new TextDecoder();
	let text = "";
	const file = new SyntheticFile({
		type: "vnode",
		stat: () => ({ mode: S_IFIFO | 0o600, size: 0, blksize: 65_536 }),
		write(bytes) {
			text += decoder.decode(bytes, { stream: true });
			return bytes.length;
		},
	});
	file.set("write", 65_536);
	return { fd: openFile(thread, file), text: () => text };
}
