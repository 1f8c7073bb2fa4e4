// What programs see of the structures that the engine shares with them: these members and no others.
import type { SubscriptionSet } from "@kqpoll/kqpoll/kernel";
import type { Kernel, Process, SyntheticFile, Thread } from "@kqpoll/kqueue";
import type { Driver, File, Klist, Knote, Machine, WaitChannel } from "@kqpoll/kqueue/kernel";

/** True if both unions have the same members. */
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : never) : never;

type MachineMembers =
	| "host"
	| "processes"
	| "account"
	| "maxfiles"
	| "maxprocesses"
	| "timermax"
	| "sink"
	| "diagnostics"
	| "spawn";

export const kernel: Same<keyof Kernel, MachineMembers> = true;
export const machine: Same<keyof Machine, MachineMembers> = true;
export const thread: Same<keyof Thread, "tid" | "kernel" | "process" | "state"> = true;
export const process: Same<
	keyof Process,
	| "kernel"
	| "pid"
	| "parent"
	| "children"
	| "threads"
	| "account"
	| "pledge"
	| "main"
	| "spawnThread"
> = true;

// What the author of a filter reads and writes, and nothing by which knotes hang together.
export const knote: Same<
	keyof Knote,
	| "ident"
	| "filter"
	| "pollid"
	| "flags"
	| "fflags"
	| "data"
	| "udata"
	| "status"
	| "sfflags"
	| "sdata"
	| "fp"
	| "fop"
	| "hook"
	| "kq"
	| "klist"
> = true;
export const klist: Same<keyof Klist, "empty" | "insert" | "remove" | "notify" | "invalidate"> =
	true;
export const channel: Same<keyof WaitChannel, never> = true;
export const driver: Same<keyof Driver, "woken" | "done" | "failed"> = true;
export const file: Same<Extract<keyof File, "refs">, never> = true;
export const synthetic: Same<Extract<keyof SyntheticFile, "side" | "readSide">, never> = true;

// What a host fills, and reads after the call.
export const subscriptions: Same<
	keyof SubscriptionSet,
	| "length"
	| "reserve"
	| "type"
	| "ident"
	| "flags"
	| "timeout"
	| "userdata"
	| "nevents"
	| "events"
	| "error"
	| "nbytes"
	| "hangup"
> = true;
