// Hostile programs: what they cover, what they find, and short runs of each kind.
import { readdirSync, readFileSync } from "node:fs";
import { pipe, sendmsgNow, socketpair } from "@kqpoll/files";
import { Kernel, kqueue, type Process, type Thread } from "@kqpoll/kqueue";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BoundedHost } from "../hostile/bounded-host.ts";
import { EXCLUDED, uncovered, unknownEntries } from "../hostile/coverage.ts";
import { Descriptors } from "../hostile/descriptors.ts";
import { filesOperations } from "../hostile/files.ts";
import { checkMachine, remains } from "../hostile/invariants.ts";
import { argumentsOf, hostileOptions, type Mode } from "../hostile/options.ts";
import { operationsOf, runProgram, runPrograms } from "../hostile/programs.ts";
import { Random } from "../hostile/random.ts";
import { World } from "../hostile/world.ts";

test("every exported function is called by hostile programs, or is excluded with a reason", async () => {
	assert.equal(await uncovered(), []);
	assert.ok(Object.values(EXCLUDED).every((reason) => reason.length > 0));
});

test("every entry point of the packages that are called is looked at", () => {
	const packages = ["kqueue", "kqpoll", "files", "rxjs"].map((name) =>
		JSON.parse(readFileSync(new URL(`../../${name}/package.json`, import.meta.url), "utf8")),
	);
	assert.equal(unknownEntries(packages), []);
	assert.ok(readdirSync(new URL("../hostile", import.meta.url)).length > 0);
});

/** Runs programs; returns what they find, and how much was run. */
async function found(mode: Mode, first: number, last: number): Promise<[string[], number, number]> {
	const problems: string[] = [];
	const total = { programs: 0, calls: 0, wakeups: 0 };
	const options = { first, last, ops: 300, mode, only: null };
	await runPrograms(options, total, ({ seed, problem, transcript }) =>
		problems.push(`seed ${seed}: ${problem}\n${transcript.join("\n")}`),
	);
	return [problems, total.calls, total.wakeups];
}

test("a few programs with values for arguments find nothing", async () => {
	const [problems, calls] = await found("values", 1, 50);
	assert.equal(problems, []);
	assert.ok(calls > 5000);
});

test("a few programs with hostile objects for arguments find nothing", async () => {
	const [problems, calls] = await found("objects", 1, 40);
	assert.equal(problems, []);
	assert.ok(calls > 4000);
});

test("a few programs of sleepers lose no wake-up", async () => {
	const [problems, , wakeups] = await found("wakeups", 1, 40);
	assert.equal(problems, []);
	assert.ok(wakeups > 100);
});

/** The problem of some operations of a program of sleepers. */
async function problemOf(seed: number, only: readonly number[]): Promise<string | null> {
	const operations = operationsOf({ ops: 300, only });
	return (await runProgram("wakeups", seed, operations, false)).problem;
}

test("a thread that asks has no knotes of an object that went away before the sleeper came", async () => {
	assert.equal(
		[
			await problemOf(403432, [15, 74, 79, 80, 128, 132, 133, 135, 136, 145, 147, 264, 274]),
			await problemOf(417168, [53, 65, 67, 70, 71, 74, 75, 79, 89, 90, 91, 92, 102]),
			await problemOf(417722, [13, 19, 34, 44, 71, 73, 137, 140, 141, 145, 167, 178, 218]),
		],
		[null, null, null],
	);
});

test("a writer of a terminal may sleep above the mark that its write began with", async () => {
	assert.equal(
		[
			await problemOf(412322, [9, 90, 116, 158]),
			await problemOf(416902, [23, 33, 60, 64, 173, 178, 187]),
			await problemOf(21768, [3, 130, 187, 189, 191]),
		],
		[null, null, null],
	);
});

test("a file that begins to refuse to be watched wakes nobody", async () => {
	assert.is(await problemOf(502771, [54, 149]), null);
});

