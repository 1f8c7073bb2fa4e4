// Which words and bits of its sets select reads and writes.
import {
	close,
	dup2,
	EVFILT_EXCEPT,
	EVFILT_READ,
	EVFILT_WRITE,
	interrupt,
	NOTE_OOB,
	openFile,
	SyntheticFile,
} from "@kqpoll/kqueue";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { FdSet, select, selectNow } from "../src/index.ts";
import { checkMachine, knotes, type Machine, machine, refusal, rejection } from "./machine.ts";

const ALL = -1;

/** A machine with a file that can be read. */
interface World extends Machine {
	readonly file: SyntheticFile;
}

/** Makes a machine on which only these numbers are open, all for that file. */
function world(...fds: number[]): World {
	const made = machine({ maxfiles: 2000 });
	const file = new SyntheticFile();
	file.push(new Uint8Array(1));
	const fd = openFile(made.thread, file);
	for (const each of fds) dup2(made.thread, fd, each);
	if (!fds.includes(fd)) close(made.thread, fd);
	return { ...made, file };
}

/** A set of that many words, all of them the same. */
function filled(words: number, value: number): FdSet {
	const set = new FdSet([], words * 32);
	set.words.fill(value);
	return set;
}

function words(set: FdSet): number[] {
	return [...set.words];
}

/** The word with these bits. */
function bits(...numbers: number[]): number {
	return numbers.reduce((word, bit) => word | (1 << bit), 0);
}

// Clipping

test("a closed descriptor beyond the table is ignored, and its word is not changed", () => {
	const { thread, process } = world(3);
	assert.is(process.fdp.size, 20);
	const set = new FdSet([3, 100, 1023]);
	assert.is(selectNow(thread, 1024, set, null, null), 1);
	assert.equal([...set], [3, 100, 1023], "the stale bits are still there");
});

test("a closed descriptor within the table fails the call, and the set is as before", () => {
	const { thread } = world(3);
	for (const closed of [0, 4, 19]) {
		const set = new FdSet([3, closed, 100]);
		assert.is(
			refusal(() => selectNow(thread, 1024, set, null, null)),
			"EBADF select",
		);
		assert.equal(
			[...set],
			[3, closed, 100].sort((a, b) => a - b),
		);
	}
});

test("bits from the table's size on are 0 afterwards in the last word that is looked at", () => {
	const { thread, process } = world(...Array.from({ length: 20 }, (_, fd) => fd));
	assert.is(process.fdp.size, 20);
	const set = filled(4, ALL);
	assert.is(selectNow(thread, 1024, set, null, null), 20);
	assert.equal(words(set), [0xfffff, ALL, ALL, ALL]);
});

test("with a table of fifty descriptors two words are looked at", () => {
	const { thread, process } = world(...Array.from({ length: 50 }, (_, fd) => fd));
	assert.is(process.fdp.size, 50);
	const set = filled(4, ALL);
	assert.is(selectNow(thread, 1024, set, null, null), 50);
	assert.equal(words(set), [ALL, 0x3ffff, ALL, ALL]);
});

test("the first descriptor that the table has no room for is ignored", () => {
	const { thread, process } = world(49);
	assert.is(process.fdp.size, 50);
	const beyond = new FdSet([49, 50]);
	assert.is(selectNow(thread, 51, beyond, null, null), 1);
	assert.equal([...beyond], [49]);
	dup2(thread, 49, 51);
	assert.is(process.fdp.size, 100);
	const within = new FdSet([49, 50]);
	assert.is(
		refusal(() => selectNow(thread, 51, within, null, null)),
		"EBADF select",
	);
	assert.equal([...within], [49, 50]);
});

test("a table does not shrink: closed descriptors are still looked at", () => {
	const { thread, process } = world(3, 120);
	close(thread, 120);
	assert.is(process.fdp.size, 200);
	const set = new FdSet([3, 120]);
	assert.is(
		refusal(() => selectNow(thread, 1024, set, null, null)),
		"EBADF select",
	);
	assert.is(selectNow(thread, 120, set, null, null), 1);
	assert.equal([...set], [3], "120 is in a word that was looked at");
});

// Bits from nfds on

