// Random sessions and jobs at a terminal, against invariants.
import {
	close,
	exit,
	fcntl,
	fork,
	ioctl,
	type Process,
	read,
	readNow,
	sigaction,
	sigprocmask,
	type Thread,
	waitpidNow,
	write,
	writeNow,
} from "@kqpoll/kqueue";
import { F_SETFL, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { FIONREAD } from "@kqpoll/kqueue/ioctl";
import type { File } from "@kqpoll/kqueue/kernel";
import {
	SIG_BLOCK,
	SIG_IGN,
	SIG_UNBLOCK,
	SIGINT,
	SIGTTIN,
	SIGTTOU,
	sigset,
} from "@kqpoll/kqueue/signal";
import { setpgid, setsid } from "@kqpoll/kqueue/unistd";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openDevice } from "../../src/device/device-calls.ts";
import { openpty, ptsname } from "../../src/tty/pty-calls.ts";
import { PtySlave } from "../../src/tty/pty-slave.ts";
import { TOSTOP } from "../../src/tty/termios.ts";
import type { Tty } from "../../src/tty/tty.ts";
import { login_tty, tcsetattr, tcsetattrNow, tcsetpgrp } from "../../src/tty/tty-calls.ts";
import { TCSANOW, TIOCGPGRP, TIOCNOTTY, TIOCSCTTY } from "../../src/tty/tty-constants.ts";
import { codeOf, machine, outcome } from "../machine.ts";
import { bytes, count, ctrl, string } from "./tty-world.ts";

/** A call that sleeps, or slept. */
interface Waiting {
	readonly kind: "read" | "write" | "set";
	readonly thread: Thread;
	readonly file: File;
	readonly buffer: Uint8Array;
	readonly result: Promise<unknown>;
}

/** A terminal, the sessions that have it one after the other, and their jobs. */
class Jobs {
	private readonly machine = machine();
	private readonly master: number;
	private readonly tty: Tty;
	/** The host's own slave, which is never in the background. */
	private spy: number;
	private jobs: Process[] = [];
	private waiting: Waiting[] = [];
	/** The open slaves that were revoked. */
	private readonly dead: Set<File> = new Set();
	private hungUp = false;
	private lines = 0;
	private given: string[] = [];

	constructor() {
		const { thread } = this.machine;
		[this.master, this.spy] = openpty(thread);
		for (const fd of [this.master, this.spy]) fcntl(thread, fd, F_SETFL, O_NONBLOCK);
		this.tty = (this.machine.process.fdp.get(this.spy) as PtySlave).tty;
		this.login();
	}

	job(which: number): Process | undefined {
		return this.jobs[which % Math.max(1, this.jobs.length)];
	}

	/** A process that begins a session, and takes the terminal if it can. */
	login(): void {
		const { thread } = this.machine;
		if (this.jobs.length >= 8 || this.hungUp) return;
		const shell = fork(thread);
		close(shell.main, this.master);
		close(shell.main, this.spy);
		const taken = this.tty.session !== null;
		setsid(shell.main);
		const fd = openDevice(shell.main, "ttyp0");
		assert.is(
			codeOf(() => login_tty(shell.main, fd)),
			taken ? "EPERM" : "no error",
		);
		if (taken) {
			exit(shell.main, 0);
			waitpidNow(thread, shell.pid);
			return;
		}
		sigaction(shell.main, SIGINT, SIG_IGN);
		this.jobs.push(shell);
	}

	fork(job: Process, kills: boolean): void {
		if (this.jobs.length >= 8) return;
		const child = fork(job.main);
		if (kills) sigaction(child.main, SIGINT, "SIG_DFL");
		this.jobs.push(child);
	}

	group(job: Process, target: Process, pgid: number): void {
		const code = codeOf(() => setpgid(job.main, target.pid, pgid));
		assert.ok(["no error", "EPERM", "ESRCH"].includes(code as string), code as string);
	}

	front(job: Process, pgid: number): void {
		const before = this.foreground;
		const code = codeOf(() => tcsetpgrp(job.main, 0, pgid));
		const revoked = this.dead.has(job.fdp.get(0) as File);
		if (revoked) assert.is(code, "EBADF");
		assert.is(this.foreground, code === "no error" ? pgid : before);
	}

	private get foreground(): number {
		return this.hungUp ? 0 : ioctl(this.machine.thread, this.master, TIOCGPGRP);
	}

