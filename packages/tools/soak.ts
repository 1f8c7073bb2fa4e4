// npm run soak: makes and ends things a million times, and looks at what is left of them.
import { Command } from "./command.ts";
import { soakOptions, USAGE } from "./soak/options.ts";

async function main(): Promise<number> {
	const options = new Command("soak", USAGE).parse(soakOptions);
	// The engine is loaded only now: an argument that is wrong shows at once.
	const { soak } = await import("./soak/soak.ts");
	let kinds = 0;
	let leaks = 0;
	for await (const { name, before, after, counts, leaks: leaking } of soak(options)) {
		kinds++;
		if (leaking) leaks++;
		const heap = `${kib(before)} -> ${kib(after)} KiB`;
		const verdict = leaking ? "LEAKS" : "ok";
		console.log(
			`${verdict.padEnd(6)}${name.padEnd(36)} ${heap}${counts === null ? "" : `, ${counts}`}`,
		);
	}
	console.log(`${kinds} kinds, ${options.cycles} cycles each, ${leaks} leak`);
	return leaks === 0 ? 0 : 1;
}

function kib(bytes: number): number {
	return Math.round(bytes / 1024);
}

process.exitCode = await main();
