// struct session and struct pgrp: which processes a terminal belongs to, and which get its signals.
import type { Process } from "./process.ts";

/** What a session's terminal does for it. */
export interface ControllingTerminal {
	/**
	 * The leader of the session exits: the terminal is taken away from all processes that have it.
	 */
	leaderExited(): void;
	/**
	 * A process of the session changed its group, left the session or exited: the foreground group
	 * may have changed.
	 */
	jobsChanged(): void;
}

/** Processes that share a terminal, for example a login. */
export class Session {
	/** The process that began it, null after that has exited. */
	leader: Process | null;
	/** Its number: the id of the process that began it. */
	readonly sid: number;
	/** Its terminal, null if it has none. */
	tty: ControllingTerminal | null = null;

	/** Made by spawn and setsid. */
	constructor(leader: Process) {
		this.leader = leader;
		this.sid = leader.pid;
	}
}

/** Processes that get signals together, for example a job of a shell. */
export class ProcessGroup {
	/** Its number: the id of the process that it was made for. */
	readonly pgid: number;
	/** The session of all its members. */
	readonly session: Session;
	/** Its processes, including those that have exited and were not waited for yet. */
	readonly members: Set<Process> = new Set();

	/** Made by spawn, setsid and setpgid. */
	constructor(pgid: number, session: Session) {
		this.pgid = pgid;
		this.session = session;
	}

	/**
	 * Whether no process is left that could continue it: no living member has a parent in another
	 * group of the session.
	 */
	get orphaned(): boolean {
		for (const { parent, pgrp, zombie } of this.members) {
			if (zombie || parent === null) continue;
			if (parent.pgrp !== pgrp && parent.pgrp.session === this.session) return false;
		}
		return true;
	}
}

/**
 * Moves a process into the group of that number, which is made if it does not exist.
 * Source: enterpgrp.
 */
export function enterPgrp(process: Process, pgid: number, session: Session): void {
	const { pgrps } = process.kernel;
	const pgrp = pgrps.get(pgid) ?? new ProcessGroup(pgid, session);
	if (process.pgrp !== undefined && process.pgrp !== pgrp) leavePgrp(process);
	pgrps.set(pgid, pgrp);
	pgrp.members.add(process);
	process.pgrp = pgrp;
}

/**
 * Removes a process from its group, and the group if that was its last member.
 * Source: leavepgrp.
 */
export function leavePgrp(process: Process): void {
	const { pgrp, kernel } = process;
	pgrp.members.delete(process);
	if (pgrp.members.size === 0) kernel.pgrps.delete(pgrp.pgid);
}
