// spawn: guests as child processes.
import { pipe } from "@kqpoll/files";
import {
	close,
	EV_ADD,
	EV_SET,
	EVFILT_PROC,
	EVFILT_SIGNAL,
	eventList,
	Kernel,
	keventNow,
	kill,
	kqueue,
	NOTE_EXIT,
	RealHost,
	readNow,
	type SystemError,
	sigaction,
	type Thread,
	waitpid,
} from "@kqpoll/kqueue";
import { SIG_IGN, SIGCHLD, SIGKILL } from "@kqpoll/kqueue/signal";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { NotStarted, type Runner, spawn } from "../src/index.ts";
import { canSuspend } from "../src/platform.ts";
import { collector, endOf, Machine, type Result, start } from "./guest.ts";
import { moduleOf } from "./library.ts";
import { type Contents, makeModule } from "./module-bytes.ts";

const END = ["signals", "exit", "7"];

function code(act: () => unknown): string {
	try {
		act();
		return "no error";
	} catch (error) {
		return (error as SystemError).code;
	}
}

/** Runs a module that was made byte by byte. */
function runMade(contents: Contents): Promise<Result> {
	return new Machine().run((thread) =>
		start(thread, makeModule(contents), { args: ["made"], mode: "sync" }).end(),
	);
}

test("the end of a guest is NOTE_EXIT, SIGCHLD, and a status for waitpid", async () => {
	const seen = await new Machine().run(async (thread) => {
		const kq = kqueue(thread);
		const pid = start(thread, moduleOf("signals"), { args: END, mode: "sync" }).pid;
		const changes = [
			EV_SET(pid, EVFILT_PROC, EV_ADD, NOTE_EXIT),
			EV_SET(SIGCHLD, EVFILT_SIGNAL, EV_ADD),
		];
		keventNow(thread, kq, changes, null);
		const { status } = await waitpid(thread, pid);
		const events = eventList(8);
		const n = keventNow(thread, kq, null, events);
		const told = events.slice(0, n).map((event) => [event.ident === pid, event.filter, event.data]);
		return [endOf(status), told];
	});
	assert.equal(seen, [
		"status 7",
		[
			[true, EVFILT_PROC, 7 << 8],
			[false, EVFILT_SIGNAL, 1],
		],
	]);
});

test("a guest that is killed before it begins does not begin", async () => {
	const result = await new Machine().run((thread) => {
		const guest = start(thread, moduleOf("producer"), { args: ["producer", "3"], mode: "sync" });
		kill(thread, guest.pid, SIGKILL);
		return guest.end();
	});
	assert.equal(result, { stdout: "", stderr: "", ended: "signal 9" });
});

test("a module that cannot begin has status 126, and says why", async () => {
	const memory = { memory: true };
	assert.equal(
		await Promise.all([
			runMade({ ...memory, imports: [["env", "nothing"]], functions: ["_start"] }),
			runMade({ ...memory, functions: ["_initialize"] }),
			runMade({ ...memory, functions: ["main"] }),
			runMade({ functions: ["_start"] }),
		]).then((results) =>
			results.map(({ ended, stderr }) => [ended, /env|library|_start|memory/.exec(stderr)?.[0]]),
		),
		[
			["status 126", "env"],
			["status 126", "library"],
			["status 126", "_start"],
			["status 126", "memory"],
		],
	);
});

test("a program that does nothing ends with 0, and a trap is SIGABRT with a message", async () => {
	const program = { memory: true, functions: ["_start"] };
	assert.equal(await runMade(program), { stdout: "", stderr: "", ended: "status 0" });
	const trapped = await runMade({ ...program, traps: true });
	assert.is(trapped.ended, "signal 6");
	assert.match(trapped.stderr, /^wasi: RuntimeError: /);
});

test("a trap whose message nobody can read is SIGABRT too", async () => {
	const ended = await new Machine().run(async (thread) => {
		const [reader, writer] = pipe(thread);
		close(thread, reader);
		const stdio = [writer, writer, writer] as const;
		const module = makeModule({ memory: true, functions: ["_start"], traps: true });
		const { status } = await waitpid(thread, spawn(thread, module, { stdio, mode: "sync" }));
		return endOf(status);
	});
	assert.is(ended, "signal 6");
});

test("a signal that is on its way when a guest traps is what has ended it", async () => {
	const ended = await new Machine().run(async (thread) => {
		const killer = thread.process.spawnThread();
		const [input, output] = pipe(thread);
		const mode: Runner = {
			mode: "promise",
			run(_module, { thread: guest }) {
				kill(killer, guest.process.pid, SIGKILL);
				throw new Error("a trap");
			},
		};
		const stdio = [input, output, output] as const;
		const { status } = await waitpid(thread, spawn(thread, {}, { stdio, mode }));
		return endOf(status);
	});
	assert.is(ended, "signal 9");
});

