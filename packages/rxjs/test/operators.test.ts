// Operators of RxJS behind every creator: what comes, in which frame, and that nothing is left.
import {
	bufferTime,
	catchError,
	combineLatest,
	concatMap,
	debounceTime,
	dematerialize,
	EMPTY,
	exhaustMap,
	finalize,
	firstValueFrom,
	map,
	materialize,
	merge,
	mergeMap,
	mergeWith,
	type Observable,
	type ObservableNotification,
	of,
	race,
	repeat,
	retry,
	share,
	shareReplay,
	skip,
	switchMap,
	take,
	takeUntil,
	throwError,
	timeout,
	timer,
} from "rxjs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	CREATORS,
	type Creator,
	checkClean,
	END,
	type Ending,
	endingsOf,
	type Helpers,
	perform,
	runOn,
	type Stage,
} from "./creators.ts";

/** What an operator makes of a, b and c in frames 5, 10 and 15 and each end in frame 19. */
type Expected = Readonly<Record<Ending, string>>;

/** A use of operators. */
interface Row {
	readonly name: string;
	/** The creators for which it makes sense, by default all. */
	readonly fits?: (creator: Creator) => boolean;
	readonly apply: (
		source: Observable<string>,
		on: { readonly stage: Stage; readonly helpers: Helpers },
	) => Observable<string>;
	readonly expected: Expected | ((creator: Creator) => Expected);
	/** What stands for values of more than one letter. */
	readonly values?: Readonly<Record<string, string>>;
}

/** The same for every ending. */
function always(marbles: string): Expected {
	return { "goes on": marbles, completes: marbles, lasts: marbles, errors: marbles };
}

/** Leaves in the frame in which other sources end. */
const LEAVES = `^${"-".repeat(END - 1)}!`;

/** The same up to frame 19, and then how the source ends. */
function withEnds(marbles: string): Expected {
	return {
		"goes on": marbles,
		completes: `${marbles}|`,
		lasts: `${marbles}(z|)`,
		errors: `${marbles}#`,
	};
}

/** What a use that changes nothing emits. */
const UNCHANGED: Expected = withEnds("-----a----b----c---");

/** A notification as a letter. */
function shown({ kind, ...rest }: ObservableNotification<string>): string {
	return kind === "N" ? (rest as { value: string }).value : kind;
}

const after = (frames: number): Observable<string> => timer(frames).pipe(map(() => "t"));

/** Values in frames 1 and 7. */
const twice = ({ cold }: Helpers): Observable<string> => cold("-x-----y|");

/** A timer begins again with each subscription. */
function isNoTimer({ name }: Creator): boolean {
	return !/timer|interval/i.test(name);
}

/** Work of eight frames for each value: the value after one, "1" after seven. */
const work =
	({ cold }: Helpers) =>
	(value: string): Observable<string> =>
		cold(`-${value}-----1|`);

