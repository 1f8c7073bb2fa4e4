// struct kqueue: the knotes of one queue, those of them that are ready, and who sleeps on it.
import type { Runnable } from "../base/run-queue.ts";
import type { FileTable } from "../file/filedesc.ts";
import type { Machine } from "../process/machine.ts";
import type { Thread } from "../process/thread.ts";
import { WaitChannel } from "../sched/wait-channel.ts";
import type { Filterops } from "./filterops.ts";
import { KnoteList } from "./klist.ts";
import type { Knote } from "./knote.ts";

/** Takes the events of a kqueue that no descriptor refers to. */
export interface KqueueOwner {
	/** Whether a knote whose descriptor is closed by `thread` has to tell of it. */
	expects(kn: Knote, thread: Thread | null): boolean;
	/** A knote came to the ready list. */
	woken(): void;
}

/** A kernel event queue. The engine alone changes it. */
export class Kqueue {
	/** Its number, in order of creation, for the trace sink. */
	readonly id: number;
	/** The machine it is on. */
	readonly kernel: Machine;
	/** The descriptor table it belongs to. */
	readonly fdp: FileTable;
	/** The filters of the system by the complement of their number. */
	readonly sysfilters: readonly (Filterops | null)[];
	/** How many users it has: its descriptor or thread, and the scans under way. */
	refs = 1;
	/** The list of ready knotes: the one that is scanned next. */
	first: Knote | null = null;
	/** The list of ready knotes: the one that came last. */
	last: Knote | null = null;
	/** How many knotes are on that list, disabled ones too. */
	count = 0;
	/** Counts the knotes that ever came to that list, modulo TQSEQ_MAX + 1. */
	tqseq = 0;
	/** The knotes, of other kqueues or its own, that watch this one. */
	readonly klist: KnoteList = new KnoteList();
	/** Neighbours on the list of the descriptor table, newest first. */
	next: Kqueue | null = null;
	/** Neighbours on the list of the descriptor table, newest first. */
	prev: Kqueue | null = null;
	/** How many knotes are attached. */
	nknotes = 0;
	/** How many of them have no descriptor. */
	nhashed = 0;
	/** How many callbacks are at work on its knotes: only a callback ever sees another number than 0. */
	busy = 0;
	/** The lists of knotes by descriptor. */
	readonly knlist: (Knote | null)[] = [];
	/** The lists of the other knotes by hash; empty before the first of them. */
	readonly knhash: (Knote | null)[] = [];
	/** KQ_ bits. */
	state = 0;
	/** What takes its events instead of programs; null for a kqueue of programs. */
	owner: KqueueOwner | null = null;
	/** Where scans sleep. */
	readonly channel: WaitChannel = new WaitChannel();
	/** The task that notifies `klist`, from the first watcher on. */
	task: Runnable | null = null;

	/** Made by kqueueAlloc. */
	constructor(kernel: Machine, fdp: FileTable, sysfilters: readonly (Filterops | null)[]) {
		this.id = kernel.nkqueues++;
		this.kernel = kernel;
		this.fdp = fdp;
		this.sysfilters = sysfilters;
	}
}