test("a select that cannot watch a file learns nothing of its end", async () => {
	assert.is(await problemOf(512739, [34, 39, 212]), null);
});

test("who is woken by a callback of an ask is not asked for before", async () => {
	const last = Array.from({ length: 20 }, (_, i) => 140 + i);
	assert.is(await problemOf(24178, [68, 106, 123, ...last]), null);
});

test("a program is the same each time, and runs again from the numbers of its operations", async () => {
	const operations = operationsOf({ ops: 100, only: null });
	const [first, second] = [
		await runProgram("wakeups", 7, operations, true),
		await runProgram("wakeups", 7, operations, true),
	];
	assert.equal(first.transcript, second.transcript);
	assert.ok(first.transcript.length > 20);
	const options = hostileOptions(argumentsOf(7, 100, "objects", [3, 5]).split(" "));
	assert.equal(options, { first: 7, last: 7, ops: 100, mode: "objects", only: [3, 5] });
});

interface Machine {
	readonly kernel: Kernel;
	readonly process: Process;
	readonly main: Thread;
}

function machine(): Machine {
	const kernel = new Kernel({ host: new VirtualHost() });
	const process = kernel.spawn();
	pipe(process.main);
	kqueue(process.main);
	return { kernel, process, main: process.main };
}

for (const [what, spoil, message] of [
	["sleepers", ({ kernel }) => kernel.sleepers--, /-1 sleepers, 0 asleep/],
	["timers", ({ kernel }) => kernel.account.timers.used++, /1 timers, 0 on lists/],
	["a kqueue's knotes", ({ process }) => kqueueOf(process).nknotes++, /counts 1 knotes and has 0/],
	["a kqueue that is busy", ({ process }) => kqueueOf(process).busy++, /is busy between calls/],
	["references", ({ process }) => fileOf(process).refs++, /has 2 references, 1 were found/],
	["an account's knotes", ({ process }) => process.account.knotes.used--, /uses -1 knotes/],
	["an account's files", ({ process }) => process.account.files.force(1), /uses 4 files, 3 were/],
	["an account's threads", (of) => of.process.account.threads.force(1), /2 threads, 1 were found/],
	[
		"the machine's bytes",
		({ kernel }) => kernel.account.bytes.used++,
		/uses 1 bytes, its accounts 0/,
	],
	["a thread's depth", ({ main }) => main.depth++, /is inside a call/],
] as const satisfies readonly (readonly [string, (world: Machine) => unknown, RegExp])[]) {
	test(`a machine that counts wrong is found: ${what}`, () => {
		const world = machine();
		check(world);
		spoil(world);
		assert.throws(() => check(world), message);
	});
}

function check({ kernel, process }: Machine): void {
	checkMachine(kernel, new Set([process.account]));
}

function kqueueOf({ fdp }: Process) {
	assert.ok(fdp.firstKqueue);
	return fdp.firstKqueue as NonNullable<typeof fdp.firstKqueue>;
}

function fileOf({ fdp }: Process) {
	const file = fdp.get(0);
	assert.ok(file);
	return file as NonNullable<typeof file>;
}

test("what is left of a machine is found", () => {
	const { kernel } = machine();
	assert.is(remains(kernel, new Set(), new Set()), "1 processes are left");
	const empty = new Kernel({ host: new VirtualHost() });
	assert.is(remains(empty, new Set(), new Set()), null);
	empty.account.packets.force(1);
	assert.is(remains(empty, new Set(), new Set()), "the machine is left with 1 packets");
	empty.account.packets.release(1);
	const { account } = kernel.spawn();
	const left = remains(empty, new Set(), new Set([account]));
	assert.is(left, "an account is left with 1 processes");
});

test("descriptors that calls did not return, or that are gone too early, are found", () => {
	const { process } = machine();
	const model = new Descriptors();
	model.opened(process, 0);
	model.opened(process, 2);
	assert.is(model.difference(process), "descriptor 1 of process 1 was invented");
	model.opened(process, 1);
	assert.is(model.difference(process), null);
	model.opened(process, 9);
	assert.is(model.difference(process), "descriptor 9 of process 1 was lost");
});

