// What the guests are asked to do, and what has to come of it: the same on every platform and in every
// mode. All scenes are played in virtual time.
import {
	bind,
	connect,
	getsockname,
	listen,
	openNow,
	openpty,
	pipe,
	recvNow,
	sendNow,
	shutdown,
	socket,
	Tree,
	tcgetattr,
	tcsetattrNow,
} from "@kqpoll/files";
import { O_CREAT, O_RDWR } from "@kqpoll/files/fcntl";
import { SHUT_WR } from "@kqpoll/files/socket";
import { ECHO, ICANON, TCSANOW } from "@kqpoll/files/termios";
import { close, kill, lseek, type Thread, writeNow } from "@kqpoll/kqueue";
import { SIGKILL, SIGTERM } from "@kqpoll/kqueue/signal";
import { SEEK_SET } from "@kqpoll/kqueue/unistd";
import { Machine, type Mode, type Result, start } from "./guest.ts";
import { expectedHere } from "./linux.ts";
import { makeRig } from "./rig.ts";

/** Where modules and recorded texts come from. */
export interface Library {
	/** A guest's module, compiled. */
	module(name: string): object;
	/** A file of guests/expected. */
	text(file: string): string;
}

/** A scene: plays it, and returns what was printed. */
export interface Scene {
	play(library: Library, mode: Mode): Promise<string>;
	/** What it must return. */
	expected(library: Library): string;
}

const encoder = new TextEncoder();

/** All that a guest has left, as a text. */
function show({ stdout, stderr, ended }: Result): string {
	const errors = stderr === "" ? "" : `stderr: ${stderr}`;
	return `${stdout}${errors}${ended === "status 0" ? "" : `${ended}\n`}`;
}

function rows(guest: string): Scene {
	return {
		play: ({ module }, mode) =>
			new Machine().run(async (thread) => {
				const descriptors = await makeRig(thread);
				return show(await start(thread, module(guest), { args: [guest], descriptors, mode }).end());
			}),
		expected: ({ text }) => expectedHere(guest, text(`${guest}.linux.txt`)),
	};
}

/** A scene whose result is recorded under its own name. */
function recorded(name: string, play: Scene["play"]): Scene {
	return { play, expected: ({ text }) => text(`${name}.txt`) };
}

const files: Scene = {
	play: ({ module }, mode) =>
		new Machine().run(async (thread) => {
			const preopens = { "/": new Tree() };
			return show(await start(thread, module("files"), { args: ["files"], preopens, mode }).end());
		}),
	expected: ({ text }) => expectedHere("files", text("files.linux.txt")),
};

/** Standard input for one of the 17 cases. */
function inputOf(thread: Thread, number: number): number {
	const bytes = encoder.encode("hello");
	if (number === 17) {
		const fd = openNow(thread, new Tree(), "/five", O_RDWR | O_CREAT, 0o644);
		writeNow(thread, fd, bytes);
		lseek(thread, fd, 0, SEEK_SET);
		return fd;
	}
	const [reader, writer] = pipe(thread);
	if ([11, 12, 13, 16].includes(number)) writeNow(thread, writer, bytes);
	if (number === 15) close(thread, writer);
	return reader;
}

const cases: Scene = {
	async play({ module }, mode) {
		const lines: string[] = [];
		for (let number = 1; number <= 17; number++) {
			const result = await new Machine().run((thread) => {
				const args = ["stdio-cases", String(number)];
				const stdin = inputOf(thread, number);
				return start(thread, module("stdio-cases"), { args, stdin, mode }).end();
			});
			lines.push(`${number}: ${show(result) || "correct"}`);
		}
		return lines.join("\n");
	},
	expected: () => Array.from({ length: 17 }, (_, i) => `${i + 1}: correct`).join("\n"),
};

const nap = recorded("nap", ({ module }, mode) =>
	new Machine().run(async (thread) =>
		show(await start(thread, module("nap"), { args: ["nap", "exact"], mode }).end()),
	),
);

const hours = recorded("hours", ({ module }, mode) => {
	const machine = new Machine();
	return machine.run(async (thread) => {
		const [stdin, writer] = pipe(thread);
		const say = (minutes: number, text: string): void =>
			machine.at(minutes * 60_000, () => void writeNow(thread, writer, encoder.encode(text)));
		say(90, "half past one\n");
		say(180, "three sharp\n");
		say(200.5, "two lines\nat once\n");
		machine.at(23.25 * 3_600_000, () => close(thread, writer));
		return show(await start(thread, module("hours"), { args: ["hours"], stdin, mode }).end());
	});
});

/** A producer fills a pipe, and a consumer empties it. */
function pipeline(lines: string, pause: string): Scene {
	return {
		play: ({ module }, mode) =>
			new Machine().run(async (thread) => {
				const [stdin, stdout] = pipe(thread);
				const args = ["producer", lines, pause];
				const producer = start(thread, module("producer"), { args, stdout, mode });
				const consumer = start(thread, module("consumer"), { args: ["consumer"], stdin, mode });
				return show(await producer.end()) + show(await consumer.end());
			}),
		expected: () => `${lines} lines, none missing\n`,
	};
}

