// Every function that programs call, with each of its arguments replaced by what no honest program
// passes: it fails with an errno, or with the accessor's own error, and changes nothing.
import * as kqpoll from "@kqpoll/kqpoll";
import * as kqueue from "@kqpoll/kqueue";
import * as fcntl from "@kqpoll/kqueue/fcntl";
import * as ioctl from "@kqpoll/kqueue/ioctl";
import * as signal from "@kqpoll/kqueue/signal";
import * as stat from "@kqpoll/kqueue/stat";
import * as time from "@kqpoll/kqueue/time";
import * as uio from "@kqpoll/kqueue/uio";
import * as unistd from "@kqpoll/kqueue/unistd";
import * as wait from "@kqpoll/kqueue/wait";
import { test } from "uvu";
import * as assert from "uvu/assert";
import * as at from "../src/at.ts";
import * as filesFcntl from "../src/fcntl.ts";
import * as files from "../src/index.ts";
import * as sockets from "../src/socket.ts";
import * as termios from "../src/termios.ts";
import * as ttycom from "../src/ttycom.ts";
import { checkMachine, type Machine, machine } from "./machine.ts";

type Callable = (...args: never[]) => unknown;

const ENTRIES: readonly object[] = [
	kqueue,
	fcntl,
	ioctl,
	signal,
	stat,
	time,
	uio,
	unistd,
	wait,
	kqpoll,
	at,
	filesFcntl,
	files,
	sockets,
	termios,
	ttycom,
];

/** The functions that programs call, by name. Classes are not calls. */
const FUNCTIONS: ReadonlyMap<string, Callable> = new Map(
	ENTRIES.flatMap((entry) => Object.entries(entry)).filter(
		([, value]) => typeof value === "function" && !/^class\b/.test(String(value)),
	),
);

/** What an accessor throws. */
class Own extends Error {}

/** The descriptors of a world. */
type Fds = Readonly<
	Record<"r" | "w" | "a" | "b" | "master" | "slave" | "file" | "dir" | "unbound" | "kq", number>
>;

/** A machine with an open file of each kind. */
interface World extends Machine {
	readonly fds: Fds;
	readonly tree: files.Tree;
	readonly other: kqueue.Process;
}

function world(): World {
	const made = machine();
	const { thread, kernel } = made;
	const tree = new files.Tree();
	const [r, w] = files.pipe(thread);
	const [a, b] = files.socketpair(thread, "stream");
	const [master, slave] = files.openpty(thread);
	files.mkdir(thread, tree, "dir");
	const file = files.openNow(thread, tree, "file", filesFcntl.O_CREAT | filesFcntl.O_RDWR);
	const dir = files.openNow(thread, tree, "dir", filesFcntl.O_RDONLY);
	const unbound = files.socket(thread, "inet", "stream");
	const kq = kqueue.kqueue(thread);
	kqueue.writeNow(thread, w, new Uint8Array(3));
	files.sendNow(thread, b, new Uint8Array(3));
	return {
		...made,
		tree,
		other: kernel.spawn(),
		fds: { r, w, a, b, master, slave, file, dir, unbound, kq },
	};
}

/** The descriptor that a function is tried on. */
function fdFor(name: string, { fds }: World): number {
	if (/at$|atNow$|getdents/.test(name)) return fds.dir;
	if (/^(tc|isatty|login_tty)/.test(name)) return fds.slave;
	if (name === "ptsname") return fds.master;
	if (/^(bind|listen|connect)/.test(name)) return fds.unbound;
	if (/^(send|recv|accept|shutdown|get(sock|peer)|setsock)/.test(name)) return fds.a;
	if (/^(f(ch|tr|ut|sy|dat)|p(read|write)|lseek)/.test(name)) return fds.file;
	if (/write/.test(name)) return fds.w;
	return fds.r;
}

