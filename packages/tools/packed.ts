// Type-checks packages/tools/packed/*.ts against the packages as they were packed, as a program that
// installed them does: what it should see is there, and what is the engine's own is not. Then runs a guest
// by the packed command.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { PACKED, packages } from "./workspace.ts";

const CONSUMER = join(PACKED, "consumer");
const PROGRAMS = "packages/tools/packed";

/** Runs a command, and ends with its status if it fails. */
function run(command: string, args: string[]): void {
	const { status } = spawnSync(command, args, { stdio: "inherit" });
	if (status !== 0) process.exit(status ?? 1);
}

rmSync(CONSUMER, { recursive: true, force: true });
for (const { name, manifest } of packages(".").filter((each) => !each.manifest.private)) {
	const folder = join(CONSUMER, "node_modules", manifest.name);
	mkdirSync(folder, { recursive: true });
	run("tar", ["-xzf", join(PACKED, `${name}.tgz`), "-C", folder, "--strip-components=1"]);
}
// What a program installs besides.
symlinkSync(resolve("packages/rxjs/node_modules/rxjs"), join(CONSUMER, "node_modules/rxjs"));
symlinkSync(resolve("node_modules/@types"), join(CONSUMER, "node_modules/@types"));
for (const program of readdirSync(PROGRAMS)) {
	copyFileSync(join(PROGRAMS, program), join(CONSUMER, program));
}
writeFileSync(
	join(CONSUMER, "tsconfig.json"),
	JSON.stringify({
		compilerOptions: {
			target: "es2022",
			lib: ["es2022", "dom"],
			module: "nodenext",
			types: ["node"],
			strict: true,
			skipLibCheck: false,
			noEmit: true,
		},
		include: ["*.ts"],
	}),
);
writeFileSync(join(CONSUMER, "package.json"), '{ "type": "module" }');
run("node_modules/.bin/tsc", ["-p", CONSUMER]);

// The command, as npm would link it.
const { bin } = packages(".").find(({ name }) => name === "cli")?.manifest ?? {};
const kqpoll = join(CONSUMER, "node_modules/@kqpoll/cli", bin?.["kqpoll"] ?? "");
run("node", [kqpoll, "run", "--mode", "sync", "packages/wasi/test/guests/nap.wasm"]);
