// WASI: a host of one guest, in the shape of the class of node:wasi.

import { openNow, Tree } from "@kqpoll/files";
import { openatNow } from "@kqpoll/files/at";
import { O_DIRECTORY, O_RDONLY } from "@kqpoll/files/fcntl";
import { stayBeneath } from "@kqpoll/files/kernel";
import {
	BlockingHost,
	close,
	errno,
	exit,
	Kernel,
	openFile,
	SystemError,
	sigaction,
	type Thread,
} from "@kqpoll/kqueue";
import { type File, isDrivable, show } from "@kqpoll/kqueue/kernel";
import { SIG_DFL, SIG_IGN, SIGABRT, SIGPIPE } from "@kqpoll/kqueue/signal";
import { arrange } from "./arrange.ts";
import {
	type Answer,
	Guest,
	type GuestStrings,
	type WaitMode,
	type WasiImport,
} from "./guest/guest.ts";
import { ProcessExit } from "./guest/trouble.ts";
import { bindAll, importsOf, PREVIEW1 } from "./imports.ts";
import {
	canSuspend,
	encode,
	endProgram,
	promising,
	type WasmInstance,
	type WasmMemory,
} from "./platform.ts";
import { consoleFile, type Input, inputFile, type Output, outputFile } from "./stdio.ts";

/**
 * A directory that a guest may use: a tree, a directory of a tree by path, or an open directory of
 * the guest's process. The guest cannot leave it.
 */
export type Directory = Tree | { readonly tree: Tree; readonly path: string } | number;

/** The options of {@link WASI}. */
export interface WASIOptions {
	/** The interface: there is one. */
	readonly version?: "preview1";
	/** The arguments of the program; the first is its name. Empty by default. */
	readonly args?: readonly string[];
	/** Its environment. Empty by default. */
	readonly env?: Readonly<Record<string, string>>;
	/**
	 * The directories it may use, by their names for it: descriptors from 3 on, behind the others, in
	 * this order. Those that are descriptors are moved there.
	 */
	readonly preopens?: Readonly<Record<string, Directory>>;
	/**
	 * Other descriptors of its process that it begins with, listening sockets for example: they are
	 * moved to 3 and the numbers after it, before the directories.
	 */
	readonly descriptors?: readonly number[];
	/** Descriptor 0. By default that of its process, or if that is not open, an empty input. */
	readonly stdin?: Input;
	/** Descriptor 1. By default that of its process, or if that is not open, the console. */
	readonly stdout?: Output;
	/** Descriptor 2. By default that of its process, or if that is not open, the console. */
	readonly stderr?: Output;
	/**
	 * Whether `start` returns the exit status (the default). Otherwise the end of the guest ends the
	 * program that runs the host, as node:wasi does.
	 */
	readonly returnOnExit?: boolean;
	/** Who makes its calls: by default the thread of a new process, on a machine of its own. */
	readonly thread?: Thread;
	/**
	 * Where relative paths begin: the name of a preopened directory, or a path in one. Guests see it as
	 * the environment's PWD and as the directory ".", unless one that is preopened has the name "/".
	 */
	readonly cwd?: string;
	/** What becomes of a guest that writes into a pipe without readers: EPIPE alone by default. */
	readonly sigpipe?: "ignore" | "default";
	/**
	 * How its calls wait. By default `"sync"` where the machine's host can be driven, else `"jspi"`
	 * where the platform has it, else `"now"`.
	 */
	readonly mode?: WaitMode;
}

/**
 * A host of one guest: a program that was compiled for WASI preview1. The guest is a process of an
 * emulated machine: its descriptors are those of the process, and its calls are made by a thread of
 * it.
 *
 * ```ts
 * const wasi = new WASI({ version: "preview1", args: ["nap", "0.1"] });
 * const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
 * const status = await wasi.start(instance);
 * ```
 *
 * Errors: EINVAL for options that are not known; ENOTSUP for a mode that the platform or the
 * machine's host does not have; those of the descriptors and directories.
 */
export class WASI {
	/** Who makes the guest's calls. */
	readonly thread: Thread;
	/** The functions of WASI by name, as a module imports them. */
	readonly wasiImport: Readonly<Record<string, unknown>>;
	/** The same, not wrapped for a suspension: where a call sleeps, the answer is a promise. */
	readonly functions: Readonly<Record<string, WasiImport>>;
	private readonly guest: Guest;
	private readonly returnOnExit: boolean;
	private started = false;

	/** Makes the process, or prepares that of the thread. */
	constructor(options: WASIOptions = {}) {
		const { version = "preview1" } = options;
		if (version !== "preview1")
			throw new SystemError(errno.EINVAL, "WASI", `version ${show(version)} is not "preview1"`);
		this.thread = options.thread ?? new Kernel({ host: new BlockingHost() }).spawn().main;
		const mode = options.mode ?? bestMode(this.thread);
		checkMode(this.thread, mode);
		this.guest = new Guest(this.thread, stringsOf(options), mode);
		this.returnOnExit = options.returnOnExit ?? true;
		this.openDescriptors(options);
		sigaction(this.thread, SIGPIPE, options.sigpipe === "default" ? SIG_DFL : SIG_IGN);
		this.functions = bindAll(this.guest);
		this.wasiImport = importsOf(this.functions, this.guest);
	}

