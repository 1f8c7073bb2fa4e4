// struct session and struct pgrp: which processes a terminal belongs to, and who gets its signals.
import type { Process } from "./process.ts";

/** What a session's terminal does for it. */
export interface ControllingTerminal {
	/** The leader of the session exits: the terminal is taken away from all who have it. */
	leaderExited(): void;
	/** A process of the session changed its group, left or exited: others may be in front now. */
	jobsChanged(): void;
}

/** Processes that share a terminal: a login. */
export class Session {
	/** The process that began it, null once that has exited. */
	leader: Process | null;
	/** Its number: the id of the process that began it. */
	readonly sid: number;
	/** Its terminal, null while it has none. */
	tty: ControllingTerminal | null = null;

	/** Made by spawn and setsid. */
	constructor(leader: Process) {
		this.leader = leader;
		this.sid = leader.pid;
	}
}

/** Processes that signals are sent to together: a job. */
export class ProcessGroup {
	/** Its number: the id of the process that it was made for. */
	readonly pgid: number;
	/** The session of all its members. */
	readonly session: Session;
	/** Those in it, with those that have exited and are not waited for yet. */
	readonly members: Set<Process> = new Set();

	/** Made by spawn, setsid and setpgid. */
	constructor(pgid: number, session: Session) {
		this.pgid = pgid;
		this.session = session;
	}

	/**
	 * Whether nobody is left who could continue it: no parent of a member that lives is in another
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
 * Puts a process into a group, made if there is none by that number; leaves the one it was in.
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
 * Takes a process out of its group, which goes when it was the last.
 * Source: leavepgrp.
 */
export function leavePgrp(process: Process): void {
	const { pgrp, kernel } = process;
	pgrp.members.delete(process);
	if (pgrp.members.size === 0) kernel.pgrps.delete(pgrp.pgid);
}
