// Sets of descriptors against sets of numbers.
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { FD_CLR, FD_COPY, FD_ISSET, FD_SET, FD_SETSIZE, FD_ZERO, FdSet } from "../src/index.ts";

type Command =
	| { do: "set" | "clear"; fd: number; macro: boolean }
	| { do: "zero"; macro: boolean }
	| { do: "copy" | "copy over" | "swap" };

/** Larger than any set: sets take numbers below 2^24. */
const LARGEST = 2 ** 24 - 1;

function codeOf(call: () => unknown): unknown {
	try {
		call();
	} catch (error) {
		return (error as { code?: string }).code ?? error;
	}
	return "no error";
}

function isDescriptor(fd: number): boolean {
	return Number.isInteger(fd) && fd >= 0 && fd <= LARGEST;
}

/** A set, and the numbers that must be in it. */
interface Pair {
	set: FdSet;
	numbers: Set<number>;
}

/** The least room of a set with words of 32 bits. */
function wordsOf(size: number): number {
	return Math.ceil(size / 32) * 32;
}

function check({ set, numbers }: Pair): void {
	const sorted = [...numbers].sort((a, b) => a - b);
	assert.equal([...set], sorted, "what is in the set, ascending");
	assert.equal([...set], sorted, "the same when asked again");
	const largest = sorted.at(-1) ?? -1;
	assert.ok(set.size % 32 === 0 && set.size > largest, "the room of a set");
	for (const fd of [...PROBES, ...sorted, ...sorted.map((fd) => fd + 1)]) {
		assert.is(set.has(fd), numbers.has(fd), `whether ${fd} is in`);
		assert.is(FD_ISSET(fd, set), numbers.has(fd), `whether ${fd} is set`);
	}
	const bits = sorted.reduce(
		(words, fd) => {
			words[fd >> 5] = (words[fd >> 5] as number) | (1 << (fd & 31));
			return words;
		},
		new Int32Array(set.size / 32),
	);
	assert.equal(set.words, bits, "the bits");
}

function perform(pair: Pair, other: Pair, command: Command): void {
	switch (command.do) {
		case "set": {
			const { set } = pair;
			const { fd } = command;
			const before = set.size;
			const code = codeOf(() => (command.macro ? FD_SET(fd, set) : set.set(fd)));
			assert.is(code, isDescriptor(fd) ? "no error" : "EBADF", `setting ${fd}`);
			if (isDescriptor(fd)) pair.numbers.add(fd);
			assert.ok(isDescriptor(fd) && fd >= before ? set.size > fd : set.size === before);
			break;
		}
		case "clear":
			if (command.macro) FD_CLR(command.fd, pair.set);
			else pair.set.clear(command.fd);
			pair.numbers.delete(command.fd);
			break;
		case "zero":
			if (command.macro) FD_ZERO(pair.set);
			else pair.set.zero();
			pair.numbers.clear();
			break;
		case "copy":
			other.set = pair.set.copy();
			other.numbers = new Set(pair.numbers);
			assert.is(other.set.size, pair.set.size, "a copy has the same room");
			break;
		case "copy over":
			FD_COPY(pair.set, other.set);
			other.numbers = new Set(pair.numbers);
			break;
		case "swap":
			[pair.set, other.set] = [other.set, pair.set];
			[pair.numbers, other.numbers] = [other.numbers, pair.numbers];
			break;
	}
}

const NONE = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, -(2 ** 31), 2 ** 24, 2 ** 32, 2 ** 40];
const PROBES = [...NONE, 0, 31, 32, 63, 1023, 1024, LARGEST];
/** Around the words' borders, and where a set grows. */
const aDescriptor = fc.oneof(
	{ weight: 6, arbitrary: fc.nat(70) },
	{ weight: 2, arbitrary: fc.nat(1500) },
	{ weight: 2, arbitrary: fc.constantFrom(31, 32, 63, 64, 1023, 1024, 2047, 5000) },
);
const aNumber = fc.oneof(
	{ weight: 12, arbitrary: aDescriptor },
	{ weight: 1, arbitrary: fc.constantFrom(...NONE) },
);
const aCommand: fc.Arbitrary<Command> = fc.oneof(
	{
		weight: 10,
		arbitrary: fc.record({
			do: fc.constantFrom("set", "set", "clear"),
			fd: aNumber,
			macro: fc.boolean(),
		}),
	},
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("zero" as const), macro: fc.boolean() }) },
	{ weight: 2, arbitrary: fc.record({ do: fc.constantFrom("copy", "copy over", "swap") }) },
);
const someDescriptors = fc.array(aDescriptor, { maxLength: 20 });
const aSize = fc.option(fc.constantFrom(0, 1, 31, 32, 33, 64, 100, FD_SETSIZE), { nil: undefined });

test("a set holds what was added and not removed, and copies are independent", () => {
	const commands = fc.array(aCommand, { size: "+1", maxLength: 30 });
	fc.assert(
		fc.property(someDescriptors, aSize, commands, (descriptors, size, commands) => {
			const pair: Pair = { set: new FdSet(descriptors, size), numbers: new Set(descriptors) };
			const other: Pair = { set: new FdSet(), numbers: new Set() };
			check(pair);
			for (const command of commands) {
				perform(pair, other, command);
				check(pair);
				check(other);
			}
		}),
		{ numRuns: 500, includeErrorInReport: true },
	);
});

test("a set is made of anything that can be iterated, with at least the requested room", () => {
	fc.assert(
		fc.property(someDescriptors, aSize, (descriptors, size) => {
			const needed = Math.max(-1, ...descriptors) + 1;
			const numbers = new Set(descriptors);
			for (const source of [descriptors, numbers, numbers.values(), new FdSet(descriptors)]) {
				const set = new FdSet(source, size);
				check({ set, numbers });
				const asked = wordsOf(size ?? FD_SETSIZE);
				assert.ok(needed <= asked ? set.size === asked : set.size >= needed, "the room");
			}
		}),
	);
});

test("a set refuses a value that is not a descriptor and stays as it was", () => {
	fc.assert(
		fc.property(someDescriptors, fc.constantFrom(...NONE), (descriptors, none) => {
			assert.is(
				codeOf(() => new FdSet([...descriptors, none])),
				"EBADF",
			);
			const set = new FdSet(descriptors);
			assert.is(
				codeOf(() => set.set(none)),
				"EBADF",
			);
			set.clear(none);
			check({ set, numbers: new Set(descriptors) });
		}),
	);
});

test("a set refuses a wrong size", () => {
	for (const size of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 24 + 1]) {
		assert.is(
			codeOf(() => new FdSet([], size)),
			"EINVAL",
			`size ${size}`,
		);
	}
});

test.run();
