// struct filedesc: the descriptor table of a process.
import { INT_MAX, NDEXTENT, NDFILE } from "../abi/constants.ts";
import { errno, SystemError, unwrap } from "../abi/errno.ts";
import { show } from "../abi/values.ts";
import { type Account, limitOf } from "../base/account.ts";
import type { RunQueue } from "../base/run-queue.ts";
import type { Kqueue } from "../event/kqueue.ts";
import type { Thread } from "../process/thread.ts";
import { FdMap } from "./fd-map.ts";
import { type File, fileCharge, fileHold } from "./file.ts";

const NONE: readonly Kqueue[] = [];

/** The open files of a process, by descriptor number. */
export class FileTable {
	/** The files. The length is the size of the table: 20, then 50, then doubled each time. */
	private readonly files: (File | null)[] = new Array<File | null>(NDFILE).fill(null);
	/** The descriptors that exec closes. */
	private readonly cloexec: Set<number> = new Set();
	/** The numbers that calls have reserved: neither free nor open. */
	private readonly reserved: Set<number> = new Set();
	/** The numbers that are open or reserved. */
	private readonly used: FdMap = new FdMap();
	/** No number below this one is free. */
	private lowest = 0;
	/** For each number the kqueues that have knotes of it: none, one or several. */
	private readonly watchers: (Kqueue | Set<Kqueue> | null)[] = [];
	/** How many descriptors there may be: all are below this number. */
	limit: number;
	/** The account of the process, to which new open files and knotes are charged. */
	readonly account: Account;
	/**
	 * A thread with a pending signal that ends the process of the table. The end has to wait until a
	 * callback for one of the process's calls or kqueues is done.
	 * @internal
	 */
	doomed: Thread | null = null;
	/** The kqueues of the table, newest first. */
	firstKqueue: Kqueue | null = null;

	/** Makes an empty table. */
	constructor(limit: number, account: Account) {
		this.limit = limit;
		this.account = account;
	}

	/** How many descriptors the table has room for now; select ignores larger ones. */
	get size(): number {
		return this.files.length;
	}

	/** The file that a descriptor refers to; null if it is not open, or `fd` is not a descriptor. */
	get(fd: number): File | null {
		return typeof fd === "number" && fd >= 0 && fd < this.files.length
			? (this.files[fd] ?? null)
			: null;
	}

	/** The lowest free number that is not below `from`, or -EMFILE. Makes room for it. */
	findFree(from = 0): number {
		const fd = this.used.nextFree(Math.max(from, this.lowest));
		if (from <= this.lowest) this.lowest = fd;
		if (!(fd < this.limit)) return -errno.EMFILE;
		this.makeRoom(fd);
		return fd;
	}

	/** The lowest free number for a file that is new, -EMFILE, or -ENFILE with too many open files. */
	findNew(): number {
		const fd = this.findFree();
		return fd >= 0 && !this.account.files.hasRoom(1) ? -errno.ENFILE : fd;
	}

	/**
	 * Reserves the lowest free number for a call that will insert a file there, or release it. Returns
	 * it, or -EMFILE. Until then the number is not open, and no other call gets it. Source: falloc.
	 */
	reserve(): number {
		const fd = this.findFree();
		if (fd >= 0) {
			this.reserved.add(fd);
			this.used.add(fd);
		}
		return fd;
	}

	/** Whether a call has reserved the number. */
	isReserved(fd: number): boolean {
		return this.reserved.has(fd);
	}

	/** Makes a reserved number free again. Source: fdremove. */
	release(fd: number): void {
		if (this.reserved.delete(fd)) this.free(fd);
	}

	private free(fd: number): void {
		this.used.delete(fd);
		if (fd < this.lowest) this.lowest = fd;
	}

	/** Grows until `fd` fits: to 50, then by doubling. */
	makeRoom(fd: number): void {
		let size = this.files.length;
		while (size <= fd) size = size < NDEXTENT ? NDEXTENT : size * 2;
		while (this.files.length < size) this.files.push(null);
	}

	/**
	 * Puts a file at a free or reserved number, which there is room for, and adds a reference to it.
	 */
	insert(fd: number, file: File): void {
		fileHold(file);
		fileCharge(file, this.account.files);
		if (this.reserved.size > 0) this.reserved.delete(fd);
		this.used.add(fd);
		this.files[fd] = file;
	}

	/**
	 * Puts another file at a number, or no file. Returns the file that was there, with its reference.
	 */
	replace(fd: number, file: File | null): File | null {
		const old = this.get(fd);
		if (file !== null) {
			fileHold(file);
			this.used.add(fd);
		} else if (old !== null) this.free(fd);
		this.files[fd] = file;
		this.cloexec.delete(fd);
		return old;
	}

