// What must hold of a machine between two operations, and what must be left of it at the end.
import { type Packet, Socket } from "@kqpoll/files/kernel";
import { EVFILT_TIMER, type Kernel, type Process, type Thread } from "@kqpoll/kqueue";
import {
	type File,
	type Klist,
	type Knote,
	type Kqueue,
	kqueueDoCheck,
} from "@kqpoll/kqueue/kernel";
import { stillCharged, Tallies, wrongCharge } from "./accounts.ts";

type Account = Process["account"];

/** The list of knotes of an object. */
type List = NonNullable<Knote["klist"]>;

/** A part of a file that has watchers. */
interface Watched {
	readonly klist?: Klist;
}

/** What was counted on a walk through a machine. */
class Count {
	readonly knotes: Set<Knote> = new Set();
	readonly lists: Set<List> = new Set();
	readonly refs: Map<File, number> = new Map();
	readonly sockets: Set<Socket> = new Set();
	readonly charged: Tallies = new Tallies();
	timers = 0;
	asleep = 0;
	pumps = 0;
	/** Whether a sleeping call may hold files that this walk does not see. */
	holds = false;

	refer(file: File): void {
		this.refs.set(file, (this.refs.get(file) ?? 0) + 1);
		if (file instanceof Socket) this.reach(file);
	}

	/** Counts what travels to a socket, its connections and its peer. */
	private reach(socket: Socket): void {
		if (this.sockets.has(socket)) return;
		this.sockets.add(socket);
		this.carry(socket.rcv.first);
		this.carry(socket.snd.first);
		for (const each of socket.queue) this.reach(each);
		const { peer } = socket as Socket & { readonly peer?: Socket | null };
		if (peer instanceof Socket) this.reach(peer);
	}

	/** Counts packets in a buffer, with what they carry. */
	private carry(first: Packet | null): void {
		for (let packet = first; packet !== null; packet = packet.next) {
			if (packet.payer !== null) this.charged.add(packet.payer, "packets", 1);
			for (const file of packet.rights?.files ?? []) this.refer(file);
		}
	}
}

function must(condition: boolean, what: string): void {
	if (!condition) throw new Error(`invariant: ${what}`);
}

/** Throws unless what a machine and its accounts count is what a walk through it finds. */
export function checkMachine(kernel: Kernel, accounts: ReadonlySet<Account>): void {
	const count = new Count();
	for (const process of kernel.processes.values()) walkProcess(process, count);
	for (const list of count.lists) checkList(list, count.knotes);
	must(kernel.ntimers === count.timers, `${kernel.ntimers} timers, ${count.timers} on lists`);
	must(kernel.sleepers >= count.asleep, `${kernel.sleepers} sleepers, ${count.asleep} asleep`);
	must(kernel.timeouts.size <= 200, `${kernel.timeouts.size} timeouts, more than there can be`);
	checkReferences(count);
	const files = new Set<File>([...count.refs.keys(), ...count.sockets]);
	const wrong = wrongCharge({
		kernel,
		accounts,
		found: count.charged,
		files,
		exact: !count.holds,
	});
	must(wrong === null, wrong ?? "");
}

function checkReferences({ refs, holds }: Count): void {
	for (const [file, n] of refs) {
		const exact = !holds && file.refs !== n;
		if (file.refs < n || exact)
			must(
				false,
				`a ${file.type} (${file.constructor.name}) has ${file.refs} references, ${n} were found`,
			);
	}
}

function walkProcess(process: Process, count: Count): void {
	const { account, fdp, klist, kernel, pid, threads } = process;
	count.charged.add(account, "processes", 1);
	count.charged.add(account, "threads", threads.length);
	must(process.pgrp.members.has(process), `process ${pid} is in its group`);
	must(
		kernel.pgrps.get(process.pgrp.pgid) === process.pgrp,
		`the group of process ${pid} is known`,
	);
	count.lists.add(klist);
	if (process.exiting) {
		must(process.zombie, `process ${pid} has ended when its exit returns`);
		must(threads.length === 0, `process ${pid} has no threads after its end`);
		must(fdp.firstKqueue === null, `process ${pid} has no kqueues after its end`);
		must(fdp.open().next().done === true, `process ${pid} has no descriptors after its end`);
		return;
	}
	for (const child of process.children) must(child.parent === process, "a child knows its parent");
	for (const fd of fdp.open()) count.refer(fdp.get(fd) as File);
	let previous: Kqueue | null = null;
	for (let kq = fdp.firstKqueue; kq !== null; kq = kq.next) {
		must(kq.prev === previous, "the kqueues of a table are linked both ways");
		walkKqueue(kq, count);
		previous = kq;
	}
	for (const thread of threads) walkThread(thread, count);
}

