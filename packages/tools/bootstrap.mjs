// Installs the workspace with the pinned pnpm when it is not installed yet. Needs only Node and npm.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

const read = (path) => {
	try {
		return readFileSync(path, "utf8");
	} catch {
		return "";
	}
};

// pnpm keeps a copy of the lockfile it installed; equal copies mean nothing to do.
if (read("node_modules/.pnpm/lock.yaml") !== read("pnpm-lock.yaml")) {
	const { packageManager } = JSON.parse(read("package.json"));
	execFileSync("npx", ["--yes", packageManager, "install", "--frozen-lockfile"], {
		stdio: "inherit",
		shell: process.platform === "win32",
	});
}