/** An honest argument, by the name of the parameter. */
const HONEST: Readonly<Record<string, (world: World, name: string) => unknown>> = {
	thread: ({ thread }) => thread,
	fd: (made, name) => fdFor(name, made),
	kq: ({ fds }) => fds.kq,
	nameFd: ({ fds }) => fds.dir,
	fromFd: ({ fds }) => fds.dir,
	toFd: ({ fds }) => fds.dir,
	pid: ({ other }) => other.pid,
	pgid: () => 0,
	target: (made, name) => (name === "threadKill" ? made.thread : "file"),
	tree: ({ tree }) => tree,
	fs: () => new files.Tree(),
	buffer: () => new Uint8Array(2),
	bytes: () => new Uint8Array(2),
	buffers: () => [new Uint8Array(1), new Uint8Array(1)],
	message: () => ({ bytes: new Uint8Array(2), fds: [] }),
	changelist: ({ fds }) => [{ ident: fds.r, filter: kqueue.EVFILT_READ, flags: kqueue.EV_ADD }],
	change: ({ fds }) => ({ ident: fds.r, filter: kqueue.EVFILT_READ }),
	kev: () => new kqueue.Kevent(),
	eventlist: () => kqueue.eventList(2),
	observer: () => ({ next() {}, error() {}, complete() {} }),
	fds: ({ fds }) => [{ fd: fds.r, events: kqpoll.POLLIN, revents: 0 }],
	nfds: () => 8,
	subscriptions: ({ fds }) => [
		{ type: "fd_read", fd: fds.r },
		{ type: "clock", timeout: 0, userdata: 1 },
	],
	readfds: ({ fds }) => new kqpoll.FdSet([fds.r]),
	writefds: () => null,
	exceptfds: () => null,
	set: (_world, name) => (/^FD_/.test(name) ? new kqpoll.FdSet() : 0),
	from: (_world, name) => (name === "FD_COPY" ? new kqpoll.FdSet() : "file"),
	to: (_world, name) => (name === "FD_COPY" ? new kqpoll.FdSet() : name === "dup2" ? 9 : "other"),
	timeout: (_world, name) => (/^poll/.test(name) ? 0 : { sec: 0, nsec: 0, usec: 0 }),
	time: () => ({ sec: 0, nsec: 1 }),
	remainder: () => ({ sec: 0, nsec: 0 }),
	sigmask: () => 0,
	mask: () => 0,
	signal: () => 0,
	signals: () => 1,
	action: (_world, name) => (/^tc/.test(name) ? termios.TCSANOW : signal.SIG_IGN),
	how: () => 1,
	options: () => ({}),
	promises: () => null,
	doorbell: () => new SharedArrayBuffer(4),
	file: () => new kqueue.SyntheticFile(),
	ident: () => 1,
	filter: () => -1,
	flags: () => 0,
	fflags: () => 0,
	data: () => 0,
	udata: () => null,
	number: () => 9,
	n: () => 2,
	status: () => 0,
	command: () => ioctl.FIONREAD,
	argument: () => 0,
	offset: () => 0,
	whence: () => 0,
	address: () => 80,
	path: () => "file",
	name: (_world, name) => (name === "openDevice" ? "null" : "link"),
	mode: () => 0o600,
	uid: () => 1,
	gid: () => 1,
	size: () => 4,
	times: () => null,
	atime: () => 1,
	mtime: () => 1,
	count: () => 2,
	level: () => sockets.SOL_SOCKET,
	option: () => sockets.SO_SNDBUF,
	value: () => 4096,
	backlog: () => 1,
	termios: () => termios.TTYDEF,
	winsize: () => ({ row: 1, col: 1, xpixel: 0, ypixel: 0 }),
	domain: () => "local",
	type: () => "stream",
	queue: () => 1,
};

