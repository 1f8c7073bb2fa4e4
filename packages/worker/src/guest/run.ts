// Runs one guest in its worker; its calls go to the kernel.
import { Mailbox } from "../abi/mailbox.ts";
import type { Report, Told } from "../abi/messages.ts";
import { instantiate } from "../platform.ts";
import { Exchange } from "./exchange.ts";
import { importsOf } from "./imports.ts";
import { GuestMemory } from "./memory.ts";

/** Runs the guest, which asks by `post`, and returns how it ended. */
export function run(told: Told, post: (message: unknown) => void): Report {
	const memory = new GuestMemory();
	const exchange = new Exchange(memory, new Mailbox(told.mailbox), post);
	let entry: () => void;
	try {
		const imports = importsOf(told.functions, told, memory, exchange);
		const {
			memory: exported,
			_start,
			_initialize,
		} = instantiate(told.module, {
			[told.namespace]: imports,
		});
		if (typeof _start !== "function" || _initialize !== undefined)
			throw new Error(
				_initialize === undefined
					? "the module does not export _start"
					: "the module is a library, not a program",
			);
		if (typeof (exported as GuestMemory["memory"] | undefined)?.buffer !== "object")
			throw new Error("the module does not export its memory");
		memory.memory = exported as GuestMemory["memory"];
		entry = _start as () => void;
	} catch (error) {
		return { ended: "not started", ...inWords(error) };
	}
	try {
		entry();
	} catch (error) {
		return { ended: "failed", ...inWords(error) };
	}
	return { ended: "returned" };
}

function inWords(error: unknown): { name: string; message: string } {
	if (error instanceof Error) return { name: error.name, message: error.message };
	return { name: "Error", message: String(error) };
}