function walkKqueue(kq: Kqueue, count: Count): void {
	kqueueDoCheck(kq);
	must(kq.busy === 0, `kqueue ${kq.id} is busy between calls`);
	count.lists.add(kq.klist);
	let hashed = 0;
	let all = 0;
	for (const lists of [...kq.knlist, kq.knhash]) {
		for (const first of lists) {
			for (let kn = first; kn !== null; kn = kn.link) {
				walkKnote(kn, kq, count);
				all++;
				if (lists === kq.knhash) hashed++;
			}
		}
	}
	count.charged.add(kq.fdp.account, "knotes", all);
	must(kq.nknotes === all, `kqueue ${kq.id} counts ${kq.nknotes} knotes and has ${all}`);
	must(kq.nhashed === hashed, `kqueue ${kq.id} counts ${kq.nhashed} in its hash and has ${hashed}`);
}

function walkKnote(kn: Knote, kq: Kqueue, count: Count): void {
	must(kn.kq === kq, "a knote is on its kqueue");
	must(!count.knotes.has(kn), "a knote is on one list of its kqueue");
	count.knotes.add(kn);
	if (kn.filter === EVFILT_TIMER) {
		count.timers++;
		count.charged.add(kq.fdp.account, "timers", 1);
	}
	if (kn.fp !== null) count.refer(kn.fp);
	if (kn.klist !== null) count.lists.add(kn.klist);
}

/** Every knote on the list of an object is one of a kqueue, and knows the list. */
function checkList(list: List, knotes: ReadonlySet<Knote>): void {
	must(!list.walking, "no list is walked between calls");
	let previous: Knote | null = null;
	for (let kn = list.first; kn !== null; kn = kn.selnext) {
		must(kn.selprev === previous, "a list of knotes is linked both ways");
		must(kn.klist === list, "a knote knows the list that it is on");
		must(knotes.has(kn), "a knote that watches an object belongs to a kqueue");
		previous = kn;
	}
}

const RESTING: ReadonlySet<string> = new Set([
	"kevent",
	"nanosleep",
	"pause",
	"poll",
	"ppoll",
	"pselect",
	"select",
	"sigsuspend",
	"sigwait",
	"waitpid",
]);

function walkThread(thread: Thread, count: Count): void {
	const { call, channel, depth, process, state, tid } = thread;
	must(process.threads.includes(thread), `thread ${tid} is one of its process`);
	must(state !== "exited", `thread ${tid} has ended and is still there`);
	must(depth === 0, `thread ${tid} is inside a call`);
	must(
		(state === "running") === (call === null),
		`thread ${tid} is ${state} and has ${call === null ? "no" : "a"} call`,
	);
	must(
		(state === "asleep") === (channel !== null),
		`thread ${tid} is ${state}, its channel disagrees`,
	);
	must(!thread.polling || state !== "running", `thread ${tid} is polling and does not sleep`);
	must(thread.oldmask === null || state !== "running", `thread ${tid} has a mask to put back`);
	if (state === "ready") must(thread.queued, `thread ${tid} was woken and is not queued`);
	if (call !== null && !RESTING.has(call.syscall)) count.holds = true;
	if (channel === null) return;
	count.asleep++;
	let found = false;
	let previous: Thread | null = null;
	for (let each = channel.first; each !== null; each = each.sleepnext) {
		must(each.sleepprev === previous, "the sleepers of a channel are linked both ways");
		must(each.channel === channel, "a sleeper knows its channel");
		found ||= each === thread;
		previous = each;
	}
	must(channel.last === previous, "a channel knows its last sleeper");
	must(found, `thread ${tid} sleeps on its channel`);
}

/** What is left of a machine after all its processes have ended; null if nothing is. */
export function remains(
	kernel: Kernel,
	files: ReadonlySet<File>,
	accounts: ReadonlySet<Account>,
): string | null {
	const counts = {
		processes: kernel.processes.size,
		groups: kernel.pgrps.size,
		sleepers: kernel.sleepers,
		timeouts: kernel.timeouts.size,
		timers: kernel.ntimers,
	};
	for (const [what, n] of Object.entries(counts)) if (n !== 0) return `${n} ${what} are left`;
	for (const file of files) {
		const name = `a ${file.type} (${file.constructor.name})`;
		if (file.refs !== 0) return `${name} is left with ${file.refs} references`;
		if (isWatched(file)) return `${name} is left with a watcher`;
	}
	return stillCharged(kernel, accounts);
}

function isWatched(file: File): boolean {
	const { klist } = file as Watched;
	const lists = file instanceof Socket ? [file.rcv.klist, file.snd.klist] : [klist];
	return lists.some((list) => list !== undefined && list.first !== null);
}