const ROWS: readonly Row[] = [
	{ name: "nothing", apply: (source) => source, expected: UNCHANGED },
	{
		name: "share",
		apply(source) {
			const shared = source.pipe(share());
			return merge(shared, shared);
		},
		expected: {
			"goes on": "-----(aa)-(bb)-(cc)",
			completes: "-----(aa)-(bb)-(cc)|",
			lasts: "-----(aa)-(bb)-(cc)(zz|)",
			errors: "-----(aa)-(bb)-(cc)#",
		},
	},
	{
		name: "shareReplay",
		apply(source) {
			const shared = source.pipe(shareReplay({ bufferSize: 1, refCount: true }));
			return merge(shared, timer(12).pipe(switchMap(() => shared)));
		},
		expected: {
			"goes on": "-----a----b-b--(cc)",
			completes: "-----a----b-b--(cc)|",
			lasts: "-----a----b-b--(cc)(zz|)",
			errors: "-----a----b-b--(cc)#",
		},
	},
	{
		name: "repeat",
		apply: (source) => source.pipe(repeat({ count: 2, delay: 3 })),
		// What is over ends again at once.
		expected: ({ gone }) => ({
			...UNCHANGED,
			completes: "-----a----b----c------|",
			lasts: `-----a----b----c---z--${gone ? "#" : "(z|)"}`,
		}),
	},
	{
		name: "retry of an error of the source",
		apply: (source) => source.pipe(retry({ count: 2, delay: 3 })),
		expected: { ...UNCHANGED, errors: "-----a----b----c---------#" },
	},
	{
		name: "retry of an error behind the source",
		apply(source) {
			let thrown = false;
			const once = source.pipe(
				map((value) => {
					if (value !== "b" || thrown) return value;
					thrown = true;
					throw new Error("mine");
				}),
			);
			return once.pipe(retry({ count: 1, delay: 1 }));
		},
		expected: (creator) => {
			// In frame 11.
			if (!isNoTimer(creator)) return withEnds("-----a----------z--");
			return withEnds(creator.state ? "-----a-----b---c---" : "-----a---------c---");
		},
	},
	{
		name: "switchMap",
		apply: (source, { helpers }) => source.pipe(switchMap(work(helpers))),
		expected: {
			"goes on": "------a----b----c",
			completes: "------a----b----c-----1|",
			lasts: "------a----b----c---z-----1|",
			errors: "------a----b----c--#",
		},
	},
	{
		name: "exhaustMap",
		apply: (source, { helpers }) => source.pipe(exhaustMap(work(helpers))),
		expected: {
			"goes on": "------a-----1---c",
			completes: "------a-----1---c-----1|",
			lasts: "------a-----1---c-----1|",
			errors: "------a-----1---c--#",
		},
	},
	{
		name: "concatMap",
		apply: (source, { helpers }) => source.pipe(concatMap(work(helpers))),
		expected: {
			"goes on": "------a-----1-b",
			completes: "------a-----1-b-----1-c-----1|",
			lasts: "------a-----1-b-----1-c-----1-z-----1|",
			errors: "------a-----1-b----#",
		},
	},
	{
		name: "mergeMap",
		apply: (source, { helpers }) => source.pipe(mergeMap(work(helpers))),
		expected: {
			"goes on": "------a----b1---c1",
			completes: "------a----b1---c1----1|",
			lasts: "------a----b1---c1--z-1---1|",
			errors: "------a----b1---c1-#",
		},
	},
	{
		name: "bufferTime",
		apply: (source) =>
			source.pipe(
				bufferTime(7),
				map((values) => values.join("")),
			),
		values: { y: "cz" },
		expected: {
			"goes on": "-------a------b",
			completes: "-------a------b----(c|)",
			lasts: "-------a------b----(y|)",
			errors: "-------a------b----#",
		},
	},
	{
		name: "debounceTime",
		apply: (source) => source.pipe(debounceTime(3)),
		expected: {
			"goes on": "--------a----b----c",
			completes: "--------a----b----c|",
			lasts: "--------a----b----c(z|)",
			errors: "--------a----b----c#",
		},
	},
	{
		name: "debounceTime that is longer than the pauses",
		apply: (source) => source.pipe(debounceTime(7)),
		expected: {
			"goes on": "",
			completes: "-------------------(c|)",
			lasts: "-------------------(z|)",
			errors: "-------------------#",
		},
	},
	{
		name: "timeout that is kept",
		apply: (source) => source.pipe(timeout({ each: 6 })),
		expected: UNCHANGED,
	},
	{
		name: "timeout that passes, with another source",
		apply: (source) => source.pipe(timeout({ first: 6, each: 4, with: () => of("t") })),
		expected: always("-----a---(t|)"),
	},
	{
		name: "race that it wins",
		apply: (source) => race(source, after(8)),
		expected: UNCHANGED,
	},
	{
		name: "race that it loses",
		apply: (source) => race(source, after(3)),
		expected: always("---(t|)"),
	},
	{
		name: "combineLatest with another source",
		apply: (source, { helpers: { cold } }) =>
			combineLatest([source, cold("--1----2|")]).pipe(map((both) => both.join(""))),
		values: { A: "a1", B: "a2", C: "b2", D: "c2", E: "z2" },
		expected: {
			"goes on": "-----A-B--C----D",
			completes: "-----A-B--C----D---|",
			lasts: "-----A-B--C----D---(E|)",
			errors: "-----A-B--C----D---#",
		},
	},
	{
		name: "combineLatest with itself",
		fits: ({ multicast }) => multicast,
		apply: (source) => combineLatest([source, source]).pipe(map((both) => both.join(""))),
		values: { A: "aa", B: "ba", C: "bb", D: "cb", E: "cc", F: "zc", G: "zz" },
		expected: {
			"goes on": "-----A----(BC)-(DE)",
			completes: "-----A----(BC)-(DE)|",
			lasts: "-----A----(BC)-(DE)(FG|)",
			errors: "-----A----(BC)-(DE)#",
		},
	},
	{
		name: "takeUntil",
		apply: (source) => source.pipe(takeUntil(after(12))),
		expected: always("-----a----b-|"),
	},
	{
		name: "take inside of mergeWith",
		fits: ({ multicast }) => multicast,
		apply: (source) => source.pipe(take(1), mergeWith(source)),
		expected: {
			"goes on": "-----(aa)-b----c",
			completes: "-----(aa)-b----c---|",
			lasts: "-----(aa)-b----c---(z|)",
			errors: "-----(aa)-b----c---#",
		},
	},
	{
		name: "inside of switchMap, which subscribes again in the turn in which it leaves",
		fits: isNoTimer,
		apply: (source, { helpers }) => twice(helpers).pipe(switchMap(() => source)),
		expected: ({ state }) => withEnds(state ? "-----a-a--b----c---" : "-----a----b----c---"),
	},
	{
		name: "inside of exhaustMap",
		fits: isNoTimer,
		apply: (source, { helpers }) => twice(helpers).pipe(exhaustMap(() => source)),
		expected: UNCHANGED,
	},
	{
		name: "inside of concatMap, which subscribes again when it is over",
		fits: isNoTimer,
		apply: (source, { helpers }) => twice(helpers).pipe(concatMap(() => source)),
		expected: ({ gone }) => ({
			...UNCHANGED,
			lasts: `-----a----b----c---(z${gone ? "#" : "z|"})`,
		}),
	},
	{
		name: "inside of mergeMap",
		fits: (creator) => creator.multicast && isNoTimer(creator),
		apply: (source, { helpers }) => twice(helpers).pipe(mergeMap(() => source)),
		expected: ({ state }) => {
			const marbles = state ? "-----a-a--(bb)-(cc)" : "-----a----(bb)-(cc)";
			return { ...withEnds(marbles), lasts: `${marbles}(zz|)` };
		},
	},
	{
		name: "share, dematerialize, timeout, retry and takeUntil in a row",
		apply: (source) =>
			source.pipe(
				share(),
				materialize(),
				dematerialize(),
				timeout({ each: 6 }),
				retry(2),
				takeUntil(after(17)),
			),
		expected: always("-----a----b----c-|"),
	},
	{
		name: "materialize",
		apply: (source) => source.pipe(materialize(), map(shown)),
		expected: {
			"goes on": "-----a----b----c",
			completes: "-----a----b----c---(C|)",
			lasts: "-----a----b----c---(zC|)",
			errors: "-----a----b----c---(E|)",
		},
	},
];