	/** How the guest's calls wait. */
	get mode(): WaitMode {
		return this.guest.mode;
	}

	/** What to instantiate the module with. */
	getImportObject(): Record<string, Record<string, unknown>> {
		return { [PREVIEW1]: { ...this.wasiImport } };
	}

	/**
	 * Uses the memory that an instance exports, or another one. `start` and `initialize` do this. EINVAL
	 * if there is none, or it was done before.
	 */
	finalizeBindings(instance: WasmInstance, options: { readonly memory?: WasmMemory } = {}): void {
		if (this.started) throw new SystemError(errno.EINVAL, "WASI", "the guest was started already");
		const memory = options.memory ?? memoryOf(instance);
		this.started = true;
		this.guest.memory.attach(memory);
	}

	/**
	 * Runs a program: calls its `_start`, then ends its process. Returns the exit status, 128 and the
	 * signal's number if a signal has ended it; in mode `"jspi"` a promise of that. What the program
	 * throws otherwise, a trap for example, ends the process with SIGABRT, and is thrown again.
	 * Errors: EINVAL for an instance that is not of a program, or was started before.
	 */
	start(instance: WasmInstance): Answer {
		const entry = entryOf(instance);
		this.finalizeBindings(instance);
		return this.run(entry);
	}

	/**
	 * Prepares a library (a reactor): calls its `_initialize` if it has one. Its exports can be called
	 * then; in mode `"jspi"` those that may sleep are to be wrapped by `WebAssembly.promising`. Errors
	 * as for {@link start}.
	 */
	initialize(instance: WasmInstance): void | Promise<void> {
		if (typeof instance?.exports?.["_start"] === "function")
			throw new SystemError(errno.EINVAL, "WASI", "the module is a program: use start");
		this.finalizeBindings(instance);
		const entry = instance.exports["_initialize"];
		if (entry === undefined) return;
		if (typeof entry !== "function")
			throw new SystemError(errno.EINVAL, "WASI", "_initialize is not a function");
		if (this.mode !== "jspi") return void entry();
		/* c8 ignore next: with JSPI only, which the Node that measures may not have */
		return promising(entry)().then(() => {});
	}

	/** Calls the entry of the guest, which has its memory, and ends its process. */
	run(entry: () => unknown): Answer {
		/* c8 ignore next 6: with JSPI only, which the Node that measures may not have */
		if (this.mode === "jspi") {
			return promising(entry)().then(
				() => this.ended(null),
				(error: unknown) => this.ended({ error }),
			);
		}
		try {
			entry();
		} catch (error) {
			return this.ended({ error });
		}
		return this.ended(null);
	}

	/**
	 * Ends the process of the guest, which has returned or failed, and returns the exit status. Throws
	 * what it failed with, but for the end of its process.
	 */
	ended(failure: { readonly error: unknown } | null): number {
		const { thread } = this;
		if (failure !== null && !(failure.error instanceof ProcessExit)) {
			if (thread.state !== "exited") exit(thread, 0, SIGABRT);
			throw failure.error;
		}
		if (thread.state !== "exited") exit(thread, 0);
		const { status } = this.guest.exit();
		if (!this.returnOnExit) endProgram(status);
		return status;
	}

	/**
	 * Standard input, output and error, then the other descriptors, then the directories. If one cannot
	 * be opened, none is moved.
	 */
	private openDescriptors(options: WASIOptions): void {
		const { thread } = this;
		const { descriptors = [], preopens = {}, cwd } = options;
		const opened: number[] = [];
		const keep = (fd: number): number => {
			opened.push(fd);
			return fd;
		};
		try {
			const stdio = openStreams(thread, options, keep);
			const directories = openDirectories(thread, preopens, keep);
			if (cwd !== undefined) enter(thread, cwd, directories, keep);
			for (const [, fd] of directories) stayBeneath(thread, fd);
			arrange(thread, [...stdio, ...descriptors, ...directories.map(([, fd]) => fd)]);
			let fd = stdio.length + descriptors.length;
			for (const [name] of directories) this.guest.descriptors.preopen(fd++, name);
		} catch (error) {
			for (const fd of opened) close(thread, fd);
			throw error;
		}
	}

	/** Throws ProcessExit if the guest's process has ended. */
	checkAlive(): void {
		this.guest.checkAlive();
	}
}

/** The mode that is chosen by default. */
function bestMode({ kernel }: Thread): WaitMode {
	const { host } = kernel;
	if (isDrivable(host) && host.mayBlock) return "sync";
	return canSuspend() ? "jspi" : "now";
}

function checkMode({ kernel }: Thread, mode: WaitMode): void {
	if (mode === "sync" && !isDrivable(kernel.host)) throw cannotBlock("WASI");
	if (mode === "jspi" && !canSuspend()) throw cannotSuspend("WASI");
	if (!["sync", "jspi", "promise", "now"].includes(mode))
		throw new SystemError(
			errno.EINVAL,
			"WASI",
			`mode ${show(mode)} is not "sync", "jspi", "promise" or "now"`,
		);
}

