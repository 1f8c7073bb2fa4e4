// What a guest in a worker imports.
import type { Local } from "../abi/messages.ts";
import type { Exchange, Value } from "./exchange.ts";
import { localOf } from "./local.ts";
import { type GuestMemory, Refusal } from "./memory.ts";
import { pollOf } from "./poll.ts";
import { TRANSFERS, transferOf } from "./transfer.ts";

/** The imports of those functions that the kernel has, by name. */
export function importsOf(
	functions: readonly string[],
	local: Local,
	memory: GuestMemory,
	exchange: Exchange,
): Record<string, (...values: Value[]) => number> {
	const known: Record<string, (...values: never[]) => number> = {
		...Object.fromEntries(TRANSFERS.map((name) => [name, transferOf(exchange, memory, name)])),
		...localOf(local, memory, exchange),
		poll_oneoff: pollOf(exchange, memory),
	};
	const imports = functions.map((name) => {
		const asked = (...values: Value[]): number => exchange.call(name, values);
		return [name, guarded((known[name] as typeof asked | undefined) ?? asked)];
	});
	return Object.fromEntries(imports);
}

/** The same function, which returns refusals. */
function guarded(fn: (...values: Value[]) => number): (...values: Value[]) => number {
	return (...values) => {
		try {
			return fn(...values);
		} catch (error) {
			if (error instanceof Refusal) return error.errno;
			throw error;
		}
	};
}
