// Every filter keeps the contract, and the contract finds filters that do not.
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	EVFILT_DEVICE,
	EVFILT_EXCEPT,
	EVFILT_PROC,
	EVFILT_READ,
	EVFILT_SIGNAL,
	EVFILT_TIMER,
	EVFILT_VNODE,
	EVFILT_WRITE,
	errno,
	fork,
	keventNow,
	kill,
	kqueue,
	NOTE_CHANGE,
	NOTE_FORK,
	NOTE_OOB,
	NOTE_WRITE,
	openFile,
	type Side,
	SyntheticFile,
	sigaction,
} from "../../src/index.ts";
import {
	File,
	type Filterops,
	filterops,
	Klist,
	type Knote,
	seltrueKqfilter,
} from "../../src/kernel.ts";
import { SIG_IGN, SIGUSR1 } from "../../src/signal.ts";
import { type ContractWorld, type FilterSubject, filterContract } from "../../src/testing.ts";

/** A device as an author would write it: it changes, and notifies. */
class ChangingDevice extends File {
	readonly klist: Klist = new Klist();
	private readonly filter: Filterops;

	constructor(broken: Partial<Filterops> = {}) {
		super("socket");
		this.filter = filterops({
			name: "change",
			detach: (kn) => this.klist.remove(kn),
			event: (kn, hint) => {
				if ((kn.sfflags & hint) !== 0) kn.fflags |= hint;
				return kn.fflags !== 0;
			},
			...broken,
		});
	}

	override kqfilter(kn: Knote): number {
		if (kn.filter !== EVFILT_DEVICE) return errno.EINVAL;
		kn.fop = this.filter;
		this.klist.insert(kn);
		return 0;
	}
}

class ReadyDevice extends File {
	constructor() {
		super("socket");
	}

	override kqfilter(kn: Knote): number {
		return seltrueKqfilter(kn);
	}
}

function sideSubject(filter: number, side: Side, fflags = 0): FilterSubject {
	return {
		name: `synthetic ${side}`,
		filter,
		kind: "level",
		setup: ({ thread }) => {
			const file = new SyntheticFile();
			return {
				ident: openFile(thread, file),
				fflags,
				trigger: () => file.set(side, { data: 5 }),
				untrigger: () => file.set(side, { data: 0 }),
			};
		},
	};
}

function deviceSubject(name: string, broken: Partial<Filterops>): FilterSubject {
	return {
		name,
		filter: EVFILT_DEVICE,
		kind: "sticky",
		setup: ({ thread }) => {
			const device = new ChangingDevice(broken);
			return {
				ident: openFile(thread, device),
				fflags: NOTE_CHANGE,
				trigger: () => device.klist.notify(NOTE_CHANGE),
			};
		},
	};
}

function watchedKqueue({ thread }: ContractWorld) {
	const inner = kqueue(thread);
	const file = new SyntheticFile();
	const fd = openFile(thread, file);
	keventNow(thread, inner, [{ ident: fd, filter: EVFILT_READ, flags: 1 }], null);
	return {
		ident: inner,
		trigger: () => {
			file.set("read", { data: 1 });
		},
		untrigger: () => {
			file.set("read", { data: 0 });
			keventNow(thread, inner, null, [{} as never]);
		},
	};
}

const SUBJECTS: readonly FilterSubject[] = [
	sideSubject(EVFILT_READ, "read"),
	sideSubject(EVFILT_WRITE, "write"),
	sideSubject(EVFILT_EXCEPT, "except", NOTE_OOB),
	{
		name: "synthetic vnode",
		filter: EVFILT_VNODE,
		kind: "sticky",
		setup: ({ thread }) => {
			const file = new SyntheticFile({ type: "vnode" });
			const ident = openFile(thread, file);
			return { ident, fflags: NOTE_WRITE, trigger: () => file.notify(NOTE_WRITE) };
		},
	},
	deviceSubject("device", {}),
	{
		name: "always ready READ",
		filter: EVFILT_READ,
		kind: "always",
		setup: ({ thread }) => ({ ident: openFile(thread, new ReadyDevice()), trigger: () => {} }),
	},
	{
		name: "always ready WRITE",
		filter: EVFILT_WRITE,
		kind: "always",
		setup: ({ thread }) => ({ ident: openFile(thread, new ReadyDevice()), trigger: () => {} }),
	},
	{ name: "kqueue", filter: EVFILT_READ, kind: "level", setup: watchedKqueue },
	{
		name: "process",
		filter: EVFILT_PROC,
		kind: "edge",
		setup: ({ thread }) => {
			const child = fork(thread);
			return {
				ident: child.pid,
				fflags: NOTE_FORK,
				trigger: () => {
					fork(child.main);
				},
			};
		},
	},
	{
		name: "signal",
		filter: EVFILT_SIGNAL,
		kind: "edge",
		setup: ({ thread }) => {
			sigaction(thread, SIGUSR1, SIG_IGN);
			return {
				ident: SIGUSR1,
				trigger: () => kill(thread, thread.process.pid, SIGUSR1),
			};
		},
	},
	{
		name: "timer",
		filter: EVFILT_TIMER,
		kind: "edge",
		setup: ({ host }) => ({ ident: 1, data: 10, trigger: () => host.advance(10) }),
	},
];

for (const subject of SUBJECTS) {
	for (const { number, name, run } of filterContract(subject)) {
		test(`${subject.name}, ${number}: ${name}`, run);
	}
}

/** The numbers of the promises that a filter breaks. */
async function brokenPromises(subject: FilterSubject): Promise<number[]> {
	const broken: number[] = [];
	for (const { number, run } of filterContract(subject)) {
		await run().catch(() => broken.push(number));
	}
	return broken;
}

test("a filter that keeps the contract breaks no promise", async () => {
	assert.equal(await brokenPromises(deviceSubject("device", {})), []);
});

test("a filter that never has an event breaks the promises about reports", async () => {
	const deaf = deviceSubject("deaf", { event: () => false });
	assert.equal(await brokenPromises(deaf), [1, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17, 18]);
});

test("a filter that forgets udata on a change breaks the promise about it", async () => {
	const forgetful = deviceSubject("forgetful", { modify: (_kev, kn) => kn.fop.event(kn, 0) });
	assert.equal(await brokenPromises(forgetful), [9]);
});

test("a filter that reports without being asked breaks the promises about silence", async () => {
	const talkative = deviceSubject("talkative", { event: () => true });
	assert.equal(await brokenPromises(talkative), [1, 18]);
});

test("a filter that does not submit its event breaks the promises about its contents", async () => {
	const blank = deviceSubject("blank", { process: (kn) => kn.fop.event(kn, 0) });
	const numbers = await brokenPromises(blank);
	assert.ok(numbers.includes(1) && numbers.includes(8) && numbers.includes(16));
});

test.run();