test("a guest that writes where nobody reads gets EPIPE, or by choice is ended by SIGPIPE", async () => {
	const ends: string[] = [];
	for (const sigpipe of ["ignore", "default"] as const) {
		const result = await new Machine().run((thread) => {
			const [reader, stdout] = pipe(thread);
			const options = { args: ["signals", "write"], stdout, mode: "sync", sigpipe } as const;
			const guest = start(thread, moduleOf("signals"), options);
			close(thread, reader);
			return guest.end();
		});
		ends.push(result.ended);
	}
	assert.equal(ends, ["status 1", "signal 13"]);
});

test("what is wrong with the options is thrown, and leaves no child", () => {
	const machine = new Machine();
	const thread = machine.parent.main;
	const module = moduleOf("signals");
	const { fd } = collector(thread);
	const stdio = [fd, fd, fd] as const;
	const attempt = (options: object): string =>
		code(() => spawn(thread, module, { args: END, stdio, mode: "sync", ...options }));
	assert.equal(
		[
			attempt({ stdio: [fd, 77, fd] }),
			attempt({ descriptors: [-1] }),
			attempt({ args: ["a\0b"] }),
			attempt({ preopens: { "/": 77 } }),
			attempt({ cwd: "/nowhere" }),
			attempt({ mode: "fast" }),
			attempt({ mode: null }),
		],
		["EBADF", "EBADF", "EINVAL", "EBADF", "ENOENT", "EINVAL", "EINVAL"],
	);
	assert.is(
		code(() => void machine.host.turn()),
		"no error",
	);
	return machine.run(async () => {
		assert.is(await waitpid(thread, -1).catch(({ code }) => code), "ECHILD");
	});
});

test("a parent that ignores SIGCHLD is told too what is wrong with the options", () => {
	const thread = new Machine().parent.main;
	sigaction(thread, SIGCHLD, SIG_IGN);
	const options = { stdio: [77, 77, 77], mode: "sync" } as const;
	assert.is(
		code(() => spawn(thread, moduleOf("signals"), options)),
		"EBADF",
	);
});

test("a machine that cannot be driven runs no guest that blocks", () => {
	const thread = new Kernel({ host: new RealHost() }).spawn().main;
	const { fd } = collector(thread);
	const stdio = [fd, fd, fd] as const;
	const attempt = (options: object): string =>
		code(() => spawn(thread, moduleOf("signals"), { stdio, ...options }));
	const here = canSuspend() ? [] : [attempt({}), attempt({ mode: "jspi" })];
	assert.equal([attempt({ mode: "sync" }), ...here], ["ENOTSUP", ...here.map(() => "ENOTSUP")]);
});

test("a runner of another package is the mode, and its failures are those of the guest", async () => {
	const seen: unknown[] = [];
	const module = moduleOf("signals");
	const runner = (act: () => void): Runner => ({
		mode: "promise",
		async run(given, wasi) {
			seen.push([given === module, wasi.mode, wasi.thread.process.pid]);
			act();
		},
	});
	const run = (act: () => void): Promise<[string, string, number]> =>
		new Machine().run(async (thread) => {
			const errors = collector(thread);
			const stdio = [errors.fd, errors.fd, errors.fd] as const;
			const pid = spawn(thread, module, { stdio, mode: runner(act) as Runner });
			const { status } = await waitpid(thread, pid);
			return [endOf(status), errors.text(), pid];
		});
	const results = [
		await run(() => {}),
		await run(() => {
			throw new NotStarted("no worker");
		}),
		await run(() => {
			throw new RangeError("lost");
		}),
		await run(() => {
			throw "a text";
		}),
	];
	assert.equal(
		results.map(([end, said]) => [end, said]),
		[
			["status 0", ""],
			["status 126", "wasi: NotStarted: no worker\n"],
			["signal 6", "wasi: RangeError: lost\n"],
			["signal 6", "wasi: a text\n"],
		],
	);
	assert.equal(
		seen,
		results.map(([, , pid]) => [true, "promise", pid]),
	);
});

test("a hundred guests that block run one after the other", async () => {
	const [ends, bytes] = await new Machine().run(async (thread) => {
		const [reader, writer] = pipe(thread);
		const stdio = [reader, writer, writer] as const;
		const guest = { args: ["producer", "1"], stdio, mode: "sync" } as const;
		const pids = Array.from({ length: 100 }, () => spawn(thread, moduleOf("producer"), guest));
		const ended: string[] = [];
		for (const pid of pids) ended.push(endOf((await waitpid(thread, pid)).status));
		return [new Set(ended), readAll(thread, reader)];
	});
	assert.equal([[...ends], bytes], [["status 0"], 700]);
});

function readAll(thread: Thread, fd: number): number {
	return readNow(thread, fd, new Uint8Array(65_536));
}

test.run();
