// How a spawned guest runs: on this thread of the platform, blocking it or being suspended.
import { errno, SystemError, type Thread } from "@kqpoll/kqueue";
import { isDrivable, show } from "@kqpoll/kqueue/kernel";
import type { WaitMode } from "./guest/guest.ts";
import { canSuspend, instantiate, instantiateNow, promising, type WasmModule } from "./platform.ts";
import { cannotBlock, cannotSuspend, entryOf, type WASI } from "./wasi.ts";

/**
 * Runs guests in a way of its own, in workers for example. `spawn` takes one as its mode.
 */
export interface Runner {
	/** How the calls of its guests wait. */
	readonly mode: WaitMode;
	/**
	 * Instantiates a program, and calls its `_start`. Returns or resolves when that has returned, and
	 * throws or rejects with what that throws: {@link ProcessExit} when the process has ended, which
	 * `onThreadExit` tells while the guest does not make a call. {@link NotStarted} if the program
	 * cannot begin.
	 */
	run(module: WasmModule, wasi: WASI): void | Promise<void>;
}

/** A program that cannot begin: it does not fit to what it is to import, or is not a program. */
export class NotStarted extends Error {
	/** The name of the class. */
	override readonly name = "NotStarted";
}

/** Runs guests that block this thread of the platform. */
const syncRunner: Runner = {
	mode: "sync",
	run(module, wasi) {
		const instance = before(() => {
			const made = instantiateNow(module, wasi.getImportObject());
			wasi.finalizeBindings(made);
			return made;
		});
		before(() => entryOf(instance))();
	},
};

/* c8 ignore start: with JSPI only, which the Node that measures may not have */
/** Runs guests that are suspended while they sleep. */
const jspiRunner: Runner = {
	mode: "jspi",
	async run(module, wasi) {
		const instance = await instantiate(module, wasi.getImportObject()).catch(notStarted);
		const entry = before(() => {
			wasi.finalizeBindings(instance);
			return promising(entryOf(instance));
		});
		await entry();
	},
};
/* c8 ignore stop */

function before<T>(act: () => T): T {
	try {
		return act();
	} catch (error) {
		return notStarted(error);
	}
}

function notStarted(error: unknown): never {
	throw new NotStarted(error instanceof Error ? error.message : String(error), { cause: error });
}

/** The runner of a mode; without one the best that there is. Errors: EINVAL, ENOTSUP. */
export function runnerOf(mode: "sync" | "jspi" | Runner | undefined, { kernel }: Thread): Runner {
	const { host } = kernel;
	const blocks = isDrivable(host) && host.mayBlock;
	switch (mode) {
		case undefined:
			if (canSuspend()) return jspiRunner;
			if (blocks) return syncRunner;
			throw new SystemError(
				errno.ENOTSUP,
				"spawn",
				"the platform cannot suspend guests, and the machine's host cannot block: pass a runner as mode",
			);
		case "sync":
			if (blocks) return syncRunner;
			throw cannotBlock("spawn");
		case "jspi":
			if (canSuspend()) return jspiRunner;
			throw cannotSuspend("spawn");
		default:
			if (typeof mode?.run === "function") return mode;
			throw new SystemError(errno.EINVAL, "spawn", `mode ${show(mode)} is not a runner`);
	}
}
