// One emulated machine that does the operations of a trace, through the packages' own entry points,
// and prints their results. The language is described in docs/traces.md.
import { Kernel, SystemError, sigaction, type Thread } from "@kqpoll/kqueue";
import { kqueueDoCheck } from "@kqpoll/kqueue/kernel";
import { NSIG, SIG_IGN } from "@kqpoll/kqueue/signal";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { integer } from "./argument.ts";
import { DESCRIPTORS } from "./descriptors.ts";
import { FIFOS, fifoTree } from "./fifos.ts";
import { KQUEUES } from "./kqueues.ts";
import type { Machine, Operations } from "./operation.ts";
import { PIPES } from "./pipes.ts";
import { MAXFILES, POLLS } from "./polls.ts";
import { canBeIgnored, PROCESSES } from "./processes.ts";
import { SOCKETS } from "./sockets.ts";
import { SYNTHETIC_FILES } from "./synthetic-files.ts";
import { TERMINALS } from "./terminals.ts";

const OPERATIONS: Operations = {
	...PROCESSES,
	...KQUEUES,
	...POLLS,
	...DESCRIPTORS,
	...SYNTHETIC_FILES,
	...PIPES,
	...SOCKETS,
	...FIFOS,
	...TERMINALS,
};

/** The world of one trace. */
export class World {
	private readonly host = new VirtualHost();
	private readonly kernel = new Kernel({
		host: this.host,
		firstPid: 100,
		maxfiles: MAXFILES,
		diagnostics: true,
	});
	private readonly machine: Machine;
	/** The calls of sleeping threads, and what they will print. */
	private readonly pending = new Map<Thread, Promise<string>>();

	constructor() {
		const { main } = this.kernel.spawn();
		this.machine = { threads: [main], tree: fifoTree(main) };
		// In a trace a signal only notifies knotes: it ends no process and interrupts no thread.
		for (let signal = 1; signal < NSIG; signal++) {
			if (canBeIgnored(signal)) sigaction(main, signal, SIG_IGN);
		}
	}

	/** Does one operation; returns the lines that it printed. */
	async step(operation: string): Promise<string[]> {
		const [who = "", op = "", ...args] = operation.split(" ").filter((word) => word !== "");
		if (who === "tick") {
			this.host.advance(integer(op));
			return [`${operation} => 0`, ...(await this.finished())];
		}
		const thread = /^\d/.test(who) ? this.machine.threads[Number.parseInt(who, 10)] : undefined;
		if (thread?.state !== "running") return [`${operation} => !busy`];
		const result = this.begin(thread, op, args);
		const slept = (thread.state as string) === "asleep";
		this.host.settle();
		if (slept) this.pending.set(thread, result);
		return [`${operation} => ${slept ? "..." : await result}`, ...(await this.finished())];
	}

	/** Checks the invariants of every kqueue of the world. */
	check(): void {
		for (const process of this.kernel.processes.values()) {
			for (let kq = process.fdp.firstKqueue; kq !== null; kq = kq.next) kqueueDoCheck(kq);
		}
	}

	/** The lines of the threads whose sleeping calls have ended, in order of their numbers. */
	private async finished(): Promise<string[]> {
		const lines: string[] = [];
		for (const thread of this.machine.threads) {
			const result = this.pending.get(thread);
			if (result === undefined || thread.state === "asleep") continue;
			this.pending.delete(thread);
			lines.push(`< ${thread.tid} ${await result}`);
		}
		return lines;
	}

	/** Begins an operation; returns what it prints. An error that no kernel returns is printed too. */
	private async begin(thread: Thread, op: string, args: string[]): Promise<string> {
		try {
			const operation = Object.hasOwn(OPERATIONS, op) ? OPERATIONS[op] : undefined;
			if (operation === undefined) throw new Error(`unknown operation ${op}`);
			return String((await operation(thread, args, this.machine)) ?? 0);
		} catch (error) {
			return error instanceof SystemError ? `!${error.code}` : String(error);
		}
	}
}