	isBack(job: Process): boolean {
		const { tty } = this;
		return job.hasTty && job.pgrp.session === tty.session && job.pgrp.pgid !== this.foreground;
	}

	/** Reads at once. No process reads in the background, or from a revoked slave. */
	readNow(job: Process): void {
		const buffer = new Uint8Array(99);
		const held = isBackHeld(job.main, SIGTTIN) || job.pgrp.orphaned ? "EIO" : "EAGAIN";
		const back = this.isBack(job);
		const ready = this.readable;
		const n = count(() => readNow(job.main, 0, buffer));
		if (this.dead.has(job.fdp.get(0) as File) || this.hungUp) assert.is(n, 0);
		else if (back) assert.equal([n, this.readable], [held, ready]);
		else if (ready === 0) assert.is(n, "EAGAIN");
		else this.given.push(string(buffer.subarray(0, n as number)));
	}

	private get readable(): number {
		return this.hungUp ? 0 : ioctl(this.machine.thread, this.spy, FIONREAD);
	}

	/** Reads, writes or changes settings, and may sleep. */
	begin(kind: Waiting["kind"], job: Process): void {
		const thread = job.spawnThread();
		const buffer = kind === "read" ? new Uint8Array(99) : bytes("out");
		const file = job.fdp.get(0) as File;
		const call = () => {
			if (kind === "read") return read(thread, 0, buffer);
			if (kind === "write") return write(thread, 0, buffer);
			return tcsetattr(thread, 0, TCSANOW, { ...this.tty.termios });
		};
		this.waiting.push({ kind, thread, file, buffer, result: outcome(call()) });
	}

	/** How the process handles being in the background; not while it sleeps there. */
	dispose(job: Process, signal: number, how: "ignore" | "block" | "default"): void {
		if (this.waiting.some(({ thread }) => thread.process === job)) return;
		sigaction(job.main, signal, how === "ignore" ? SIG_IGN : "SIG_DFL");
		sigprocmask(job.main, how === "block" ? SIG_BLOCK : SIG_UNBLOCK, sigset(signal));
	}

	type(what: "line" | "^C" | "^Z"): void {
		const text = what === "line" ? `line ${this.lines++}\n` : ctrl(what.slice(1));
		if (!this.hungUp) writeNow(this.machine.thread, this.master, bytes(text));
	}

	setStop(on: boolean): void {
		const { thread } = this.machine;
		if (this.hungUp) return;
		const { termios } = this.tty;
		const lflag = on ? termios.lflag | TOSTOP : termios.lflag & ~TOSTOP;
		tcsetattrNow(thread, this.spy, TCSANOW, { ...termios, lflag: lflag >>> 0 });
	}

	session(job: Process): void {
		const code = codeOf(() => setsid(job.main));
		assert.ok(code === "no error" || code === "EPERM");
	}

	giveUp(job: Process): void {
		codeOf(() => ioctl(job.main, 0, TIOCNOTTY));
	}

	take(job: Process): void {
		codeOf(() => ioctl(job.main, 0, TIOCSCTTY));
	}

	openTty(job: Process): void {
		if (job.fdp.get(5) !== null) return;
		const has = job.hasTty && job.pgrp.session.tty !== null && !this.hungUp;
		const code = codeOf(() => openDevice(job.main, "tty"));
		assert.is(code, has ? "no error" : "ENXIO");
	}

	exit(job: Process): void {
		exit(job.main, 0);
	}

	/** Closes one of the three; a process that has closed 0 does not use the terminal any more. */
	close(job: Process, fd: number): void {
		if (job.fdp.get(fd) !== null) close(job.main, fd);
	}

	/** The host closes the terminal, and opens it again. */
	lookAgain(): void {
		const { thread } = this.machine;
		if (this.hungUp) return;
		close(thread, this.spy);
		this.spy = openDevice(thread, "ttyp0", 2 | O_NONBLOCK);
	}

	reap(job: Process): void {
		codeOf(() => waitpidNow(job.main, -1));
	}

	hangUp(): void {
		if (this.hungUp) return;
		this.hungUp = true;
		close(this.machine.thread, this.master);
	}

	/** The slaves that are open. */
	get open(): readonly File[] {
		const tables = [...this.machine.kernel.processes.values()].map(({ fdp }) => fdp);
		const files = tables.flatMap((fdp) => [...fdp.open()].map((fd) => fdp.get(fd) as File));
		const held = this.waiting.map(({ file }) => file);
		return [...files, ...held].filter((file) => file instanceof PtySlave);
	}

