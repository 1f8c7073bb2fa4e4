// Memory that grows while a call sleeps: its results stand in the new memory.
import {
	bind,
	connectNow,
	listen,
	mkfifo,
	openNow,
	pipe,
	socket,
	socketpair,
	Tree,
} from "@kqpoll/files";
import { O_RDWR } from "@kqpoll/files/fcntl";
import { type Process, write } from "@kqpoll/kqueue";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { WASIOptions } from "../src/index.ts";
import { World } from "./world.ts";

const GROWS = 2e6;
const WAKES = 5e6;
const BYTES = new TextEncoder().encode("AB");

/** A guest that a part of the machine wakes 3 ms after its memory has grown. */
interface Scene {
	readonly world: World;
	/** Makes a call that sleeps, and waits for its end. */
	sleep(name: string, ...args: (number | bigint)[]): Promise<unknown>;
}

type Mode = "sync" | "promise";

/** `prepare` returns what the guest begins with, and what wakes it. */
function scene(mode: Mode, prepare: (process: Process) => [WASIOptions, () => void]): Scene {
	const world = new World((process) => {
		const [options, wake] = prepare(process);
		const { host } = process.kernel;
		host.setTimer(GROWS, () => void world.memory.grow(1));
		host.setTimer(WAKES, wake);
		return { ...options, mode };
	});
	const sleep = async (name: string, ...args: (number | bigint)[]): Promise<unknown> => {
		const answer = world.call[name]?.(...args);
		if (mode === "promise") world.host.advance(WAKES / 1e6);
		const error = await answer;
		assert.equal([error, world.host.now(), world.memory.buffer.byteLength], [0, WAKES, 131_072]);
		return error;
	};
	return { world, sleep };
}

for (const mode of ["sync", "promise"] as const) {
	test(`${mode}: poll_oneoff`, async () => {
		const { world, sleep } = scene(mode, ({ main }) => {
			const [stdin, far] = pipe(main);
			return [{ stdin }, () => void write(main.process.spawnThread(), far, BYTES)];
		});
		const [subscription, event, count] = [world.room(48), world.room(32), world.room(4)];
		world.view.setUint32(subscription, 77, true);
		world.view.setUint8(subscription + 8, 1);
		await sleep("poll_oneoff", subscription, event, 1, count);
		const type = world.view.getUint8(event + 10);
		assert.equal(
			[world.u32(count), world.u64(event), type, world.u64(event + 16)],
			[1, 77n, 1, 2n],
		);
	});

	test(`${mode}: sock_recv, into several pieces`, async () => {
		const { world, sleep } = scene(mode, ({ main }) => {
			const [near, far] = socketpair(main, "stream");
			return [{ descriptors: [near] }, () => void write(main.process.spawnThread(), far, BYTES)];
		});
		const [at, size, flags] = [world.room(8), world.room(4), world.room(4)];
		await sleep("sock_recv", 3, ...world.iovs([at, 1], [at + 4, 4]), 0, size, flags);
		assert.equal([world.u32(size), world.text(at, 1), world.text(at + 4, 1)], [2, "A", "B"]);
	});

	test(`${mode}: sock_accept`, async () => {
		const { world, sleep } = scene(mode, ({ main }) => {
			const listener = socket(main, "inet", "stream");
			bind(main, listener, 80);
			listen(main, listener, 5);
			const connect = (): void => {
				const client = main.kernel.spawn().main;
				try {
					connectNow(client, socket(client, "inet", "stream"), 80);
				} catch {
					// It goes on in the background.
				}
			};
			return [{ descriptors: [listener] }, connect];
		});
		const fd = world.room(4);
		await sleep("sock_accept", 3, 0, fd);
		assert.is(world.u32(fd), 4);
	});

	test(`${mode}: path_open of a fifo`, async () => {
		const tree = new Tree();
		const { world, sleep } = scene(mode, ({ main }) => {
			mkfifo(main, tree, "fifo");
			return [
				{ preopens: { "/": tree } },
				() => void openNow(main.kernel.spawn().main, tree, "fifo", O_RDWR),
			];
		});
		const fd = world.room(4);
		await sleep("path_open", 3, 0, ...world.put("fifo"), 0, 2n, 0n, 0, fd);
		assert.is(world.u32(fd), 4);
	});
}

test.run();
