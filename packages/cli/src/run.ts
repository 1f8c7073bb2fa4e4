// Runs a program: makes a machine, starts the guest there, and waits for its end.
import { resolve } from "node:path";
import type { Tree } from "@kqpoll/files";
import {
	close,
	exit,
	Kernel,
	type Process,
	RealHost,
	SystemError,
	type Thread,
	waitpid,
	waitpidNow,
} from "@kqpoll/kqueue";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { forwardSignals } from "@kqpoll/node";
import { type SpawnOptions, spawn } from "@kqpoll/wasi";
import { workerRunner } from "@kqpoll/worker";
import { loadProgram } from "./module.ts";
import type { RunOptions } from "./options.ts";
import { CANNOT_RUN, Refusal } from "./refusal.ts";
import {
	checkDirectories,
	closeDirectories,
	listenOn,
	openDirectories,
	openTrace,
} from "./resources.ts";
import { exitStatus } from "./status.ts";
import { arrive, flush, openStreams, openVirtualStreams, readAll, type Streams } from "./stdio.ts";
import { canSuspend } from "./webassembly.ts";
import type { World } from "./world.ts";

/** What a signal to this process becomes. */
const FORWARDED: NodeJS.Signals[] = [
	"SIGHUP",
	"SIGINT",
	"SIGTERM",
	"SIGUSR1",
	"SIGUSR2",
	"SIGWINCH",
];

/** What there is before the guest starts. */
interface Machine {
	/** A thread of the process that starts the guest. */
	readonly main: Thread;
	/** Its listening sockets. */
	readonly listeners: readonly number[];
	readonly module: object;
}

/** Runs a program, and returns its exit status. */
export async function run(options: RunOptions, world: World): Promise<number> {
	const mode = modeOf(options);
	checkDirectories(options.directories, world);
	const trace = options.trace === undefined ? null : openTrace(options.trace, world);
	const host = options.virtual ? new VirtualHost() : new RealHost();
	const { main } = new Kernel({ host, ...(trace && { sink: trace.sink }) }).spawn();
	try {
		const listeners = await listenOn(main, options.ports, world);
		const module = await loadProgram(resolve(world.cwd, options.program), options.program);
		const machine: Machine = { main, listeners, module };
		const status =
			host instanceof VirtualHost
				? await runVirtually(options, world, machine, host)
				: await runReally(options, world, machine, mode);
		return exitStatus(status);
	} finally {
		if (main.state !== "exited") exit(main, 0);
		trace?.close();
	}
}

type Mode = NonNullable<SpawnOptions["mode"]>;

/** A guest that blocks needs a thread of its own: what it waits for comes to this one. */
function modeOf({ mode, virtual }: RunOptions): Mode {
	if (virtual) return "sync";
	if (mode === "jspi" && !canSuspend)
		throw new Refusal(
			`--mode jspi: Node ${process.versions.node} cannot suspend WebAssembly; use --mode sync`,
		);
	return mode !== "sync" && canSuspend ? "jspi" : workerRunner();
}

/** A guest that was started, and what it was started with. */
interface Started {
	readonly pid: number;
	/** Its trees, in which real directories may be mounted. */
	readonly trees: readonly Tree[];
}

function start(
	{ main, listeners, module }: Machine,
	options: RunOptions,
	world: World,
	stdio: Streams,
	mode: Mode,
): Started {
	const { program, args, env, directories } = options;
	try {
		const preopens = openDirectories(main, directories, world);
		const given = { args: [program, ...args], env, stdio, descriptors: listeners, preopens, mode };
		const pid = spawn(main, module, given);
		// They are the guest's: when it closes one, nobody listens any more.
		for (const fd of listeners) close(main, fd);
		return { pid, trees: Object.values(preopens) };
	} catch (error) {
		if (!(error instanceof SystemError)) throw error;
		throw new Refusal(`${program} cannot be started: ${error.message}`, CANNOT_RUN);
	}
}

/** The guest has ended: closes what was opened for it. */
function stop(main: Thread, { trees }: Started): void {
	closeDirectories(main, trees);
	exit(main, 0);
}

async function runReally(
	options: RunOptions,
	world: World,
	machine: Machine,
	mode: Mode,
): Promise<number> {
	const { main } = machine;
	const streams = openStreams(main, world);
	await arrive();
	const started = start(machine, options, world, streams, mode);
	const guest = main.kernel.processes.get(started.pid) as Process;
	// A program that is suspended runs in this thread: ^\ must end it if it never makes a call.
	const signals = mode === "jspi" ? FORWARDED : [...FORWARDED, "SIGQUIT" as const];
	const forwarding = forwardSignals(guest, signals);
	// A guest may wait for what only a signal will end.
	const alive = setInterval(() => {}, 2 ** 30);
	const { status } = await waitpid(main, started.pid);
	clearInterval(alive);
	stop(main, started);
	await Promise.all([flush(world.stdout), flush(world.stderr)]);
	forwarding.close();
	return status;
}

async function runVirtually(
	options: RunOptions,
	world: World,
	machine: Machine,
	host: VirtualHost,
): Promise<number> {
	const { main } = machine;
	const streams = openVirtualStreams(main, world, await readAll(world));
	const started = start(machine, options, world, streams, "sync");
	host.settle();
	const { status } = waitpidNow(main, started.pid) as { status: number };
	stop(main, started);
	return status;
}