	/** Lets everything happen that follows; takes the leader and the open slaves from before. */
	async settle(leader: Process | null, open: readonly File[]): Promise<void> {
		const { host, kernel, process, thread } = this.machine;
		host.settle();
		this.jobs = this.jobs.filter((job) => !job.exiting);
		if (leader?.exiting) {
			for (const file of open) this.dead.add(file);
			if (this.dead.has(process.fdp.get(this.spy) as File)) this.lookAgain();
		}
		if (!this.hungUp) count(() => readNow(thread, this.master, new Uint8Array(9999)));
		assert.ok(kernel.processes.has(process.pid));
		this.checkGroups();
		this.checkTerminal();
		await this.checkWaiting();
		this.checkDead();
	}

	/** Each process is in one group, of one session; groups without members are gone. */
	private checkGroups(): void {
		const { kernel } = this.machine;
		for (const each of kernel.processes.values()) {
			const groups = [...kernel.pgrps.values()].filter(({ members }) => members.has(each));
			assert.is(groups.length, 1);
			assert.is(groups[0], each.pgrp);
			assert.is(kernel.pgrps.get(each.pgrp.pgid), each.pgrp);
		}
		for (const { members, session } of kernel.pgrps.values()) {
			assert.ok(members.size > 0);
			for (const { pid, pgrp } of members) {
				assert.ok(kernel.processes.has(pid));
				assert.is(pgrp.session, session);
			}
		}
	}

	/** The terminal belongs to a session with a leader, and at most one group of it is in front. */
	private checkTerminal(): void {
		const { session } = this.tty;
		const { kernel } = this.machine;
		if (session !== null) {
			assert.is(session.tty, this.tty);
			assert.not(session.leader?.exiting ?? true);
		}
		if (this.hungUp) return;
		const { foreground } = this;
		if (foreground === 0) return;
		const group = kernel.pgrps.get(foreground);
		assert.ok(group !== undefined && group.members.size > 0);
		assert.is(group.session, session);
	}

	/** No call sleeps that could go on, and no call has read input of another process. */
	private async checkWaiting(): Promise<void> {
		for (const waiting of [...this.waiting]) {
			const { kind, thread, file, buffer } = waiting;
			const { process } = thread;
			if (thread.state === "asleep") {
				assert.not(this.hungUp || this.dead.has(file));
				// A reader that was in front when it fell asleep looks again only when there is input.
				if (thread.channel === this.tty.readers) assert.is(this.readable, 0);
				else this.checkBackground(kind, thread);
				continue;
			}
			this.waiting.splice(this.waiting.indexOf(waiting), 1);
			const result = await waiting.result;
			if (kind !== "read" || typeof result !== "number") continue;
			if (result === 0) assert.ok(this.hungUp || this.dead.has(file));
			else {
				assert.not(this.isBack(process));
				this.given.push(string(buffer.subarray(0, result)));
			}
		}
		// Every line was typed once, and is read once.
		assert.is(new Set(this.given).size, this.given.length);
		for (const line of this.given) assert.match(line, /^line \d+\n$/);
	}

	/** A process that waits to be in front is not in front, and could still be brought there. */
	private checkBackground(kind: Waiting["kind"], thread: Thread): void {
		const signal = kind === "read" ? SIGTTIN : SIGTTOU;
		const { process } = thread;
		assert.ok(this.isBack(process) && (kind !== "write" || this.stopsWriters));
		assert.not(process.pgrp.orphaned || isBackHeld(thread, signal));
	}

	private get stopsWriters(): boolean {
		return (this.tty.termios.lflag & TOSTOP) !== 0;
	}

	/** A revoked slave reads and writes nothing. */
	private checkDead(): void {
		for (const job of this.jobs) {
			for (const fd of job.fdp.open()) {
				if (!this.dead.has(job.fdp.get(fd) as File)) continue;
				assert.is(readNow(job.main, fd, new Uint8Array(1)), 0);
				assert.is(
					codeOf(() => writeNow(job.main, fd, new Uint8Array(1))),
					"EIO",
				);
			}
		}
	}

