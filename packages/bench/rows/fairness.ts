// fairness: for how long programs that are busy in our calls keep the platform from its turns.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import type { Figure } from "../footprint.ts";
import { programs } from "./busy-programs.ts";

/** What is allowed, in milliseconds, beyond the longest piece of work of the program. */
const BOUND = 50;

/** Sends the time to a port, every millisecond, from a process of its own. */
const CLOCK = `
const socket = require("node:net").connect(Number(process.argv[1]), "127.0.0.1");
socket.setNoDelay(true);
const time = Buffer.alloc(8);
setInterval(() => {
	time.writeDoubleLE(performance.timeOrigin + performance.now());
	socket.write(Buffer.from(time));
}, 1);
socket.on("close", () => process.exit());
socket.on("error", () => process.exit());`;

/** Milliseconds that have passed, and that this process has used the processor for. */
function clocks(): { wall: number; used: number } {
	const { user, system } = process.cpuUsage();
	return { wall: performance.now(), used: (user + system) / 1000 };
}

/**
 * Measures the longest time between two turns. Time in which the machine ran other processes does
 * not count: nobody in this one could have had a turn.
 */
class Probe {
	longest = 0;
	private last = clocks();

	tick(atMost = Number.POSITIVE_INFINITY): void {
		const now = clocks();
		const gap = Math.min(now.wall - this.last.wall, now.used - this.last.used, atMost);
		this.longest = Math.max(this.longest, gap);
		this.last = now;
	}
}

/** The longest gaps while one program runs, in milliseconds. */
interface Gaps {
	readonly timer: number;
	readonly immediate: number;
	readonly input: number;
	/** The longest piece of work of the program itself. */
	readonly own: number;
	/** How many pieces of work it did. */
	readonly pieces: number;
}

/** Runs a program for some time, even one that keeps the platform from ending it. */
async function measure(name: string, time: number, socket: Socket): Promise<Gaps> {
	let [own, pieces, stopped] = [0, 0, false];
	const deadline = performance.now() + time + 2000;
	const busy = {
		goes: () => !stopped && performance.now() < deadline,
		work(ms: number): void {
			pieces++;
			own = Math.max(own, ms);
			for (const end = performance.now() + ms; performance.now() < end; );
		},
	};
	const [timer, immediate, input] = [new Probe(), new Probe(), new Probe()];
	const hear = (bytes: Buffer): void => {
		const now = performance.timeOrigin + performance.now();
		if (bytes.length >= 8) input.tick(now - bytes.readDoubleLE(bytes.length % 8));
	};
	const again = (): void => {
		immediate.tick();
		if (!stopped) setImmediate(again);
	};
	again();
	socket.on("data", hear);
	const interval = setInterval(() => timer.tick(), 1);
	const begun = performance.now();
	const ends = programs[name]?.(busy);
	// How it prepares itself is a piece of work of its own too.
	own = Math.max(own, performance.now() - begun);
	await new Promise((resolve) => setTimeout(resolve, time));
	stopped = true;
	const ended = await Promise.race([
		Promise.resolve(ends).then(() => true),
		new Promise((resolve) => setTimeout(resolve, 2000, false)),
	]);
	if (!ended) throw new Error(`${name} does not end`);
	await new Promise((resolve) => setTimeout(resolve, 20));
	socket.off("data", hear);
	clearInterval(interval);
	return {
		timer: timer.longest,
		immediate: immediate.longest,
		input: input.longest,
		own,
		pieces,
	};
}

/** A connection from a process that sends the time, and what ends both. */
async function clockSocket(): Promise<{ socket: Socket; end: () => void }> {
	const server = createServer().listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as AddressInfo;
	const child = spawn(process.execPath, ["-e", CLOCK, String(port)], { stdio: "inherit" });
	const [socket] = (await once(server, "connection")) as [Socket];
	await once(socket, "data");
	const end = (): void => {
		socket.destroy();
		server.close();
		child.kill();
	};
	return { socket, end };
}

/**
 * The figures: for each program the longest gap beyond its own longest piece of work, as setTimeout,
 * setImmediate and a TCP connection saw it. Sets the status of this process to 1 if one is too long.
 */
export async function fairness(quick: boolean): Promise<Figure[]> {
	const { socket, end } = await clockSocket();
	const figures: Figure[] = [];
	try {
		for (const row of Object.keys(programs)) {
			const gaps = await measure(row, quick ? 150 : 1000, socket);
			const { timer, immediate, input, own, pieces } = gaps;
			const value = Math.max(0, Math.max(timer, immediate, input) - own);
			const seen = [timer, immediate, input].map((gap) => gap.toFixed(1)).join(", ");
			const what = `setTimeout, setImmediate, TCP: ${seen}; own ${own.toFixed(1)} (${pieces} pieces)`;
			figures.push({ row, what, value, unit: "ms beyond its own" });
			if (value <= BOUND) continue;
			console.error(`fairness: ${row}: ${value.toFixed(1)} ms of ${BOUND}`);
			process.exitCode = 1;
		}
	} finally {
		end();
	}
	return figures;
}
