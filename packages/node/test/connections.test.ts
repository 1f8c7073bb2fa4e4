// Ten thousand connections through one kqueue, with nothing left behind.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Socket } from "node:net";
import { acceptNow } from "@kqpoll/files";
import {
	close,
	EV_ADD,
	EV_DELETE,
	EV_EOF,
	EVFILT_READ,
	eventList,
	type Kevent,
	type KeventChange,
	kevent,
	readNow,
	writeNow,
} from "@kqpoll/kqueue";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openServer } from "../src/index.ts";
import { gone, listenerCounts, listening, pause, world } from "./world.ts";

/** How many connections. The other ends are in another program, with descriptors of its own. */
const MANY = 10_000;

/** Connects that often, sends a line each, and ends when all have been answered and closed. */
const CLIENTS = `
const { connect } = require("node:net");
const [port, many] = process.argv.slice(1).map(Number);
let left = many, begun = 0, answered = 0;
const begin = () => {
	const id = begun++;
	const socket = connect(port, "127.0.0.1", () => {
		socket.write("from " + id);
		if (begun < many) begin();
	});
	socket.on("data", (chunk) => { if (String(chunk) === "from " + id) answered++; });
	socket.on("error", (error) => { console.error(error); process.exit(1); });
	socket.on("close", () => { if (--left === 0) console.log(answered); });
};
for (let i = 0; i < 100; i++) begin();
`;

/** How many descriptors this program may have open, found out by asking a child. */
async function openFiles(): Promise<number> {
	const shell = spawn("sh", ["-c", "ulimit -n"], { stdio: ["ignore", "pipe", "ignore"] });
	const [line] = await once(shell.stdout, "data");
	const limit = Number(String(line));
	return Number.isNaN(limit) ? Number.POSITIVE_INFINITY : limit;
}

test("ten thousand connections through one kqueue leave nothing behind", async () => {
	const many = Math.min(MANY, (await openFiles()) - 200);
	if (many < MANY) console.log(`only ${many} connections: the limit of open files is lower`);
	const w = world({ maxfiles: 20_000, diagnostics: false });
	const { thread, kq } = w;
	const [server, port] = await listening();
	const sockets: Socket[] = [];
	server.on("connection", (socket) => sockets.push(socket));
	// A platform may take more of them in one turn than wait by default.
	const listener = openServer(thread, server, { backlog: many });
	const program = ["-e", CLIENTS, String(port), String(many)];
	const clients = spawn(process.execPath, program, { stdio: ["ignore", "pipe", "inherit"] });
	const answered = once(clients.stdout, "data");

	const events = eventList(256);
	const buffer = new Uint8Array(64);
	const changes: KeventChange[] = [{ ident: listener, filter: EVFILT_READ, flags: EV_ADD }];
	const lines = new Map<number, Uint8Array>();
	let open = 0;
	let most = 0;
	const handle = ({ ident, data, flags }: Kevent): void => {
		if (ident === listener) {
			for (let i = 0; i < data; i++) {
				const fd = acceptNow(thread, ident);
				changes.push({ ident: fd, filter: EVFILT_READ, flags: EV_ADD });
				most = Math.max(most, ++open);
			}
			return;
		}
		const n = readNow(thread, ident, buffer);
		if (n > 0) lines.set(ident, buffer.slice(0, n));
		assert.is(flags & EV_EOF, 0);
	};
	while (lines.size < many) {
		const n = await kevent(thread, kq, changes.splice(0), events, null);
		for (let i = 0; i < n; i++) handle(events[i] as Kevent);
	}
	assert.equal([open, most, sockets.length], [many, many, many]);
	for (const [fd, line] of lines) {
		writeNow(thread, fd, line);
		close(thread, fd);
	}
	assert.is(Number(String((await answered)[0])), many);
	changes.push({ ident: listener, filter: EVFILT_READ, flags: EV_DELETE });
	assert.is(await kevent(thread, kq, changes, events, { sec: 0, nsec: 1 }), 0);
	close(thread, listener);
	while (!sockets.every((socket) => socket.closed)) await pause();
	await gone(sockets.at(-1) as Socket);
	const own = JSON.stringify(listenerCounts(new Socket()));
	const left = sockets.map((socket) => JSON.stringify(listenerCounts(socket)));
	assert.equal([new Set(left), [...thread.process.fdp.open()]], [new Set([own]), [kq]]);
	assert.equal(listenerCounts(server), { connection: 1 });
});

test.run();