test("bits from nfds on are not watched, and those in the last word are 0 afterwards", () => {
	const { thread } = world(3, 70);
	const rows: (readonly [nfds: number, result: number | string, words: number[]])[] = [];
	for (const nfds of [0, 1, 3, 4, 5, 32, 33, 64, 70, 71, 96, 97]) {
		const set = new FdSet([3, 70, 95, 96, 127], 128);
		let result = 0;
		const answer = refusal(() => {
			result = selectNow(thread, nfds, set, null, null);
		});
		rows.push([nfds, answer === "no error" ? result : answer, words(set)]);
	}
	const [first, third, last] = [bits(3), bits(6, 31), bits(0, 31)];
	assert.equal(rows, [
		[0, 0, [first, 0, third, last]],
		[1, 0, [0, 0, third, last]],
		[3, 0, [0, 0, third, last]],
		[4, 1, [first, 0, third, last]],
		[5, 1, [first, 0, third, last]],
		[32, 1, [first, 0, third, last]],
		[33, 1, [first, 0, third, last]],
		[64, 1, [first, 0, third, last]],
		[70, 1, [first, 0, 0, last]],
		[71, 2, [first, 0, bits(6), last]],
		[96, "EBADF select", [first, 0, third, last]],
		[97, "EBADF select", [first, 0, third, last]],
	]);
});

test("bits from nfds on that are closed descriptors are not errors", () => {
	const { thread } = world(0);
	for (let nfds = 1; nfds <= 20; nfds++) {
		const set = filled(1, ALL << nfds);
		set.set(0);
		assert.is(selectNow(thread, nfds, set, null, null), 1);
		assert.equal(words(set), [1]);
	}
});

test("every bit of a word is watched, the sign bit too", () => {
	const { thread } = world(0, 31, 32, 63);
	const set = new FdSet([0, 31, 32, 63], 96);
	assert.is(selectNow(thread, 64, set, null, null), 4);
	assert.equal(words(set), [bits(0, 31), bits(0, 31), 0]);
	assert.is(selectNow(thread, 63, set, null, null), 3);
	assert.equal(words(set), [bits(0, 31), bits(0), 0]);
	assert.is(selectNow(thread, 32, set, null, null), 2);
	assert.equal(words(set), [bits(0, 31), bits(0), 0]);
	assert.is(selectNow(thread, 31, set, null, null), 1);
	assert.equal(words(set), [bits(0), bits(0), 0]);
});

test("words beyond those of nfds are neither read nor written, in all three sets", () => {
	const { thread } = world(3, 40);
	const [read, write, except] = [filled(8, ALL), filled(8, 0x5555), filled(2, 0)];
	read.words[0] = bits(3, 10);
	write.words[0] = bits(3);
	assert.is(selectNow(thread, 4, read, write, except), 1);
	assert.equal(words(read), [bits(3), ALL, ALL, ALL, ALL, ALL, ALL, ALL]);
	assert.equal(words(write), [0, 0x5555, 0x5555, 0x5555, 0x5555, 0x5555, 0x5555, 0x5555]);
	assert.equal(words(except), [0, 0]);
});

test("with nfds of 0 no set is looked at, nor cleared by the time-out", async () => {
	const { thread, host } = world(3);
	const set = filled(2, ALL);
	const promise = select(thread, 0, set, set, set, { sec: 1, usec: 0 });
	assert.is(thread.state, "asleep");
	host.advance(1000);
	assert.is(await promise, 0);
	assert.equal(words(set), [ALL, ALL]);
	assert.is(selectNow(thread, 0, new FdSet([], 0), null, null), 0);
});

// When sets are written

test("a time-out clears the words that were looked at, and no others", async () => {
	const { thread, file, host } = world(3, 40);
	file.set("read", { data: 0 });
	const sets = [3, 40, 41].map((nfds) => [nfds, new FdSet([3, 40, 60], 96)] as const);
	for (const [nfds, set] of sets) {
		const promise = select(thread, nfds, set, null, null, { sec: 0, usec: 1 });
		host.advance(1);
		assert.is(await promise, 0);
	}
	assert.equal(
		sets.map(([, set]) => [...set]),
		[[40, 60], [], []],
	);
});

test("a signal leaves the sets as they are", async () => {
	const { thread, file, host } = world(3);
	file.set("read", { data: 0 });
	const [read, write] = [filled(2, bits(3, 25)), filled(2, bits(3, 26))];
	const promise = rejection(select(thread, 4, read, write, null, null));
	interrupt(thread);
	host.settle();
	assert.is(await promise, "EINTR select");
	assert.equal(
		[words(read), words(write)],
		[
			[bits(3, 25), bits(3, 25)],
			[bits(3, 26), bits(3, 26)],
		],
	);
});

test("a descriptor closed meanwhile leaves the sets as they are, even if others are ready", async () => {
	const { thread, process, file, host } = world(3, 5);
	file.set("read", { data: 0 });
	const sleeper = process.spawnThread();
	const [read, write] = [new FdSet([3, 5], 96), new FdSet([3, 95], 96)];
	const promise = rejection(select(sleeper, 6, read, write, null, null));
	file.set("read", { data: 1 });
	close(thread, 5);
	host.settle();
	assert.is(await promise, "EBADF select");
	assert.equal(
		[[...read], [...write]],
		[
			[3, 5],
			[3, 95],
		],
	);
});

