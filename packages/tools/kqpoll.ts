// Runs the command kqpoll from its sources. Relative paths begin where npm was called.
import { main, realWorld } from "@kqpoll/cli";

process.exitCode = await main(
	process.argv.slice(2),
	realWorld(process.env["INIT_CWD"] ?? process.cwd()),
);
