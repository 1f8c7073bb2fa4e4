// RxJS over kevents in a browser: bytes with back-pressure, timers on the real clock, and what is left.
import { pipe } from "@kqpoll/files";
import { close, Kernel, read, type Thread, write } from "@kqpoll/kqueue";
import { kernelScheduler, kernelTimer, readBytes, writeBytes } from "@kqpoll/rxjs";
import { delay, fromEvent, lastValueFrom, map, of, reduce, take, takeUntil, toArray } from "rxjs";
import { assertEqual, type Result, run } from "./tests.ts";

const main = (): Thread => new Kernel().spawn().main;

/** What a thread's process still has. */
function left({ kernel, process, watches }: Thread): unknown[] {
	return [watches, process.fdp.firstKqueue, kernel.timeouts.size, kernel.sleepers];
}

const CLEAN = [null, null, 0, 0];

export const results: Result[] = await run({
	async "a megabyte goes through readBytes and writeBytes to a slow reader"() {
		const thread = main();
		const { process } = thread;
		const [from, source] = pipe(thread);
		const [sink, to] = pipe(thread);
		const moved = lastValueFrom(
			readBytes(thread, from).pipe(
				writeBytes(thread, to, { close: true }),
				reduce((sum, count) => sum + count, 0),
			),
		);
		const writer = process.spawnThread();
		const written = write(writer, source, new Uint8Array(1_000_000)).then(() =>
			close(writer, source),
		);
		const reader = process.spawnThread();
		const buffer = new Uint8Array(10_000);
		let got = 0;
		for (let n = 1; n > 0; got += n) n = await read(reader, sink, buffer);
		await written;
		assertEqual([await moved, got], [1_000_000, 1_000_000]);
		assertEqual(left(thread), CLEAN);
	},

	async "timers of the machine, and operators with its scheduler, go by the browser's clock"() {
		const thread = main();
		const began = performance.now();
		const ticks = kernelTimer(thread, 10).pipe(
			map(({ expirations }) => expirations),
			take(3),
			toArray(),
		);
		assertEqual((await lastValueFrom(ticks)).length, 3);
		await lastValueFrom(of(1).pipe(delay(20, kernelScheduler(thread.kernel))));
		const passed = performance.now() - began;
		if (passed < 49) throw new Error(`only ${passed} ms have passed`);
		assertEqual(left(thread), CLEAN);
	},

	async "an event of the page ends a subscription"() {
		const thread = main();
		const button = document.createElement("button");
		const ticks = kernelTimer(thread, 1).pipe(takeUntil(fromEvent(button, "click")), toArray());
		setTimeout(() => button.click(), 20);
		const events = await lastValueFrom(ticks);
		assertEqual(events.length > 0, true);
		assertEqual(left(thread), CLEAN);
	},
});
