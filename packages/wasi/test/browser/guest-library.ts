// The modules of the guests and the recorded texts, as a page has them: in its own bundle.

import type { Mode } from "../guest.ts";
import chat from "../guests/chat.wasm";
import consumer from "../guests/consumer.wasm";
import chatText from "../guests/expected/chat.txt";
import filesText from "../guests/expected/files.linux.txt";
import fionreadText from "../guests/expected/fionread.linux.txt";
import hoursText from "../guests/expected/hours.txt";
import napText from "../guests/expected/nap.txt";
import pagerText from "../guests/expected/pager.txt";
import pollRowsText from "../guests/expected/poll-rows.linux.txt";
import selectRowsText from "../guests/expected/select-rows.linux.txt";
import signalsText from "../guests/expected/signals.txt";
import files from "../guests/files.wasm";
import fionread from "../guests/fionread.wasm";
import hours from "../guests/hours.wasm";
import nap from "../guests/nap.wasm";
import pager from "../guests/pager.wasm";
import pollRows from "../guests/poll-rows.wasm";
import producer from "../guests/producer.wasm";
import selectRows from "../guests/select-rows.wasm";
import signals from "../guests/signals.wasm";
import stdioCases from "../guests/stdio-cases.wasm";
import { type Library, SCENES, type Scene, TOGETHER } from "../scenes.ts";
import type { Result } from "./results.ts";

const MODULES: Readonly<Record<string, Uint8Array<ArrayBuffer>>> = {
	chat,
	consumer,
	files,
	fionread,
	hours,
	nap,
	pager,
	"poll-rows": pollRows,
	producer,
	"select-rows": selectRows,
	signals,
	"stdio-cases": stdioCases,
};

const TEXTS: Readonly<Record<string, string>> = {
	"chat.txt": chatText,
	"files.linux.txt": filesText,
	"fionread.linux.txt": fionreadText,
	"hours.txt": hoursText,
	"nap.txt": napText,
	"pager.txt": pagerText,
	"poll-rows.linux.txt": pollRowsText,
	"select-rows.linux.txt": selectRowsText,
	"signals.txt": signalsText,
};

const compiled = new Map<string, WebAssembly.Module>();

/** Compiles all modules: a page may do that only without waiting for it. */
async function compileAll(): Promise<void> {
	for (const [name, bytes] of Object.entries(MODULES))
		compiled.set(name, await WebAssembly.compile(bytes));
}

const LIBRARY: Library = {
	module: (name) => compiled.get(name) as WebAssembly.Module,
	text: (file) => TEXTS[file] as string,
};

/** Plays all scenes of guests in a mode. */
export async function playAll(mode: Mode): Promise<Result[]> {
	await compileAll();
	const scenes: Readonly<Record<string, Scene>> =
		mode === "sync" ? SCENES : { ...SCENES, ...TOGETHER };
	const results: Result[] = [];
	for (const [name, scene] of Object.entries(scenes))
		results.push({ name: `${mode}: ${name}`, error: await failure(scene, mode) });
	return results;
}

/** What goes wrong in a scene, null if nothing does. */
async function failure(scene: Scene, mode: Mode): Promise<string | null> {
	try {
		const played = await scene.play(LIBRARY, mode);
		return played === scene.expected(LIBRARY) ? null : `it prints\n${played}`;
	} catch (error) {
		return error instanceof Error ? `${error.stack}` : String(error);
	}
}
