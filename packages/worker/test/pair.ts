// Two machines with the same guest: one calls the functions of WASI itself, the other by a mailbox.
import { mkdir, pipe, Tree } from "@kqpoll/files";
import { Kernel } from "@kqpoll/kqueue";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { WASI } from "@kqpoll/wasi";
import { CAPACITY, Mailbox } from "../src/abi/mailbox.ts";
import { FUNCTIONS } from "../src/abi/signatures.ts";
import { Exchange, type Value } from "../src/guest/exchange.ts";
import { importsOf } from "../src/guest/imports.ts";
import { GuestMemory } from "../src/guest/memory.ts";
import { Service } from "../src/host/service.ts";
import { stringsOf } from "../src/host/strings.ts";

/** How large the memory of the guest is. */
export const SIZE: number = 65_536;

/** A machine in virtual time, with a guest that never sleeps. */
function machine(): WASI {
	const host = new VirtualHost({ epoch: Date.UTC(2026, 0, 1) });
	const { main } = new Kernel({ host, diagnostics: true }).spawn();
	const tree = new Tree();
	mkdir(main, tree, "/docs", 0o755);
	const [stdin, output] = pipe(main);
	return new WASI({
		thread: main,
		args: ["guest", "one"],
		env: { HOME: "/" },
		stdin,
		stdout: output,
		stderr: output,
		preopens: { "/": tree },
		mode: "now",
	});
}

/** One side: the memory of a guest, and its imports. */
export interface Side {
	readonly memory: Uint8Array;
	readonly wasi: WASI;
	/** Calls a function. */
	call(name: string, ...values: Value[]): number;
}

/** The side that calls the functions itself. */
export function direct(wasi: WASI = machine()): Side {
	const buffer = new ArrayBuffer(SIZE);
	wasi.finalizeBindings({ exports: { memory: { buffer } } });
	return {
		memory: new Uint8Array(buffer),
		wasi,
		call: (name, ...values) => wasi.functions[name]?.(...values) as number,
	};
}

/** The side whose calls go through a mailbox; `posted` is called for each. */
export function mailed(
	posted: () => void = () => {},
	wasi: WASI = machine(),
	size: number = SIZE,
	origin: number | null = null,
): Side {
	const buffer = new ArrayBuffer(size);
	let failure: unknown = null;
	const service = new Service(wasi, Mailbox.make(CAPACITY), (error) => {
		failure = error;
	});
	wasi.finalizeBindings({ exports: {} }, { memory: service.memory });
	const { functions } = wasi;
	const args = stringsOf(service.memory, functions["args_sizes_get"], functions["args_get"]);
	const env = stringsOf(service.memory, functions["environ_sizes_get"], functions["environ_get"]);
	const memory = new GuestMemory();
	memory.memory = { buffer };
	// The worker has views of its own.
	const mailbox = new Mailbox(service.mailbox.buffer);
	const exchange = new Exchange(memory, mailbox, (larger) => {
		posted();
		service.serve(larger as SharedArrayBuffer | null);
		if (failure !== null) throw failure;
	});
	const imports = importsOf(FUNCTIONS, { args, env, origin }, memory, exchange);
	return {
		memory: new Uint8Array(buffer),
		wasi,
		call: (name, ...values) => imports[name]?.(...values) as number,
	};
}
