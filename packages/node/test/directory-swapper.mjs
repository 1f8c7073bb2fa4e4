// A child process of a test: in a real directory, turns names into links that lead out and back again.
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [folder, outside] = process.argv.slice(2);
const at = (name) => join(folder, name);
mkdirSync(at("real/sub"), { recursive: true });
for (const name of ["real/secret", "real/sub/secret", "plain"]) writeFileSync(at(name), "inside");
symlinkSync(outside, at("link"));
symlinkSync(join(outside, "secret"), at("plain-link"));
symlinkSync(outside, at("real/sub-link"));

/** Lets a link take the place of a name for a moment. As little time as possible there is neither. */
function swap(name, link) {
	const [there, away, lead] = [at(name), at(`${name}-away`), at(link)];
	renameSync(there, away);
	renameSync(lead, there);
	for (const end = process.hrtime.bigint() + 20_000n; process.hrtime.bigint() < end; );
	renameSync(there, lead);
	renameSync(away, there);
	for (const end = process.hrtime.bigint() + 20_000n; process.hrtime.bigint() < end; );
}

let going = true;
process.on("message", () => {
	going = false;
});

function some() {
	for (let i = 0; i < 300; i++) swap("real", "link");
	for (let i = 0; i < 50; i++) swap("plain", "plain-link");
	for (let i = 0; i < 300; i++) swap("real/sub", "real/sub-link");
	if (going) setImmediate(some);
	else {
		rmSync(folder, { recursive: true });
		process.disconnect();
	}
}

process.send("ready");
some();
