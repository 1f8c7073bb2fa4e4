// What guests in workers need of their platform: threads, WebAssembly, clocks. Nothing else may touch it.

/** A message to the other side. */
export type Message = unknown;

/** The worker of a guest, as the kernel's side sees it. */
export interface GuestWorker {
	/** Ends it, wherever it is. */
	terminate(): void;
}

/** What the kernel's side is told about a worker. */
export interface WorkerEvents {
	/** It has sent a message. */
	message(message: Message): void;
	/** It has failed outside of the guest; `lost` says that the platform has ended it. */
	error(error: unknown, lost: boolean): void;
	/** It is gone. */
	exit(): void;
}

/** The two sides of a worker in Node. */
interface NodeThreads {
	readonly Worker: new (
		program: string,
		options: Record<string, unknown>,
	) => {
		on(event: string, listener: (value: never) => void): unknown;
		terminate(): Promise<unknown>;
	};
	readonly parentPort: { postMessage(message: Message): void } | null;
	readonly workerData: unknown;
}

declare const process:
	| { getBuiltinModule?(name: "node:worker_threads"): NodeThreads | undefined }
	| undefined;
declare const performance: { now(): number; readonly timeOrigin: number };
declare const crypto: { getRandomValues(bytes: Uint8Array): unknown };
declare const WebAssembly: {
	readonly Instance: new (
		module: object,
		imports: Record<string, Record<string, unknown>>,
	) => { readonly exports: Readonly<Record<string, unknown>> };
};

const NS_PER_MS = 1e6;
/** How many bytes the platform fills at once. */
const RANDOM_MAX = 65_536;

function nodeThreads(): NodeThreads | undefined {
	return typeof process === "undefined"
		? undefined
		: process.getBuiltinModule?.("node:worker_threads");
}

/** Whether the platform has workers that can share memory. */
export function hasWorkers(): boolean {
	return typeof SharedArrayBuffer === "function" && nodeThreads() !== undefined;
}

/** Starts a worker with a program and what it is told. */
export function startWorker(program: string, told: unknown, events: WorkerEvents): GuestWorker {
	const { Worker } = nodeThreads() as NodeThreads;
	// It needs nothing of what this program was started with.
	const worker = new Worker(program, { eval: true, workerData: told, execArgv: [], env: {} });
	worker.on("message", events.message);
	worker.on("error", (error: Error & { readonly code?: string }) =>
		events.error(error, error?.code === "ERR_WORKER_OUT_OF_MEMORY"),
	);
	worker.on("exit", events.exit);
	return { terminate: () => void worker.terminate() };
}

/** The side of the worker. */
export interface InWorker {
	/** What it was told. */
	readonly told: unknown;
	/** Sends a message to the thread that has started it. */
	post(message: Message): void;
}

/** In a worker: its side; null elsewhere. */
export function inWorker(): InWorker | null {
	const { parentPort, workerData } = nodeThreads() ?? { parentPort: null, workerData: null };
	if (parentPort === null) return null;
	return { told: workerData, post: (message) => parentPort.postMessage(message) };
}

/** Instantiates a module, and returns what it exports. */
export function instantiate(
	module: object,
	imports: Record<string, Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
	return new WebAssembly.Instance(module, imports).exports;
}

/** When this thread's monotonic clock showed 0, on a scale that all threads share: in ms. */
export function timeOrigin(): number {
	return performance.timeOrigin;
}

/** The monotonic clock of the thread whose clock has this origin: in ns. */
export function monotonicSince(origin: number): number {
	return (performance.timeOrigin - origin + performance.now()) * NS_PER_MS;
}

/** The wall clock, in steps of a millisecond: in ns. */
export function wallClock(): number {
	return Date.now() * NS_PER_MS;
}

/** Fills a buffer with random bytes that nobody can predict. */
export function fillRandom(bytes: Uint8Array): void {
	for (let at = 0; at < bytes.length; at += RANDOM_MAX) {
		const part = bytes.subarray(at, at + RANDOM_MAX);
		// It refuses shared memory.
		const own = part.buffer instanceof ArrayBuffer ? part : new Uint8Array(part.length);
		crypto.getRandomValues(own);
		if (own !== part) part.set(own);
	}
}