const pager = recorded("pager", ({ module }, mode) => {
	const machine = new Machine();
	return machine.run(async (thread) => {
		const [master, stdin] = openpty(thread);
		const settings = tcgetattr(thread, stdin);
		const raw = { ...settings, lflag: settings.lflag & ~(ICANON | ECHO) };
		tcsetattrNow(thread, stdin, TCSANOW, raw);
		const [text, writer] = pipe(thread);
		const type = (ms: number, key: string): void =>
			machine.at(ms, () => void writeNow(thread, master, encoder.encode(key)));
		const lines = Array.from({ length: 9 }, (_, i) => `line ${i + 1}\n`).join("");
		machine.at(10, () => void writeNow(thread, writer, encoder.encode(lines)));
		type(20, " ");
		type(30, " ");
		machine.at(2500, () => close(thread, writer));
		type(2600, "b");
		type(2700, "q");
		const options = { args: ["pager", "5", "20"], stdin, descriptors: [text], mode };
		const result = await start(thread, module("pager"), options).end();
		return show(result).replaceAll("\x1b[H\x1b[2J", "\n----\n");
	});
});

/** A client of the chat, in the hands of a script. */
class Client {
	private readonly thread: Thread;
	private readonly fd: number;

	private constructor(thread: Thread, fd: number) {
		this.thread = thread;
		this.fd = fd;
	}

	static async dial(thread: Thread, port: number): Promise<Client> {
		const fd = socket(thread, "inet", "stream");
		await connect(thread, fd, port);
		return new Client(thread, fd);
	}

	say(text: string): void {
		sendNow(this.thread, this.fd, encoder.encode(text));
	}

	end(): void {
		shutdown(this.thread, this.fd, SHUT_WR);
	}

	/** All that has come, in lines that begin with its name. */
	transcript(name: string): string {
		const buffer = new Uint8Array(65_536);
		const n = recvNow(this.thread, this.fd, buffer);
		return new TextDecoder().decode(buffer.subarray(0, n)).replace(/^(?=.)/gm, `${name}: `);
	}
}

const chat = recorded("chat", ({ module }, mode) => {
	const machine = new Machine();
	return machine.run(async (thread) => {
		const others = machine.kernel.spawn().main;
		const listener = socket(thread, "inet", "stream");
		bind(thread, listener, 0);
		listen(thread, listener, 16);
		const port = Number(getsockname(thread, listener));
		const [ann, bob] = [await Client.dial(others, port), await Client.dial(others, port)];
		const server = start(thread, module("chat"), { args: ["chat"], descriptors: [listener], mode });
		const script: readonly (() => void)[] = [
			() => ann.say("what?\nann\n"),
			() => bob.say("ann\nbo"),
			() => bob.say("b\r\n"),
			() => ann.say("hello\n/nothing\n\nhello again\n"),
			() => bob.say("bye\n/quit\nafter the end\n"),
			() => ann.end(),
			() => kill(thread, server.pid, SIGTERM),
		];
		for (const [i, act] of script.entries()) machine.at(10 * (i + 1), act);
		const result = await server.end();
		return ann.transcript("ann") + bob.transcript("bob") + show(result);
	});
});

/** A way to end, and a signal that is sent to the guest from outside. */
interface End {
	readonly command: string;
	readonly signal?: number;
	/** When it is sent, in milliseconds. */
	readonly after?: number;
}

const ENDS: readonly End[] = [
	...["exit 0", "exit 7", "exit 255", "raise 15", "raise 9", "raise 0", "raise 99"],
	...["handle", "abort", "trap", "divide 0", "write"],
]
	.map((command): End => ({ command }))
	.concat([
		{ command: "sleep", signal: SIGTERM, after: 10 },
		{ command: "sleep", signal: SIGKILL, after: 10 },
		{ command: "read", signal: SIGTERM, after: 10 },
		// While a guest does not sleep no virtual time passes.
		{ command: "spin", signal: SIGTERM, after: 0 },
		{ command: "spin", signal: SIGKILL, after: 0 },
	]);

/** Plays an end on a machine of its own. */
function end(module: object, { command, signal, after = 0 }: End, mode: Mode): Promise<Result> {
	const machine = new Machine();
	return machine.run((thread) => {
		const [reader, writer] = pipe(thread);
		const args = ["signals", ...command.split(" ")];
		// A guest that writes has no reader; the others have an input on which nothing comes.
		const stream = command === "write" ? { stdout: writer } : { stdin: reader };
		const guest = start(thread, module, { args, mode, ...stream });
		if (command === "write") close(thread, reader);
		if (signal !== undefined) machine.at(after, () => kill(thread, guest.pid, signal));
		return guest.end();
	});
}

const signals = recorded("signals", async ({ module }, mode) => {
	const lines: string[] = [];
	for (const each of ENDS) {
		const result = await end(module("signals"), each, mode);
		const sent = each.signal === undefined ? "" : `, signal ${each.signal} is sent`;
		// What a trap is called is the engine's business.
		const errors = result.stderr.replace(/RuntimeError: .*/, "RuntimeError");
		lines.push(`${each.command}${sent}: ${result.ended}`);
		for (const line of `${result.stdout}${errors}`.split("\n")) if (line) lines.push(`    ${line}`);
	}
	return `${lines.join("\n")}\n`;
});

/** The scenes by name. */
export const SCENES: Readonly<Record<string, Scene>> = {
	"polls are answered as on Linux": rows("poll-rows"),
	"selects are answered as on Linux": rows("select-rows"),
	"FIONREAD counts as on Linux": rows("fionread"),
	"steps with files go as on Linux": files,
	"the 17 plain cases of poll_oneoff are correct": cases,
	"naps take the time that they should": nap,
	"a poll loop keeps a log for a day": hours,
	"a producer and a consumer share a pipe": pipeline("200", "0"),
	"a pager waits for text and keys": pager,
	"a chat server serves its clients": chat,
	"guests end in every way that there is": signals,
};

/** Scenes of several guests that sleep in turn: not for guests that block the platform's thread. */
export const TOGETHER: Readonly<Record<string, Scene>> = {
	"a consumer waits for a slow producer": pipeline("50", "20"),
	"a producer waits for room in a pipe": pipeline("20000", "0"),
};