	/** All exit: nothing is left. */
	async end(): Promise<void> {
		const { thread, process, kernel, host } = this.machine;
		for (const job of this.jobs) if (!job.exiting) exit(job.main, 0);
		await this.settle(null, []);
		while (codeOf(() => waitpidNow(thread, -1)) === "no error");
		for (const fd of [...process.fdp.open()]) close(thread, fd);
		host.settle();
		assert.equal([this.waiting, kernel.sleepers, kernel.timeouts.size], [[], 0, 0]);
		assert.equal([[...kernel.processes.keys()], [...kernel.pgrps.keys()]], [[1], [1]]);
		assert.equal([this.tty.session, this.tty.pgrp], [null, null]);
		assert.is(ptsname(thread, openpty(thread)[0]), "ttyp0");
	}

	get leader(): Process | null {
		return this.tty.session?.leader ?? null;
	}
}

/** Whether a thread ignores or blocks the signals for being in the background. */
function isBackHeld({ process, sigmask }: Thread, signal: number): boolean {
	return process.sigacts[signal] === SIG_IGN || (sigmask & sigset(signal)) !== 0;
}

const which = fc.nat(20);
const jobCommand = fc.oneof(
	{
		weight: 15,
		arbitrary: fc.record({ op: fc.constant("fork" as const), which, kills: fc.boolean() }),
	},
	{
		weight: 18,
		arbitrary: fc.record({ op: fc.constant("group" as const), which, target: which, into: which }),
	},
	{ weight: 12, arbitrary: fc.record({ op: fc.constant("front" as const), which, into: which }) },
	{
		weight: 24,
		arbitrary: fc.record({
			op: fc.constant("begin" as const),
			kind: fc.constantFrom("read" as const, "read" as const, "write" as const, "set" as const),
			which,
		}),
	},
	{
		weight: 24,
		arbitrary: fc.record({
			op: fc.constantFrom("readNow" as const, "openTty" as const, "reap" as const),
			which,
		}),
	},
	{
		weight: 9,
		arbitrary: fc.record({
			op: fc.constantFrom("exit" as const, "session" as const, "giveUp" as const, "take" as const),
			which,
		}),
	},
	{
		weight: 18,
		arbitrary: fc.record({
			op: fc.constant("type" as const),
			what: fc.constantFrom("line" as const, "line" as const, "^C" as const, "^Z" as const),
		}),
	},
	{
		weight: 6,
		arbitrary: fc.record({
			op: fc.constant("dispose" as const),
			which,
			signal: fc.constantFrom(SIGTTIN, SIGTTOU),
			how: fc.constantFrom("ignore" as const, "block" as const, "default" as const),
		}),
	},
	{ weight: 6, arbitrary: fc.record({ op: fc.constant("setStop" as const), on: fc.boolean() }) },
	{ weight: 6, arbitrary: fc.record({ op: fc.constant("login" as const) }) },
	{ weight: 3, arbitrary: fc.record({ op: fc.constant("close" as const), which, fd: fc.nat(2) }) },
	{
		weight: 1,
		arbitrary: fc.record({ op: fc.constantFrom("hangUp" as const, "lookAgain" as const) }),
	},
);
type JobCommand = typeof jobCommand extends fc.Arbitrary<infer C> ? C : never;

function control(jobs: Jobs, c: JobCommand): unknown {
	if (c.op === "type") return jobs.type(c.what);
	if (c.op === "setStop") return jobs.setStop(c.on);
	if (!("which" in c)) return jobs[c.op]();
	const job = jobs.job(c.which);
	if (job === undefined) return null;
	const needs = ["front", "begin", "readNow", "giveUp", "take"];
	if (needs.includes(c.op) && job.fdp.get(0) === null) return null;
	switch (c.op) {
		case "fork":
			return jobs.fork(job, c.kills);
		case "group":
			return jobs.group(job, jobs.job(c.target) as Process, jobs.job(c.into)?.pid ?? 0);
		case "front":
			return jobs.front(job, jobs.job(c.into)?.pgrp.pgid ?? 0);
		case "begin":
			return jobs.begin(c.kind, job);
		case "close":
			return jobs.close(job, c.fd);
		case "dispose":
			return jobs.dispose(job, c.signal, c.how);
		default:
			return jobs[c.op](job);
	}
}

test("job control: no process reads another's input, and none waits without a reason", async () => {
	await fc.assert(
		fc.asyncProperty(
			fc.array(jobCommand, { minLength: 10, maxLength: 80, size: "max" }),
			async (commands) => {
				const jobs = new Jobs();
				for (const c of commands) {
					const { leader, open } = jobs;
					control(jobs, c);
					await jobs.settle(leader, open);
				}
				await jobs.end();
			},
		),
		{ numRuns: 300 },
	);
});

test.run();
