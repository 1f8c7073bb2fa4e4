// What a process and its descendants use of a machine, and how much they may.
import { errno, SystemError } from "../abi/errno.ts";

/** How much of each thing there may be at a time: whole numbers from 0 on, or Infinity. */
export interface Limits {
	/** Processes, with those that have exited and were not waited for. Beyond it: EAGAIN. */
	readonly processes: number;
	/** Threads. Each sleeps in one call, so this limits sleepers and their time-outs. EAGAIN. */
	readonly threads: number;
	/** Open files, and connections that wait to be accepted. ENFILE; ECONNREFUSED for a connection. */
	readonly files: number;
	/** Knotes: one for each watched event, those of poll and select among them. ENOMEM. */
	readonly knotes: number;
	/** EVFILT_TIMERs. ENOMEM. */
	readonly timers: number;
	/** Watches: subscriptions to events by watchKevent, kevents and observables. EAGAIN. */
	readonly watches: number;
	/** Bytes in sockets, and of the memory of pipes and fifos. ENOBUFS, ENOMEM for a pipe. */
	readonly bytes: number;
	/** Packets in sockets: messages, even empty ones, and pieces of streams. ENOBUFS. */
	readonly packets: number;
	/** Open files in messages that were not received yet, each time they were sent. EMFILE. */
	readonly inflight: number;
	/** How deep such messages are nested: in a socket in a message in a socket … ENOBUFS. */
	readonly nesting: number;
	/** Ports of sockets. EADDRNOTAVAIL. */
	readonly ports: number;
	/** Pseudo-terminals. ENXIO. */
	readonly ptys: number;
}

/** What is limited. */
export type Resource = keyof Limits;

const MEBI = 2 ** 20;

/** The limits of an account by default: large enough that an honest program does not meet them. */
export const ACCOUNT_LIMITS: Limits = {
	processes: 4096,
	threads: 131_072,
	files: 131_072,
	knotes: MEBI,
	timers: 65_536,
	watches: 65_536,
	bytes: 256 * MEBI,
	packets: 65_536,
	inflight: 16_384,
	nesting: 8192,
	ports: 12_288,
	ptys: 496,
};

/** The limits of a machine by default: what one account may use leaves enough for others. */
export const MACHINE_LIMITS: Limits = {
	processes: 16_384,
	threads: 524_288,
	files: 524_288,
	knotes: 4 * MEBI,
	timers: 262_145,
	watches: 262_144,
	bytes: 1024 * MEBI,
	packets: 262_144,
	inflight: 65_536,
	nesting: 16_384,
	ports: 65_536,
	ptys: 992,
};

/** How much of one thing an account, or the whole machine, uses and may use. */
export class Quota {
	/** How much is in use. */
	used = 0;
	/** How much may be in use. It may be changed: what is above a lower limit stays. */
	limit: number;
	/** The same of the whole machine; null for the machine itself. */
	private readonly machine: Quota | null;

	/** Nothing is in use yet. */
	constructor(limit: number, machine: Quota | null) {
		this.limit = limit;
		this.machine = machine;
	}

	/** Whether `n` more may be used, here and on the whole machine. */
	hasRoom(n: number): boolean {
		const { machine } = this;
		if (this.used + n > this.limit) return false;
		return machine === null || machine.used + n <= machine.limit;
	}

	/** Uses `n` more, and returns whether they may be used; if not, nothing changes. */
	charge(n: number): boolean {
		if (!this.hasRoom(n)) return false;
		this.force(n);
		return true;
	}

	/** Uses `n` more, whatever the limit: for what {@link hasRoom} has been asked about. */
	force(n: number): void {
		this.used += n;
		if (this.machine !== null) this.machine.used += n;
	}

	/** Whether more than half of a limit is used: then nothing should be kept that is not needed. */
	get scarce(): boolean {
		const { machine } = this;
		if (2 * this.used > this.limit) return true;
		return machine !== null && 2 * machine.used > machine.limit;
	}

	/** Which limit is reached, in words. */
	explain(what: string): string {
		const { machine } = this;
		const ours = machine === null || machine.hasRoom(1);
		const { limit } = ours ? this : machine;
		return `the limit of ${what} ${ours ? "" : "of the machine "}is ${limit}`;
	}

	/** `n` of them are not used any more. */
	release(n: number): void {
		this.used -= n;
		if (this.machine !== null) this.machine.used -= n;
	}
}

/**
 * What a process and those that descend from it by fork use together: a quota for each resource.
 * What one of them makes is charged until it is gone, even when others use it then. Source:
 * struct uidinfo, which counts for a user.
 */
export type Account = { readonly [R in Resource]: Quota };

/** Makes an account with nothing in use. EINVAL for a limit that is not a number from 0 on. */
export function makeAccount(
	limits: Partial<Limits> | undefined,
	defaults: Limits,
	machine: Account | null,
	syscall: string,
): Account {
	const quotas: Partial<Record<Resource, Quota>> = {};
	for (const key of Object.keys(defaults)) {
		const resource = key as Resource;
		const limit = checkLimit(limits?.[resource] ?? defaults[resource], resource, syscall);
		quotas[resource] = new Quota(limit, machine?.[resource] ?? null);
	}
	return quotas as Account;
}

function checkLimit(limit: number, resource: Resource, syscall: string): number {
	if (limit === Number.POSITIVE_INFINITY || (Number.isSafeInteger(limit) && limit >= 0))
		return limit;
	const rule = "is neither a whole number from 0 on nor Infinity";
	throw new SystemError(errno.EINVAL, syscall, `the limit of ${resource} ${rule}`);
}

/** Why a charge was refused, for the message of an error. */
export function limitOf(account: Account, resource: Resource): string {
	return account[resource].explain(resource);
}
