// Runs programs of other toolchains as guests: Rust, with Debian's compiler, and Ruby, with the
// interpreter that npm has.
import { parseArgs } from "node:util";
import { Command, messageOf } from "./command.ts";
import type { Expectation, Mode } from "./toolchains/machine.ts";
import { ruby } from "./toolchains/ruby.ts";
import { rust } from "./toolchains/rust.ts";

const command = new Command(
	"toolchains",
	`usage: node --import tsx packages/tools/toolchains.ts [TOOLCHAIN...]

TOOLCHAIN  rust or ruby, by default both. rust installs rustc, libstd-rust-dev-wasm32 and lld-14 with
           apt-get; ruby installs packages of npm into node_modules/.cache/ruby`,
);

const MODES: readonly Mode[] =
	"Suspending" in (globalThis as unknown as { readonly WebAssembly: object }).WebAssembly
		? ["sync", "jspi"]
		: ["sync"];

/** The toolchains by name. */
const TOOLCHAINS: Readonly<Record<string, () => Generator<Expectation>>> = {
	rust: () => rust(MODES),
	ruby,
};

/** The toolchains that the arguments ask for. */
function wanted(args: string[]): readonly string[] {
	const { positionals } = parseArgs({ args, options: {}, allowPositionals: true });
	const unknown = positionals.find((name) => !Object.hasOwn(TOOLCHAINS, name));
	if (unknown !== undefined) throw new Error(`there is no toolchain ${unknown}`);
	return positionals.length > 0 ? positionals : Object.keys(TOOLCHAINS);
}

/** Runs a program; returns what is wrong, null if nothing is. */
async function problem({ play, expected }: Expectation): Promise<string | null> {
	try {
		const printed = await play();
		return printed === expected ? null : printed;
	} catch (error) {
		return messageOf(error);
	}
}

for (const name of command.parse(wanted)) {
	for (const each of TOOLCHAINS[name]?.() ?? []) {
		const found = await problem(each);
		console.log(`${found === null ? "ok  " : "FAIL"}  ${each.name}`);
		if (found === null) continue;
		console.log(found.replace(/^(?=.)/gm, "      "));
		process.exitCode = 1;
	}
}
