// pump: bytes through a pipe in pieces of 64 KiB.
import { PassThrough } from "node:stream";
import { pipe } from "@kqpoll/files";
import { close, Kernel, read, write } from "@kqpoll/kqueue";
import { type Contest, timedAsync } from "../contest.ts";

const PIECE = 65_536;

/** The contest: nanoseconds a kilobyte. */
export function pump(quick: boolean): Contest[] {
	const bytes = (quick ? 256 : 1024) * PIECE;
	const piece = new Uint8Array(PIECE).fill(7);
	return [
		{
			name: "pump",
			n: bytes,
			unit: "KiB",
			count: bytes / 1024,
			contestants: [
				{
					name: "pipe",
					run: () =>
						timedAsync(async () => {
							const process = new Kernel().spawn();
							const [r, w] = pipe(process.main);
							const writer = process.spawnThread();
							const writing = (async () => {
								for (let at = 0; at < bytes; at += PIECE) await write(writer, w, piece);
								close(writer, w);
							})();
							const buffer = new Uint8Array(PIECE);
							let got = 0;
							for (let n = 1; n > 0; got += n) n = await read(process.main, r, buffer);
							await writing;
							if (got !== bytes) throw new Error(`${got} bytes of ${bytes}`);
						}),
				},
				{
					name: "PassThrough",
					run: () =>
						timedAsync(async () => {
							const stream = new PassThrough();
							const writing = (async () => {
								for (let at = 0; at < bytes; at += PIECE) {
									// A copy, as a pipe takes one: the writer may use the buffer again.
									if (!stream.write(Buffer.from(piece)))
										await new Promise((resolve) => stream.once("drain", resolve));
								}
								stream.end();
							})();
							let got = 0;
							for await (const chunk of stream) got += (chunk as Buffer).length;
							await writing;
							if (got !== bytes) throw new Error(`${got} bytes of ${bytes}`);
						}),
				},
			],
		},
	];
}