/** The names of a function's parameters. */
function parametersOf(fn: Callable): string[] {
	const list = /\(([\s\S]*?)\)\s*\{/.exec(String(fn))?.[1] ?? "";
	return list.split(",").flatMap((each) => /[a-z]\w*/i.exec(each)?.[0] ?? []);
}

function throwing(): never {
	throw new Own("an accessor");
}

function revoked(target: object): object {
	const { proxy, revoke } = Proxy.revocable(target, {});
	revoke();
	return proxy;
}

function detached(): Uint8Array {
	const bytes = new Uint8Array(4);
	structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
	return bytes;
}

/** An array that says it has another length. */
function lying(list: readonly unknown[], length: unknown): unknown {
	return new Proxy(list, {
		get: (target, key) => (key === "length" ? length : Reflect.get(target, key)),
	});
}

/** A copy of an object whose fields do something when they are read and written. */
function accessors(value: unknown, act: () => void): unknown {
	const copy = Array.isArray(value) ? [] : {};
	for (const [key, field] of Object.entries(Object(value))) {
		const get = (): unknown => {
			act();
			return field;
		};
		Object.defineProperty(copy, key, { get, set: act, enumerable: true, configurable: true });
	}
	return copy;
}

/** A copy of an object with other things in its fields. */
function withFields(value: unknown, field: unknown): unknown {
	const copy: Record<string, unknown> = { ...Object(value) };
	for (const key of Object.keys(copy)) copy[key] = field;
	return Array.isArray(value) ? Object.values(copy) : copy;
}

/** What takes the place of an honest argument, by name. */
const HOSTILE: Readonly<Record<string, (honest: unknown, world: World) => unknown>> = {
	"a BigInt": () => 1n,
	"a symbol": () => Symbol("hostile"),
	NaN: () => Number.NaN,
	"a fraction": () => 0.5,
	"-1": () => -1,
	"2^31": () => 2 ** 31,
	"2^53": () => 2 ** 53,
	Infinity: () => Number.POSITIVE_INFINITY,
	"a string": () => "2",
	null: () => null,
	undefined: () => undefined,
	"an object without a prototype": () => Object.create(null),
	"an object whose conversion throws": () => ({ valueOf: throwing, toString: throwing }),
	"a function": () => () => {},
	"a revoked proxy": (honest) => revoked(Object(honest)),
	"a proxy of which every trap throws": (honest) =>
		new Proxy(Object(honest) as object, {
			get: throwing,
			set: throwing,
			has: throwing,
			ownKeys: throwing,
			getPrototypeOf: throwing,
			getOwnPropertyDescriptor: throwing,
		}),
	"a list of length NaN": () => lying([{}], Number.NaN),
	"a list of length -1": () => lying([{}], -1),
	'a list of length "2"': () => lying([{}, {}], "2"),
	"a list of length 10n": () => lying([{}], 10n),
	"detached bytes": detached,
	"bytes that say they are endless": () =>
		Object.defineProperty(new Uint8Array(1), "length", { value: Number.POSITIVE_INFINITY }),
	"accessors that throw": (honest) => accessors(honest, throwing),
	"accessors that call back": (honest, made) => accessors(honest, () => callback(made)),
	"fields that are BigInts": (honest) => withFields(honest, 1n),
	"fields that are symbols": (honest) => withFields(honest, Symbol("field")),
	"fields that are revoked": (honest) => withFields(honest, revoked([])),
	"fields that are objects": (honest) => withFields(honest, Object.create(null)),
	"a frozen copy": (honest) => Object.freeze(accessors(honest, () => {})),
};

/** What an accessor does that calls back: closes, reads, polls, waits, exits. */
function callback({ thread, fds, process, other }: World): void {
	const acts = [
		() => kqpoll.pollNow(thread, [{ fd: fds.r, events: 1, revents: 0 }]),
		() => void kqueue.read(thread, fds.r, new Uint8Array(1)).catch(() => {}),
		() => kqueue.close(thread, fds.kq),
		() => kqueue.close(thread, fds.a),
		() => kqueue.exit(thread, 1),
		() => kqueue.threadExit(thread),
		() => kqueue.exit(other.main, 0),
		() => kqueue.close(process.main, fds.r),
	];
	for (const act of acts) {
		try {
			act();
		} catch (error) {
			if (!(error instanceof kqueue.SystemError)) throw error;
		}
	}
}

function openFds({ process }: World): string {
	return [...process.fdp.open()].join();
}

/** Why an error is not one that a caller may get; null if it is. */
function strange(error: unknown): string | null {
	if (error instanceof kqueue.SystemError || error instanceof Own) return null;
	return error instanceof Error ? (error.stack ?? String(error)) : String(error);
}

/** Whether a machine is as after a call: nobody is in one, and its threads can poll and read. */
function checkAfter(made: World): void {
	const { kernel, process, thread } = made;
	checkMachine(made);
	assert.is(kernel.activity.depth, 0, "no call is in progress");
	if (process.exiting || thread.state === "exited") return;
	assert.is(thread.state, "running");
	assert.is(thread.polling, false, "no poll is in progress");
	const [r, w] = files.pipe(thread);
	kqueue.writeNow(thread, w, Uint8Array.of(1, 2));
	const list = [{ fd: r, events: kqpoll.POLLIN, revents: 0 }];
	assert.is(kqpoll.pollNow(thread, list), 1);
	assert.is(kqueue.readNow(thread, r, new Uint8Array(3)), 2);
	for (const fd of [r, w]) kqueue.close(thread, fd);
}

/** Makes a call, and returns what is wrong with what came of it. */
async function problemOf(
	made: World,
	fn: Callable,
	args: readonly unknown[],
): Promise<string | null> {
	const before = openFds(made);
	let problem: string | null = null;
	try {
		const result = Reflect.apply(fn, undefined, args);
		if (!(result instanceof Promise)) return null;
		let settled = false;
		result.then(
			() => (settled = true),
			(error) => {
				settled = true;
				problem = strange(error);
			},
		);
		made.host.settle();
		kqueue.interrupt(made.thread);
		made.host.settle();
		for (let i = 0; i < 4; i++) await null;
		return settled ? problem : "its promise is not settled";
	} catch (error) {
		problem = strange(error);
	}
	const after = openFds(made);
	if (problem === null && after.length > before.length) problem = `open: ${before}, then ${after}`;
	return problem;
}

test("each parameter of each function has an honest argument", () => {
	const unknown = [...FUNCTIONS].flatMap(([name, fn]) =>
		parametersOf(fn)
			.filter((parameter) => HONEST[parameter] === undefined)
			.map((parameter) => `${name}: ${parameter}`),
	);
	assert.equal(unknown, []);
	assert.ok(FUNCTIONS.size > 150);
});

/** The same, with what is wrong with the machine then. */
async function problemsOf(made: World, fn: Callable, args: readonly unknown[]): Promise<string[]> {
	const found: string[] = [];
	const problem = await problemOf(made, fn, args);
	if (problem !== null) found.push(problem);
	try {
		checkAfter(made);
	} catch (error) {
		found.push(`afterwards: ${(error as Error).stack}`);
	}
	return found;
}

test("no hostile argument causes anything but an errno or the accessor's own error", async () => {
	const problems: string[] = [];
	for (const [name, fn] of FUNCTIONS) {
		const parameters = parametersOf(fn);
		for (const [place, parameter] of parameters.entries()) {
			let made = world();
			for (const [what, make] of Object.entries(HOSTILE)) {
				const args = parameters.map((each) => HONEST[each]?.(made, name));
				args[place] = make(args[place], made);
				const found = await problemsOf(made, fn, args);
				for (const problem of found)
					problems.push(`${name} with ${what} for ${parameter}: ${problem}`);
				const { process, thread } = made;
				const over = process.exiting || thread.state === "exited" || /call back/.test(what);
				if (over || found.length > 0) made = world();
			}
		}
	}
	assert.equal(problems, []);
});

test.run();
