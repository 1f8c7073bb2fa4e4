// How TCP connections end for a reader that comes late: every byte that came before, then the end.
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { accept } from "@kqpoll/files";
import { POLLHUP, POLLIN, POLLOUT } from "@kqpoll/kqpoll";
import { close, EV_EOF, EVFILT_READ, read } from "@kqpoll/kqueue";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openServer, openSocket } from "../src/index.ts";
import { listening, outcome, pause, revents, until, type World, world } from "./world.ts";

const ALL = POLLIN | POLLOUT;

/** Around the sizes of the buffers: the receive buffer has 16,384 bytes, and Node's own as many. */
const SIZES = [1, 16_384, 16_385, 100_000];

/** How the other end ends a connection after it has sent everything. */
const ENDS: Readonly<Record<string, (peer: Socket) => void>> = {
	"half-close": (peer) => void peer.end(),
	close: (peer) => void peer.destroy(),
	reset: (peer) => void peer.resetAndDestroy(),
};

/** A descriptor on a machine of its own, its object, and the other end of its connection. */
interface Ends {
	readonly w: World;
	readonly fd: number;
	readonly mine: Socket;
	readonly peer: Socket;
}

/** Which end of the connection is ours. */
const SIDES: Readonly<Record<string, () => Promise<Ends>>> = {
	async client() {
		const w = world();
		const [server, port] = await listening(createServer({ allowHalfOpen: true }));
		const accepted = once(server, "connection");
		const mine = connect(port, "127.0.0.1");
		const fd = openSocket(w.thread, mine);
		const [peer] = (await accepted) as [Socket];
		server.close();
		return { w, fd, mine, peer };
	},
	async server() {
		const w = world();
		const [server, port] = await listening(createServer({ allowHalfOpen: true }));
		const accepted = once(server, "connection");
		const listener = openServer(w.thread, server);
		const peer = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
		const fd = await accept(w.thread, listener);
		const [mine] = (await accepted) as [Socket];
		close(w.thread, listener);
		return { w, fd, mine, peer };
	},
};

/** How much a reader takes at a time, and whether the platform has a turn after each read. */
const PACES: Readonly<Record<string, { size: number; turns: boolean }>> = {
	"in large reads": { size: 65_536, turns: false },
	"in small reads with turns between": { size: 997, turns: true },
	"in small reads": { size: 4096, turns: false },
};

/** The bytes that are sent: each place has its own. */
function pattern(size: number): Uint8Array {
	return Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 255);
}

/**
 * How many bytes Node takes from the system even if nobody reads them: one chunk of its own size,
 * and it stops when that is more than its buffer should hold.
 */
const TAKEN = 16_385;

/** Sends bytes, ends the connection, and waits until all that has arrived. */
async function sendAndEnd(
	{ mine, peer }: Ends,
	size: number,
	end: (peer: Socket) => void,
): Promise<void> {
	peer.on("error", () => {});
	await new Promise<unknown>((resolve) => peer.write(pattern(size), resolve));
	while (mine.bytesRead < Math.min(size, TAKEN)) await turn();
	end(peer);
	await pause(20);
}

/** Reads until the end: what came, and how each further read ended. */
async function readAll(
	{ w: { thread }, fd }: Ends,
	pace: { size: number; turns: boolean },
): Promise<[bytes: Uint8Array, ends: unknown[]]> {
	const chunks: Uint8Array[] = [];
	const ends: unknown[] = [];
	while (ends.length < 2) {
		const buffer = new Uint8Array(pace.size);
		const n = await outcome(read(thread, fd, buffer));
		if (typeof n === "number" && n > 0) chunks.push(buffer.subarray(0, n));
		else ends.push(n);
		if (pace.turns) await turn();
	}
	return [Buffer.concat(chunks), ends];
}

/** Says "hangs" when something does not end. */
function notForEver<T>(promise: Promise<T>): Promise<T | "hangs"> {
	let timer: ReturnType<typeof setTimeout> | undefined;
	const late = new Promise<"hangs">((resolve) => {
		timer = setTimeout(resolve, 10_000, "hangs");
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** One reader: what it sees of the connection, in one line. */
async function observe(
	side: () => Promise<Ends>,
	size: number,
	end: (peer: Socket) => void,
	pace: { size: number; turns: boolean },
): Promise<string> {
	const ends = await side();
	const { w, fd, peer } = ends;
	await sendAndEnd(ends, size, end);
	const ready = ((revents(w.thread, POLLIN, fd)[0] as number) & POLLIN) !== 0;
	const all = await notForEver(readAll(ends, pace));
	if (all === "hangs") return all;
	const [bytes, results] = all;
	const whole = Buffer.compare(bytes, pattern(size)) === 0;
	const [flags, fflags, data] = await until(w, { ident: fd, filter: EVFILT_READ });
	const last = revents(w.thread, ALL, fd)[0] as number;
	close(w.thread, fd);
	peer.destroy();
	return [
		ready ? "ready" : "not ready",
		whole ? "all bytes" : `${bytes.length} of ${size} bytes`,
		...results,
		flags === EV_EOF ? "EV_EOF" : `flags ${flags}`,
		`fflags ${fflags}, data ${data}`,
		(last & POLLHUP) !== 0 ? "POLLIN POLLHUP" : last === ALL ? "POLLIN POLLOUT" : last,
	].join(", ");
}

/** What follows the last byte. */
const END = "0, 0, EV_EOF, fflags 0, data 0, POLLIN POLLOUT";
/** The same after a reset. */
const RESET = "ECONNRESET, 0, EV_EOF, fflags 0, data 0, POLLIN POLLHUP";

for (const [side, open] of Object.entries(SIDES)) {
	for (const [name, end] of Object.entries(ENDS)) {
		test(`our end is the ${side}, the other ends by ${name}: all bytes, then the end`, async () => {
			const cases = SIZES.flatMap((size) =>
				Object.entries(PACES).map(([how, pace]) => ({ size, how, pace })),
			);
			const seen = await Promise.all(
				cases.map(async ({ size, how, pace }) => {
					return `${size} bytes ${how}: ${await observe(open, size, end, pace)}`;
				}),
			);
			const wanted = cases.map(({ size, how }, i) => {
				const line = `${size} bytes ${how}: ready, all bytes, `;
				// What Node finds out about a reset while bytes are still in the system may be an end.
				const unsure = name === "reset" && size > TAKEN && seen[i] === line + END;
				return line + (name === "reset" && !unsure ? RESET : END);
			});
			assert.equal(seen, wanted);
		});
	}
}

test.run();
