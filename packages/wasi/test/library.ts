// The modules of the guests and the recorded texts, from the file system.
import { existsSync, readFileSync } from "node:fs";
import { canSuspend } from "../src/platform.ts";
import type { Mode } from "./guest.ts";
import type { Library } from "./scenes.ts";
import { Module } from "./webassembly.ts";

const modules = new Map<string, object>();

/** A guest's module, compiled once. */
export function moduleOf(name: string): object {
	let module = modules.get(name);
	if (module === undefined) {
		module = new Module(readFileSync(new URL(`guests/${name}.wasm`, import.meta.url)));
		modules.set(name, module);
	}
	return module;
}

/** Where the scenes take what they need. */
export const LIBRARY: Library = {
	module: moduleOf,
	text(file) {
		const url = new URL(`guests/expected/${file}`, import.meta.url);
		return existsSync(url) ? readFileSync(url, "utf8") : `${file} is missing`;
	},
};

/** The modes that the running platform has. */
export const MODES: readonly Mode[] = canSuspend() ? ["sync", "jspi"] : ["sync"];
