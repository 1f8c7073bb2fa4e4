// A program that runs guests in workers, and one that runs the command itself.
import { main as command, realWorld, type World } from "@kqpoll/cli";
import { Kernel, waitpid } from "@kqpoll/kqueue";
import { type Runner, spawn } from "@kqpoll/wasi";
import { workerRunner } from "@kqpoll/worker";

export async function guests(module: object): Promise<number> {
	const { main } = new Kernel().spawn();
	const mode: Runner = workerRunner();
	const { status } = await waitpid(main, spawn(main, module, { args: ["guest"], mode }));
	const world: World = { ...realWorld("/"), real: false };
	return status + (await command(["run", "guest.wasm"], world));
}