/** Compares what a row makes of a creator's source. */
function check(row: Row, creator: Creator, ending: Ending): void {
	const { apply, expected, values = {} } = row;
	const marbles = (typeof expected === "function" ? expected(creator) : expected)[ending];
	const letters = Object.fromEntries([..."abctz12CE"].map((letter) => [letter, letter]));
	runOn((on) => {
		const source = perform(creator, ending, on);
		const coded = apply(source, on).pipe(catchError(({ code }) => throwError(() => code)));
		on.helpers
			.expectObservable(coded, ending === "goes on" ? LEAVES : undefined)
			.toBe(marbles, { ...letters, ...values }, creator.code);
	});
}

for (const row of ROWS) {
	const creators = CREATORS.filter(row.fits ?? (() => true));
	for (const creator of creators) {
		test(`${row.name}: ${creator.name}`, () => {
			for (const ending of endingsOf(creator)) check(row, creator, ending);
		});
	}
}

for (const creator of CREATORS) {
	test(`finalize runs once, when the source is over or left: ${creator.name}`, () => {
		for (const ending of endingsOf(creator)) {
			const frames: number[] = [];
			runOn((on) => {
				const source = perform(creator, ending, on);
				const finalized = source.pipe(
					catchError(() => EMPTY),
					finalize(() => frames.push(on.stage.frame())),
				);
				on.helpers.expectObservable(finalized, ending === "goes on" ? LEAVES : undefined);
			});
			assert.equal(frames, [END], ending);
		}
	});

	test(`firstValueFrom takes the first value and leaves nothing: ${creator.name}`, async () => {
		const values: Promise<string>[] = [];
		runOn((on) => {
			values.push(firstValueFrom(perform(creator, "goes on", on)));
			on.helpers.cold("------x").subscribe(() => checkClean(on.stage));
		});
		assert.equal(await Promise.all(values), ["a"]);
	});

	test(`firstValueFrom is told how a source ends that has nothing more: ${creator.name}`, async () => {
		const results: Promise<string>[] = [];
		const endings = endingsOf(creator).filter((ending) => ending !== "goes on");
		for (const ending of endings) {
			runOn((on) => {
				const rest = perform(creator, ending, on).pipe(skip(3));
				const first = firstValueFrom(rest, { defaultValue: "nothing" });
				results.push(first.catch(({ code }) => code));
			});
		}
		const told = { completes: "nothing", lasts: "z", errors: creator.code };
		assert.equal(
			await Promise.all(results),
			endings.map((ending) => told[ending]),
		);
	});
}

test.run();