test("a descriptor that is closed before the call that opened it has returned is not lost", () => {
	const { process } = machine();
	const model = new Descriptors();
	for (const fd of [0, 1, 2]) model.opened(process, fd);
	model.closed(process, 3);
	model.opened(process, 3);
	assert.is(model.difference(process), null);
});

test("descriptors that come with a message are known, whichever call receives it", async () => {
	for (const name of ["recvmsg", "recvmsgNow", "recvmsgCall"]) {
		const world = new World({
			seed: 1,
			objects: false,
			honest: true,
			careful: false,
			groups: [filesOperations],
		});
		const { descriptors, thread } = world;
		const { fdp } = thread.process;
		const pair = socketpair(thread, "seqpacket");
		for (const fd of pair) descriptors.opened(thread.process, fd);
		for (let seed = 0; [...fdp.open()].length === 2; seed++) {
			assert.ok(seed < 1000, `${name} receives no descriptors`);
			for (const fd of pair) world.attempt(name, () => void sendmsgNow(thread, fd, message(pair)));
			world.random = new Random(seed);
			world.attempt(name, () => filesOperations[name]?.(world));
			world.settle();
			await world.breathe();
		}
		assert.equal([name, descriptors.difference(thread.process), world.problem], [name, null, null]);
	}
});

function message(fds: readonly number[]) {
	return { bytes: new Uint8Array(1), fds };
}

test("work without end is found, and ends", () => {
	const host = new BoundedHost();
	const again = (): void => host.defer(again);
	host.defer(again);
	host.settle();
	assert.ok(host.exceeded);
	host.refill();
	assert.not.ok(host.exceeded);
});

test("errors that no program may see, and unsettled promises, are found", async () => {
	const options = { seed: 1, objects: false, careful: true, groups: [] };
	const world = new World(options);
	world.judge(new TypeError("inside"), "read");
	assert.match(world.problem ?? "", /^read: not a SystemError: TypeError: inside/);
	const other = new World(options);
	other.track("a call", new Promise(() => {}), () => {});
	await other.finish();
	assert.is(other.problem, "the promise of a call does not settle");
});

test("random choices depend on the seed and the part alone", () => {
	const numbers = (seed: number, part: number): number[] => {
		const random = new Random(seed, part);
		return [1, 2, 3].map(() => random.next());
	};
	assert.equal(numbers(1, 2), numbers(1, 2));
	assert.is.not(numbers(1, 2)[0], numbers(1, 3)[0]);
	assert.is.not(numbers(1, 2)[0], numbers(2, 2)[0]);
});

for (const [args, message] of [
	["--seeds 9-1", "--seeds 9-1 is not a range such as 1-100"],
	["--seeds 1-99999999", "--seeds 1-99999999 is more than 10000000 seeds"],
	["--seeds 2147483648-2147483648", "--seeds 2147483648-2147483648: the last one is too large"],
	["--ops 0", "--ops 0 is not a number above 0"],
	["--ops 10000001", "--ops 10000001 is more than 10000000"],
	["--objects --wakeups", "--objects and --wakeups exclude each other"],
	["--only x", "--only x is not a list such as 3,17,40"],
	["--ops 10 --only 3,10", "--only 10 is not below --ops 10"],
	["--nope", "Unknown option '--nope'"],
] as const) {
	test(`the error of hostile "${args}" says what is wrong`, () => {
		assert.throws(
			() => hostileOptions(args.split(" ")),
			(error: Error) => error.message.startsWith(message),
		);
	});
}

test("by default a thousand programs of 300 operations take values", () => {
	const expected = { first: 1, last: 1000, ops: 300, mode: "values", only: null };
	assert.equal(hostileOptions([]), expected);
});

test.run();
