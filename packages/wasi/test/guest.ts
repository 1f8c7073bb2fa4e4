// Runs guests as children of a process of an emulated machine, on any platform.
import {
	close,
	Kernel,
	openFile,
	type Process,
	SyntheticFile,
	type Thread,
	waitpid,
} from "@kqpoll/kqueue";
import { S_IFIFO } from "@kqpoll/kqueue/stat";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { WEXITSTATUS, WIFEXITED, WTERMSIG } from "@kqpoll/kqueue/wait";
import { type SpawnOptions, spawn } from "@kqpoll/wasi";

/** A mode that every platform has, or most. */
export type Mode = "sync" | "jspi";

/** What a guest has written, and how it ended. */
export interface Result {
	readonly stdout: string;
	readonly stderr: string;
	/** `status` and its exit status, or `signal` and its number. */
	readonly ended: string;
}

const STAT = { mode: S_IFIFO | 0o600, size: 0, blksize: 65_536 };

/** A descriptor that keeps what is written to it. */
export function collector(thread: Thread): { readonly fd: number; text(): string } {
	const decoder = new TextDecoder();
	let text = "";
	const file = new SyntheticFile({
		type: "vnode",
		stat: () => STAT,
		write(bytes) {
			text += decoder.decode(bytes, { stream: true });
			return bytes.length;
		},
	});
	file.set("write", 65_536);
	return { fd: openFile(thread, file), text: () => text };
}

/** A descriptor at its end. */
function emptyInput(thread: Thread): number {
	const file = new SyntheticFile({ type: "vnode", stat: () => STAT });
	file.set("read", { eof: true, hup: true });
	return openFile(thread, file);
}

/** How a wait status reads. */
export function endOf(status: number): string {
	return WIFEXITED(status) ? `status ${WEXITSTATUS(status)}` : `signal ${WTERMSIG(status)}`;
}

/** A machine in virtual time, with one process: the parent of guests. */
export class Machine {
	readonly host: VirtualHost;
	readonly kernel: Kernel;
	readonly parent: Process;

	constructor() {
		this.host = new VirtualHost({ epoch: Date.UTC(2026, 0, 1) });
		this.kernel = new Kernel({ host: this.host, diagnostics: true });
		this.parent = this.kernel.spawn();
	}

	/** Runs a program of promises on it, to its end. */
	run<T>(program: (thread: Thread) => Promise<T>): Promise<T> {
		return this.host.run(() => program(this.parent.main));
	}

	/** Lets somebody else act at a time, in milliseconds: not a guest, and not in a call. */
	at(ms: number, act: () => void): void {
		this.host.setTimer(ms * 1e6, act);
	}
}

/** The options of {@link start}: without stdio, standard input is empty. */
export interface GuestOptions extends Omit<SpawnOptions, "stdio"> {
	readonly stdin?: number;
	/** Where its output goes, by default into the result. */
	readonly stdout?: number;
}

/** A guest that was started. */
export interface Started {
	readonly pid: number;
	/** Waits for its end. */
	end(): Promise<Result>;
}

/**
 * Starts a guest as a child, and closes the descriptors that it got: they are its alone. What it
 * writes is collected.
 */
export function start(
	thread: Thread,
	module: object,
	{ stdin, stdout, ...options }: GuestOptions,
): Started {
	const input = stdin ?? emptyInput(thread);
	const output = collector(thread);
	const errors = collector(thread);
	const stdio = [input, stdout ?? output.fd, errors.fd] as const;
	const pid = spawn(thread, module, { ...options, stdio });
	for (const fd of new Set([...stdio, output.fd, ...(options.descriptors ?? [])]))
		close(thread, fd);
	return {
		pid,
		async end() {
			const { status } = await waitpid(thread, pid);
			return { stdout: output.text(), stderr: errors.text(), ended: endOf(status) };
		},
	};
}
