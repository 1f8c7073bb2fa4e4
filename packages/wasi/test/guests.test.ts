// The guests in C, in every mode that the platform has.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { LIBRARY, MODES } from "./library.ts";
import { SCENES, TOGETHER } from "./scenes.ts";

for (const mode of MODES) {
	const scenes = mode === "sync" ? SCENES : { ...SCENES, ...TOGETHER };
	for (const [name, scene] of Object.entries(scenes))
		test(`${mode}: ${name}`, async () => {
			assert.is(await scene.play(LIBRARY, mode), scene.expected(LIBRARY));
		});
}

test.run();