	/** Whether exec closes the descriptor. */
	isCloexec(fd: number): boolean {
		return this.cloexec.has(fd);
	}

	/** Sets whether exec closes the descriptor. */
	setCloexec(fd: number, close: boolean): void {
		if (close) this.cloexec.add(fd);
		else this.cloexec.delete(fd);
	}

	/** Whether a number can be a descriptor of this table. */
	isValid(fd: number): boolean {
		return Number.isInteger(fd) && fd >= 0 && fd <= INT_MAX && fd < this.limit;
	}

	/** Lets `doomed` end its process. @internal */
	endDoomed(runqueue: RunQueue): void {
		const thread = this.doomed as Thread;
		this.doomed = null;
		runqueue.add(thread);
	}

	/** Whether a number from `from` on is reserved. */
	hasReserved(from: number): boolean {
		for (const fd of this.reserved) if (fd >= from) return true;
		return false;
	}

	/** The open descriptors from `from` on, ascending. */
	*open(from = 0): Generator<number> {
		if (from >= this.files.length) return;
		for (let fd = this.used.next(from); fd >= 0; fd = this.used.next(fd + 1))
			if (this.files[fd] !== null) yield fd;
	}

	/**
	 * The table that fork makes for a child: the same files at the same numbers, without kqueues and
	 * reserved numbers, and no more than twice the room that the parent uses. Source: fdcopy.
	 */
	copy(): FileTable {
		const copy = new FileTable(this.limit, this.account);
		let last = -1;
		for (const fd of this.open()) last = fd;
		for (const fd of this.reserved) last = Math.max(last, fd);
		let size = last < NDFILE ? NDFILE : this.files.length;
		while (size >= 2 * NDEXTENT && size > 2 * last) size >>= 1;
		copy.makeRoom(size - 1);
		for (const fd of this.open()) {
			const file = this.files[fd] as File;
			if (file.type === "kqueue") continue;
			copy.insert(fd, file);
			copy.setCloexec(fd, this.isCloexec(fd));
		}
		return copy;
	}

	/** A kqueue has its first knote of the number. */
	watched(fd: number, kq: Kqueue): void {
		while (this.watchers.length <= fd) this.watchers.push(null);
		const kqueues = this.watchers[fd] ?? null;
		if (kqueues instanceof Set) kqueues.add(kq);
		else this.watchers[fd] = kqueues === null ? kq : new Set([kqueues, kq]);
	}

	/** A kqueue has no knote of the number any more. */
	unwatched(fd: number, kq: Kqueue): void {
		const kqueues = this.watchers[fd];
		if (!(kqueues instanceof Set)) this.watchers[fd] = null;
		else if (kqueues.delete(kq) && kqueues.size === 0) this.watchers[fd] = null;
	}

	/** The kqueues that have knotes of the number, newest first. */
	kqueuesOf(fd: number): readonly Kqueue[] {
		const kqueues = this.watchers[fd] ?? null;
		if (kqueues === null) return NONE;
		return kqueues instanceof Set ? [...kqueues].sort((a, b) => b.id - a.id) : [kqueues];
	}

	/** Inserts a kqueue at the head of the list. */
	insertKqueue(kq: Kqueue): void {
		kq.next = this.firstKqueue;
		kq.prev = null;
		if (kq.next !== null) kq.next.prev = kq;
		this.firstKqueue = kq;
	}

	/** Removes a kqueue from the list. It keeps its `next`, for a walk that has reached it. */
	removeKqueue(kq: Kqueue): void {
		if (kq.prev === null) {
			if (this.firstKqueue === kq) this.firstKqueue = kq.next;
		} else {
			kq.prev.next = kq.next;
		}
		if (kq.next !== null) kq.next.prev = kq.prev;
	}
}

/** The file that a descriptor refers to. Errors: EBADF. */
export function getFile(thread: Thread, fd: number, name: string): File {
	const file = thread.process.fdp.get(fd);
	if (file === null) throw new SystemError(errno.EBADF, name, `descriptor ${show(fd)} is not open`);
	return file;
}

/**
 * The number that a table has found or reserved for a call, which throws when there is none.
 * Errors: EMFILE, ENFILE.
 */
export function newDescriptor(fdp: FileTable, fd: number, name: string): number {
	if (fd === -errno.ENFILE)
		throw new SystemError(errno.ENFILE, name, limitOf(fdp.account, "files"));
	return unwrap(fd, name, `the limit is ${fdp.limit}`);
}
