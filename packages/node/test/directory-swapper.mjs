// A child process of a test: in a real directory, turns names into links that lead out and back again.
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [folder, outside] = process.argv.slice(2);
const at = (name) => join(folder, name);
mkdirSync(at("real"));
mkdirSync(at("real/sub"));
writeFileSync(at("real/secret"), "inside");
writeFileSync(at("real/sub/secret"), "inside");
symlinkSync(outside, at("link"));
writeFileSync(at("plain"), "inside");
symlinkSync(join(outside, "secret"), at("plain-link"));
symlinkSync(outside, at("real/sub-link"));
process.send?.("ready");

/** Swaps what two names stand for. */
function swap(one, other) {
	renameSync(at(one), at(`${one}-away`));
	renameSync(at(other), at(one));
	renameSync(at(`${one}-away`), at(other));
}

let going = true;
process.on("message", () => {
	going = false;
});
function some() {
	for (let i = 0; i < 200; i++) {
		swap("real", "link");
		swap("real", "link");
		swap("plain", "plain-link");
		swap("plain", "plain-link");
		swap("real/sub", "real/sub-link");
		swap("real/sub", "real/sub-link");
	}
	if (going) setImmediate(some);
	else {
		rmSync(folder, { recursive: true });
		process.disconnect?.();
	}
}
some();