test("knotes that were registered before a bad descriptor do not affect the next call", () => {
	const made = world(3, 5);
	const { thread } = made;
	const set = new FdSet([3, 4, 5]);
	assert.is(
		refusal(() => selectNow(thread, 6, set, set, set)),
		"EBADF select",
	);
	assert.equal(
		knotes(thread).map(({ ident, filter }) => [ident, filter]),
		[[3, EVFILT_READ]],
	);
	const other = new FdSet([5]);
	assert.is(selectNow(thread, 6, other, null, null), 1);
	assert.equal([...other], [5]);
	assert.equal(
		knotes(thread).map(({ ident, filter }) => [ident, filter]),
		[[5, EVFILT_READ]],
		"the expired one is dropped when the scan meets it",
	);
	checkMachine(made);
});

test("of several bad descriptors the first of the read set decides, and none after it is registered", () => {
	const made = world(3, 5);
	const { thread } = made;
	const denied = new SyntheticFile();
	denied.deny("read", 6);
	denied.deny("write", 19);
	denied.deny("except", 12);
	dup2(thread, openFile(thread, denied), 8);
	close(thread, 0);
	const ask = (read: number[], write: number[], except: number[]) =>
		refusal(() => selectNow(thread, 20, new FdSet(read), new FdSet(write), new FdSet(except)));
	assert.equal(
		[
			ask([8, 9], [9], [9]),
			ask([9, 10], [8], [8]),
			ask([3], [8, 9], [9]),
			ask([3], [5], [8, 9]),
			ask([3], [5, 9], [8]),
			ask([7, 8], [], []),
		],
		[
			"ENXIO select",
			"EBADF select",
			"ENODEV select",
			"ENOMEM select",
			"EBADF select",
			"EBADF select",
		],
	);
	checkMachine(made);
});

// Three sets, one set

test("the result counts the bits of all three sets", () => {
	const { thread, file } = world(3, 5);
	file.set("write", { data: 10 });
	file.set("except", { data: 1 });
	const sets = [new FdSet([3, 5]), new FdSet([3]), new FdSet([5])] as const;
	assert.is(selectNow(thread, 6, ...sets), 4);
	assert.equal(
		sets.map((set) => [...set]),
		[[3, 5], [3], [5]],
	);
});

test("no filter is registered for a set that is null", () => {
	const { process, file } = world(3);
	file.set("write", { data: 10 });
	file.set("except", { data: 1 });
	const rows = [0, 1, 2, 3, 4, 5, 6, 7].map((which) => {
		const thread = process.spawnThread();
		const set = (bit: number) => ((which & bit) !== 0 ? new FdSet([3]) : null);
		const result = selectNow(thread, 4, set(1), set(2), set(4));
		return [result, ...knotes(thread).map(({ filter, sfflags }) => [filter, sfflags])];
	});
	const [read, write, except] = [
		[EVFILT_READ, 0],
		[EVFILT_WRITE, 0],
		[EVFILT_EXCEPT, NOTE_OOB],
	];
	assert.equal(rows, [
		[0],
		[1, read],
		[1, write],
		[2, write, read],
		[1, except],
		[2, except, read],
		[2, except, write],
		[3, except, write, read],
	]);
});

test("a set passed twice is watched for both, and holds the answer that is written last", () => {
	const { thread, file } = world(3, 5);
	const other = new SyntheticFile();
	other.set("write", { data: 1 });
	dup2(thread, openFile(thread, other), 4);
	const twice = (read: boolean, write: boolean, except: boolean) => {
		const set = new FdSet([3, 4, 5]);
		const given = (use: boolean) => (use ? set : null);
		return [selectNow(thread, 6, given(read), given(write), given(except)), [...set]];
	};
	assert.equal(twice(true, true, false), [3, [4]], "read 3 and 5, write 4");
	assert.equal(twice(true, false, true), [2, []], "read 3 and 5, except none");
	assert.equal(twice(true, true, true), [3, []]);
	file.set("except", { data: 1 });
	assert.equal(twice(true, true, true), [5, [3, 5]]);
});

test("the same set can be used in several calls, if its bits are set again", () => {
	const { thread, file } = world(3, 5);
	const wanted = new FdSet([3, 5]);
	const set = new FdSet();
	const ask = () => {
		set.zero();
		for (const fd of wanted) set.set(fd);
		return [selectNow(thread, 6, set, null, null), [...set]];
	};
	assert.equal(ask(), [2, [3, 5]]);
	file.set("read", { data: 0 });
	assert.equal(ask(), [0, []]);
	file.set("read", { data: 1 });
	assert.equal(ask(), [2, [3, 5]]);
	assert.is(knotes(thread).length, 2);
});

test.run();
