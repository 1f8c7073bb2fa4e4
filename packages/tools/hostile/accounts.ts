// What accounts are charged for: that it is what a walk through a machine finds, and in the end nothing.
import type { Kernel, Limits, Process } from "@kqpoll/kqueue";
import type { File } from "@kqpoll/kqueue/kernel";

type Account = Process["account"];
type Resource = keyof Limits;

/** What a walk has found that is charged to one account. */
export type Tally = Partial<Record<Resource, number>>;

/** What a walk has found that is charged, by account. */
export class Tallies {
	private readonly tallies: Map<Account, Tally> = new Map();

	/** Finds `n` more of something that an account is charged for. */
	add(account: Account, resource: Resource, n: number): void {
		const tally = this.of(account);
		tally[resource] = (tally[resource] ?? 0) + n;
	}

	/** What was found of an account. */
	of(account: Account): Tally {
		let tally = this.tallies.get(account);
		if (tally === undefined) {
			tally = {};
			this.tallies.set(account, tally);
		}
		return tally;
	}
}

/** Which resources a walk finds all of. */
const WALKED: readonly Resource[] = ["processes", "threads", "knotes", "timers"];

/** What is charged, and what a walk has found. */
export interface Walked {
	readonly kernel: Kernel;
	/** All accounts of the machine. */
	readonly accounts: ReadonlySet<Account>;
	readonly found: Tallies;
	/** The open files that were found. */
	readonly files: Iterable<File>;
	/** Whether there are no other open files. */
	readonly exact: boolean;
}

/** What is wrong with what accounts are charged for; null if nothing is. */
export function wrongCharge({ kernel, accounts, found, files, exact }: Walked): string | null {
	return (
		wrongSum(kernel, accounts) ??
		wrongCount(accounts, WALKED, found, true) ??
		wrongCount(accounts, ["packets"], found, exact) ??
		wrongFiles(accounts, files, exact) ??
		wrongPtys(kernel, files, exact)
	);
}

function wrongSum(kernel: Kernel, accounts: ReadonlySet<Account>): string | null {
	for (const resource of Object.keys(kernel.account) as Resource[]) {
		let sum = 0;
		for (const account of accounts) {
			const { used } = account[resource];
			if (!Number.isSafeInteger(used) || used < 0) return `an account uses ${used} ${resource}`;
			sum += used;
		}
		const { used } = kernel.account[resource];
		if (used !== sum) return `the machine uses ${used} ${resource}, its accounts ${sum}`;
	}
	return null;
}

function wrongCount(
	accounts: ReadonlySet<Account>,
	resources: readonly Resource[],
	found: Tallies,
	exact: boolean,
): string | null {
	for (const account of accounts) {
		for (const resource of resources) {
			const { used } = account[resource];
			const n = found.of(account)[resource] ?? 0;
			if (used < n || (exact && used !== n))
				return `an account uses ${used} ${resource}, ${n} were found`;
		}
	}
	return null;
}

function wrongFiles(
	accounts: ReadonlySet<Account>,
	files: Iterable<File>,
	exact: boolean,
): string | null {
	const found = new Map<unknown, number>();
	for (const { payer } of files) found.set(payer, (found.get(payer) ?? 0) + 1);
	for (const account of accounts) {
		const { used } = account.files;
		const n = found.get(account.files) ?? 0;
		if (used < n || (exact && used !== n)) return `an account uses ${used} files, ${n} were found`;
	}
	return null;
}

function wrongPtys(kernel: Kernel, files: Iterable<File>, exact: boolean): string | null {
	const ptys = new Set<unknown>();
	// A slave that was revoked is closed already, for its terminal.
	for (const file of files)
		if ("pty" in file && !("revoked" in file && file.revoked)) ptys.add(file.pty);
	const { used } = kernel.account.ptys;
	const wrong = used < ptys.size || (exact && used !== ptys.size);
	return wrong ? `the machine uses ${used} ptys, ${ptys.size} were found` : null;
}

/** What is still charged after all processes have ended; null if nothing is. */
export function stillCharged(kernel: Kernel, accounts: ReadonlySet<Account>): string | null {
	for (const resource of Object.keys(kernel.account) as Resource[]) {
		const { used } = kernel.account[resource];
		if (used !== 0) return `the machine is left with ${used} ${resource}`;
		for (const account of accounts) {
			const { used: left } = account[resource];
			if (left !== 0) return `an account is left with ${left} ${resource}`;
		}
	}
	return null;
}
