// The runner of guests in workers, which `spawn` takes as its mode.
import { errno, RealHost, SystemError } from "@kqpoll/kqueue";
import { onThreadExit, psignal } from "@kqpoll/kqueue/kernel";
import { SIGKILL } from "@kqpoll/kqueue/signal";
import { NotStarted, type Runner, type WASI } from "@kqpoll/wasi";
import { PREVIEW1 } from "@kqpoll/wasi/kernel";
import { CAPACITY, Mailbox } from "../abi/mailbox.ts";
import type { Report, Told } from "../abi/messages.ts";
import { FUNCTIONS } from "../abi/signatures.ts";
import { type GuestWorker, hasWorkers, startWorker, timeOrigin } from "../platform.ts";
import { PROGRAM } from "../program.ts";
import { Service } from "./service.ts";
import { stringsOf } from "./strings.ts";

/**
 * Makes a runner for `spawn`: each guest runs in a worker of its own, and blocks there. Its
 * calls go through shared memory to the machine, which stays where it is: there nothing blocks, so
 * that timers, input and connections of the platform reach a guest that is asleep.
 *
 * ```ts
 * const pid = spawn(main, module, { args: ["chat"], mode: workerRunner() });
 * const status = await waitpid(main, pid);
 * ```
 *
 * A call takes 10 to 20 µs; clocks, random bytes, arguments and environment take less than 1 µs, as
 * they stay in the worker. A worker keeps the program alive until its guest has ended.
 *
 * A signal that ends the process ends the worker, even in an endless loop. A worker that the platform
 * ends, because it has no memory left for example, ends the process with SIGKILL.
 *
 * Errors: ENOTSUP on a platform without workers or without shared memory.
 */
export function workerRunner(): Runner {
	if (!hasWorkers())
		throw new SystemError(
			errno.ENOTSUP,
			"workerRunner",
			"the platform has no workers with shared memory",
		);
	return { mode: "promise", run: (module, wasi) => new Promise(runIn(module, wasi)) };
}

type Executor = (resolve: () => void, reject: (error: unknown) => void) => void;

function runIn(module: object, wasi: WASI): Executor {
	return (resolve, reject) => {
		const run = new Run(wasi, resolve, reject);
		run.start(module);
	};
}

/** A guest that runs in a worker. */
class Run {
	private readonly wasi: WASI;
	private readonly resolve: () => void;
	private readonly reject: (error: unknown) => void;
	private readonly service: Service;
	private worker: GuestWorker | null = null;
	private over = false;
	private forget: () => void = () => {};

	constructor(wasi: WASI, resolve: () => void, reject: (error: unknown) => void) {
		this.wasi = wasi;
		this.resolve = resolve;
		this.reject = reject;
		this.service = new Service(wasi, Mailbox.make(CAPACITY), (error) => this.fail(error));
	}

	/** Starts the worker, which ends with the process. */
	start(module: object): void {
		const told = this.told(module);
		this.worker = startWorker(PROGRAM, told, {
			message: (message) => this.receive(message as Report | SharedArrayBuffer | null),
			error: (error, lost) => {
				if (!lost) this.fail(error);
			},
			exit: () => this.lose(),
		});
		this.forget = onThreadExit(this.wasi.thread, () => this.processEnded());
	}

	private told(module: object): Told {
		const { wasi, service } = this;
		const { functions, thread } = wasi;
		const { memory, mailbox } = service;
		wasi.finalizeBindings({ exports: {} }, { memory });
		const args = stringsOf(memory, functions["args_sizes_get"], functions["args_get"]);
		const env = stringsOf(memory, functions["environ_sizes_get"], functions["environ_get"]);
		return {
			module,
			namespace: PREVIEW1,
			functions: FUNCTIONS.filter((name) => functions[name] !== undefined),
			mailbox: mailbox.buffer,
			args,
			env,
			origin: thread.kernel.host instanceof RealHost ? timeOrigin() : null,
		};
	}

	private receive(message: Report | SharedArrayBuffer | null): void {
		if (this.over) return;
		if (message === null || message instanceof SharedArrayBuffer) this.service.serve(message);
		else if (message.ended === "returned") this.end(this.resolve);
		else this.fail(errorOf(message));
	}

	/** The process has ended, while its program was in a call or in its own code. */
	private processEnded(): void {
		try {
			this.wasi.checkAlive();
		} catch (error) {
			this.fail(error);
		}
	}

	private fail(error: unknown): void {
		this.end(() => this.reject(error));
	}

	/** The worker is gone, and the guest has not ended: nothing of it can run any more. */
	private lose(): void {
		if (!this.over) psignal(this.wasi.thread.process, SIGKILL);
	}

	private end(settle: () => void): void {
		if (this.over) return;
		this.over = true;
		this.forget();
		this.worker?.terminate();
		settle();
	}
}

/** What the guest has thrown, as an error here. */
function errorOf({ ended, name, message }: Exclude<Report, { ended: "returned" }>): Error {
	if (ended === "not started") return new NotStarted(message);
	const error = new Error(message);
	error.name = name;
	return error;
}
