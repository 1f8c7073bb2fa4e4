// struct kqueue: the knotes of one queue, those of them that are ready, its sleepers and watchers.
import type { Runnable } from "../base/run-queue.ts";
import type { FileTable } from "../file/filedesc.ts";
import type { Machine } from "../process/machine.ts";
import type { Thread } from "../process/thread.ts";
import { WaitChannel } from "../sched/wait-channel.ts";
import type { Filterops } from "./filterops.ts";
import { KnoteList } from "./klist.ts";
import type { Knote } from "./knote.ts";

/** Gets the events of a kqueue that no descriptor refers to. */
export interface KqueueOwner {
	/** Whether the owner has to be told that `thread` closes the descriptor of a knote. */
	expects(kn: Knote, thread: Thread | null): boolean;
	/** A knote was put on the ready list. */
	woken(): void;
	/** The last callback that was running for its knotes is done. */
	rested(): void;
}

/** A kernel event queue. Only the engine changes it. */
export class Kqueue {
	/** Its number, in order of creation, for the trace sink. */
	readonly id: number;
	/** The machine it is on. */
	readonly kernel: Machine;
	/** The descriptor table it belongs to. */
	readonly fdp: FileTable;
	/** The filters of the system by the complement of their number. */
	readonly sysfilters: readonly (Filterops | null)[];
	/** How many references there are to it: from its file or thread, and from scans in progress. */
	refs = 1;
	/** The list of ready knotes: the first, which is scanned next. */
	first: Knote | null = null;
	/** The list of ready knotes: the last. */
	last: Knote | null = null;
	/** How many knotes are on that list, disabled ones too. */
	count = 0;
	/** How many times a knote was put on that list, modulo TQSEQ_MAX + 1. */
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
	/** How many callbacks are running for its knotes: 0 except inside a callback. */
	busy = 0;
	/**
	 * The lists of knotes by descriptor, KQEXTENT of them in each page; a page without a knote so far is
	 * empty.
	 */
	readonly knlist: (Knote | null)[][] = [];
	/** The lists of the other knotes by hash; empty before there is one. */
	readonly knhash: (Knote | null)[] = [];
	/** What makes its hash unlike that of others. */
	seed = 0;
	/** For descriptors with a long list, its knotes by their keys; null before there is one. */
	indexes: Map<number, Map<number, Knote>> | null = null;
	/** KQ_ bits. */
	state = 0;
	/** What gets its events, if programs do not; null for a kqueue of programs. */
	owner: KqueueOwner | null = null;
	/** What scans sleep on. */
	readonly channel: WaitChannel = new WaitChannel();
	/** The task that notifies `klist`; null before the first watcher. */
	task: Runnable | null = null;

	/** Made by kqueueAlloc. */
	constructor(kernel: Machine, fdp: FileTable, sysfilters: readonly (Filterops | null)[]) {
		this.id = kernel.nkqueues++;
		this.kernel = kernel;
		this.fdp = fdp;
		this.sysfilters = sysfilters;
	}
}
