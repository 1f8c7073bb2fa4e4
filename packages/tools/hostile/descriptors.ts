// A simple model of descriptor tables: which numbers calls have opened and closed.
import type { Process } from "@kqpoll/kqueue";

/** What calls said about the descriptors of a process. */
class Table {
	/** The numbers that are open. */
	readonly open: Set<number> = new Set();
	/** Numbers that were closed before the call that opened them has returned. */
	readonly early: Set<number> = new Set();
	/** Numbers that something else than a call may close at any time. */
	readonly loose: Set<number> = new Set();
}

/** The descriptors that there should be, by what calls have returned. */
export class Descriptors {
	private readonly tables: Map<Process, Table> = new Map();

	/** A call returned a new descriptor. */
	opened(process: Process, fd: number): void {
		const table = this.tableOf(process);
		if (!table.early.delete(fd)) table.open.add(fd);
	}

	/** A call has opened descriptors, and the program cannot know which. */
	openedSome(process: Process): void {
		const { open } = this.tableOf(process);
		for (const fd of process.fdp.open()) open.add(fd);
	}

	/** A call has closed a descriptor. */
	closed(process: Process, fd: number): void {
		const table = this.tableOf(process);
		if (!table.open.delete(fd)) table.early.add(fd);
	}

	/**
	 * Makes a call that closes some descriptors, unless it fails. Files that are closed may call back
	 * and open others with the same numbers, so that the numbers are free before it returns.
	 */
	closing(process: Process, fds: readonly number[], act: () => void): void {
		const open = fds.filter((fd) => process.fdp.get(fd) !== null);
		const files = open.map((fd) => process.fdp.get(fd));
		for (const fd of open) this.closed(process, fd);
		try {
			act();
		} finally {
			open.forEach((fd, i) => {
				const stayed = process.fdp.get(fd) === files[i];
				if (stayed) this.opened(process, fd);
			});
		}
	}

	/** From now on, something else than a call may close the descriptor. */
	loosened(process: Process, fd: number): void {
		this.tableOf(process).loose.add(fd);
	}

	/** A child has the descriptors that its parent had just then. */
	forked(child: Process): void {
		const table = this.tableOf(child);
		for (const fd of child.fdp.open()) table.open.add(fd);
	}

	/** The process has gone. */
	forget(process: Process): void {
		this.tables.delete(process);
	}

	/** What is wrong with the descriptors of a process; null if they are those that there should be. */
	difference(process: Process): string | null {
		const { open, loose } = this.tableOf(process);
		let count = 0;
		for (const fd of process.fdp.open()) {
			count++;
			if (!open.has(fd)) return `descriptor ${fd} of process ${process.pid} was invented`;
		}
		if (count === open.size) return null;
		for (const fd of open) {
			if (process.fdp.get(fd) !== null) continue;
			if (!loose.has(fd)) return `descriptor ${fd} of process ${process.pid} was lost`;
			open.delete(fd);
			loose.delete(fd);
		}
		return null;
	}

	private tableOf(process: Process): Table {
		let table = this.tables.get(process);
		if (table === undefined) {
			table = new Table();
			this.tables.set(process, table);
		}
		return table;
	}
}