/** The error of mode "sync" on a host that calls cannot block on. */
export function cannotBlock(syscall: string): SystemError {
	const why = "needs a host that can be driven: make the Kernel with a BlockingHost";
	return new SystemError(errno.ENOTSUP, syscall, `mode "sync" ${why}`);
}

/** The error of mode "jspi" on a platform without it. */
export function cannotSuspend(syscall: string): SystemError {
	const why = "needs WebAssembly.Suspending, which this platform does not have";
	return new SystemError(errno.ENOTSUP, syscall, `mode "jspi" ${why}`);
}

function stringsOf({ args = [], env: variables = {}, cwd }: WASIOptions): GuestStrings {
	const env = cwd === undefined ? variables : { ...variables, PWD: cwd };
	const all = {
		args: [...args],
		env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
	};
	for (const string of [...all.args, ...all.env]) {
		if (typeof string !== "string" || string.includes("\0"))
			throw new SystemError(
				errno.EINVAL,
				"WASI",
				`${show(string)} is not a text without NUL, as arguments and environment are`,
			);
	}
	return { args: all.args.map(encode), env: all.env.map(encode) };
}

function fileFor(stream: Exclude<Input | Output, number> | undefined, fd: number): File {
	if (fd > 0) {
		if (typeof stream === "function") return outputFile(stream);
		if (stream === undefined) return consoleFile(fd === 2);
	} else if (stream === undefined || typeof stream === "string" || stream instanceof Uint8Array) {
		return inputFile(stream ?? "");
	}
	const what = fd === 0 ? "a descriptor, a text or bytes" : "a descriptor or a function";
	throw new SystemError(errno.EINVAL, "WASI", `descriptor ${fd} is ${show(stream)}, not ${what}`);
}

/** The name of a directory with one slash at its end. */
function directoryName(name: string): string {
	return name.endsWith("/") ? name : `${name}/`;
}

/** Opens standard input, output and error, where they are not descriptors. */
function openStreams(
	thread: Thread,
	{ stdin, stdout, stderr }: WASIOptions,
	keep: (fd: number) => number,
): number[] {
	const streams = [stdin, stdout, stderr];
	// What is opened for one of them must not be taken for another.
	const were = streams.map((_, fd) => thread.process.fdp.get(fd) !== null);
	return streams.map((stream, fd) => {
		if (typeof stream === "number") return stream;
		if (stream === undefined && were[fd]) return fd;
		return keep(openFile(thread, fileFor(stream, fd)));
	});
}

/** Opens directories in the process of the guest, by their names for it. */
function openDirectories(
	thread: Thread,
	preopens: Readonly<Record<string, Directory>>,
	keep: (fd: number) => number,
): [name: string, fd: number][] {
	const flags = O_RDONLY | O_DIRECTORY;
	const open = ([name, directory]: [string, Directory]): [string, number] => {
		if (typeof directory === "number") return [name, directory];
		const { tree, path } =
			directory instanceof Tree ? { tree: directory, path: "/" } : (directory ?? {});
		if (tree instanceof Tree) return [name, keep(openNow(thread, tree, path, flags))];
		throw new SystemError(
			errno.EINVAL,
			"WASI",
			`preopens: ${show(name)} is ${show(directory)}, not a Tree, { tree, path } or a descriptor`,
		);
	};
	return Object.entries(preopens).map(open);
}

/** Adds the directory where relative paths begin. */
function enter(
	thread: Thread,
	cwd: string,
	directories: [name: string, fd: number][],
	keep: (fd: number) => number,
): void {
	const inside = ([name]: [string, number]): boolean =>
		cwd === name || cwd.startsWith(directoryName(name));
	const [found] = directories.filter(inside).sort(([a], [b]) => b.length - a.length);
	if (found === undefined)
		throw new SystemError(errno.ENOENT, "WASI", `cwd ${show(cwd)} is in no preopened directory`);
	const [name, base] = found;
	const rest = cwd.slice(directoryName(name).length) || ".";
	stayBeneath(thread, base);
	const fd = openatNow(thread, base, rest, O_RDONLY | O_DIRECTORY);
	if (directories.some(([name]) => name === "/")) close(thread, fd);
	else directories.push([".", keep(fd)]);
}

function memoryOf(instance: WasmInstance): WasmMemory {
	const memory = instance?.exports?.["memory"] as WasmMemory | undefined;
	if (typeof memory?.buffer === "object") return memory;
	throw new SystemError(
		errno.EINVAL,
		"WASI",
		"the instance does not export its memory: pass it to finalizeBindings",
	);
}

/** The entry of a program, which a library does not have. */
export function entryOf(instance: WasmInstance): () => unknown {
	const { _start, _initialize } = instance?.exports ?? {};
	if (typeof _start === "function" && _initialize === undefined) return _start as () => unknown;
	throw new SystemError(
		errno.EINVAL,
		"WASI",
		_initialize === undefined
			? "the module does not export _start"
			: "the module is a library: use initialize",
	);
}
