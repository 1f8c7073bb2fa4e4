// A contest: several ways of doing the same work, measured in turn, round after round.
import { median, quantile } from "simple-statistics";

/** One way of doing the work. */
export interface Contestant {
	/** Its name in the table; the first of a contest is ours. */
	readonly name: string;
	/** Does the work once; returns how long that took, in nanoseconds, without the preparation. */
	readonly run: () => number | Promise<number>;
	/** Releases what it holds. */
	readonly close?: () => void | Promise<void>;
}

/** Some work, and the contestants that do it. */
export interface Contest {
	/** The row's name, the same in every release. */
	readonly name: string;
	/** How large the work is: descriptors, timers, bytes. */
	readonly n: number;
	/** What is counted: events, descriptors, turns. */
	readonly unit: string;
	/** How many of those units one run does. */
	readonly count: number;
	/** The contestants, ours first. */
	readonly contestants: readonly Contestant[];
}

/** The result of one contestant, in nanoseconds a unit. */
export interface Result {
	readonly row: string;
	readonly n: number;
	readonly unit: string;
	readonly contestant: string;
	/** The median of all rounds. */
	readonly median: number;
	/** The middle half of all rounds lies between these. */
	readonly lower: number;
	readonly upper: number;
	/** How many rounds there were. */
	readonly rounds: number;
	/** The median as a multiple of the first contestant's. */
	readonly ratio: number;
}

/**
 * Measures a contest. Each contestant runs once in every round: conditions are the same for all.
 */
export async function measure(contest: Contest, rounds: number): Promise<Result[]> {
	const { contestants, count, name: row, n, unit } = contest;
	const times: number[][] = contestants.map(() => []);
	try {
		// The first two rounds are for the compiler.
		for (let round = -2; round < rounds; round++) {
			for (const [i, { run }] of contestants.entries()) {
				const time = (await run()) / count;
				if (round >= 0) times[i]?.push(time);
			}
		}
	} finally {
		for (const { close } of contestants) await close?.();
	}
	const first = median(times[0] as number[]);
	return contestants.map(({ name }, i) => {
		const own = times[i] as number[];
		return {
			row,
			n,
			unit,
			contestant: name,
			median: median(own),
			lower: quantile(own, 0.25),
			upper: quantile(own, 0.75),
			rounds,
			ratio: median(own) / first,
		};
	});
}

/** How long something takes, in nanoseconds. */
export function timed(act: () => void): number {
	const before = process.hrtime.bigint();
	act();
	return Number(process.hrtime.bigint() - before);
}

/** How long it takes until a promise is settled, in nanoseconds. */
export async function timedAsync(act: () => Promise<void>): Promise<number> {
	const before = process.hrtime.bigint();
	await act();
	return Number(process.hrtime.bigint() - before);
}
