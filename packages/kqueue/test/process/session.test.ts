// Sessions and process groups: their members, and which of them a signal reaches.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { exec, exit, fork, kill, type Process, sigaction, waitpidNow } from "../../src/index.ts";
import { pgsignal } from "../../src/process/psignal.ts";
import { SIGCHLD, SIGHUP, SIGUSR1 } from "../../src/signal.ts";
import { getpgid, getsid, setpgid, setsid } from "../../src/unistd.ts";
import { codeOf, machine } from "../machine.ts";

/** The process, then the signals that it got, as they arrive. */
function heard(signal: number, ...processes: Process[]): number[] {
	const log: number[] = [];
	for (const process of processes)
		sigaction(process.main, signal, () => {
			log.push(process.pid);
		});
	return log;
}

/** [session, group] of a process. */
function place(process: Process): [number, number] {
	return [getsid(process.main, 0), getpgid(process.main, 0)];
}

test("a spawned process leads a session and a group, and its children are in both", () => {
	const { process, thread, kernel } = machine();
	const child = fork(thread);
	const other = kernel.spawn();
	assert.equal([process, child, other].map(place), [
		[1, 1],
		[1, 1],
		[3, 3],
	]);
	assert.is(getpgid(thread, child.pid), 1);
	assert.is(getsid(thread, child.pid), 1);
});

test("setsid begins a session unless the process leads a group, or a group has its number", () => {
	const { thread } = machine();
	const child = fork(thread);
	const grandchild = fork(child.main);
	setpgid(child.main, 0, 0);
	setpgid(grandchild.main, 0, child.pid);
	assert.is(
		codeOf(() => setsid(thread)),
		"EPERM",
	);
	assert.is(
		codeOf(() => setsid(child.main)),
		"EPERM",
	);
	// The leader leaves its group to the others, and still cannot use its number.
	setpgid(child.main, 0, 1);
	assert.is(
		codeOf(() => setsid(child.main)),
		"EPERM",
	);
	assert.is(setsid(grandchild.main), grandchild.pid);
	assert.equal(place(grandchild), [3, 3]);
	// Now the group 2 is empty, and gone.
	assert.is(setsid(child.main), 2);
});

test("setpgid moves the caller and its children within the session", () => {
	const { thread } = machine();
	const a = fork(thread);
	const b = fork(thread);
	setpgid(thread, a.pid, 0);
	setpgid(thread, b.pid, a.pid);
	assert.equal([a, b].map(place), [
		[1, 2],
		[1, 2],
	]);
	setpgid(b.main, 0, 1);
	assert.equal(place(b), [1, 1]);
});

test("setpgid refuses wrong groups and children, other sessions, leaders, and children after exec", () => {
	const { thread, kernel } = machine();
	const child = fork(thread);
	const away = fork(thread);
	setsid(away.main);
	const other = kernel.spawn();
	const done = fork(thread);
	exit(done.main, 0);
	const answers = [
		() => setpgid(thread, child.pid, -1),
		() => setpgid(thread, child.pid, 1.5),
		() => setpgid(thread, 99, 0),
		() => setpgid(thread, done.pid, 0),
		() => setpgid(thread, other.pid, 0),
		() => setpgid(child.main, 1, 0),
		() => setpgid(thread, away.pid, 0),
		() => setpgid(thread, 0, 0),
		() => setpgid(thread, child.pid, 50),
		() => setpgid(thread, child.pid, away.pid),
		() => {
			exec(child.main);
			setpgid(thread, child.pid, 0);
		},
	].map(codeOf);
	assert.equal(answers, [
		"EINVAL",
		"EINVAL",
		"ESRCH",
		"ESRCH",
		"ESRCH",
		"ESRCH",
		"EPERM",
		"EPERM",
		"EPERM",
		"EPERM",
		"EACCES",
	]);
	// A process that has called exec can still move itself.
	setpgid(child.main, 0, 0);
	assert.equal(place(child), [1, child.pid]);
});

test("getpgid and getsid know only processes of the caller's session", () => {
	const { thread, kernel } = machine();
	const other = kernel.spawn();
	const answers = [99, other.pid, Number.NaN].flatMap((pid) => [
		codeOf(() => getpgid(thread, pid)),
		codeOf(() => getsid(thread, pid)),
	]);
	assert.equal(answers, ["ESRCH", "ESRCH", "EPERM", "EPERM", "ESRCH", "ESRCH"]);
});

test("kill reaches a process, a group, the caller's group, or all others", () => {
	const { process, thread, kernel, host } = machine();
	const a = fork(thread);
	const b = fork(thread);
	const other = kernel.spawn();
	setpgid(thread, a.pid, 0);
	setpgid(thread, b.pid, a.pid);
	const log = heard(SIGUSR1, process, a, b, other);
	const reach = (pid: number): number[] => {
		kill(thread, pid, SIGUSR1);
		host.settle();
		return log.splice(0).sort();
	};
	assert.equal([a.pid, -a.pid, 0, -1].map(reach), [[2], [2, 3], [1], [2, 3, 4]]);
});

test("kill finds no process in a group that does not exist, or whose members have all exited", () => {
	const { thread } = machine();
	sigaction(thread, SIGCHLD, () => {});
	const child = fork(thread);
	setpgid(thread, child.pid, 0);
	exit(child.main, 0);
	const codes = [-99, -child.pid].map((pid) => codeOf(() => kill(thread, pid, 0)));
	assert.equal(codes, ["ESRCH", "ESRCH"]);
});

test("a group exists until its last member is waited for", () => {
	const { thread, kernel } = machine();
	const child = fork(thread);
	setpgid(thread, child.pid, 0);
	exit(child.main, 7);
	assert.equal([...kernel.pgrps.keys()], [1, 2]);
	assert.equal(waitpidNow(thread, -2), { pid: 2, status: 7 * 256 });
	assert.equal([...kernel.pgrps.keys()], [1]);
});

test("waitpid takes a child of the caller's group, or of another", () => {
	const { thread } = machine();
	const a = fork(thread);
	const b = fork(thread);
	setpgid(thread, b.pid, 0);
	exit(b.main, 2);
	assert.is(waitpidNow(thread, 0), null);
	assert.is(
		codeOf(() => waitpidNow(thread, -99)),
		"ECHILD",
	);
	exit(a.main, 1);
	assert.equal(waitpidNow(thread, 0), { pid: a.pid, status: 256 });
	assert.equal(waitpidNow(thread, -b.pid), { pid: b.pid, status: 512 });
});

test("a new process does not get the number of a group", () => {
	const { thread } = machine({ firstPid: 99997 });
	const leader = fork(thread);
	const member = fork(thread);
	setpgid(thread, leader.pid, 0);
	setpgid(thread, member.pid, leader.pid);
	exit(leader.main, 0);
	waitpidNow(thread, leader.pid);
	assert.is(
		codeOf(() => fork(thread)),
		"EAGAIN",
	);
	setpgid(member.main, 0, 0);
	assert.is(fork(thread).pid, 99998);
});

test("a signal of the terminal skips processes without a terminal", () => {
	const { process, thread, host } = machine();
	const child = fork(thread);
	child.hasTty = true;
	const log = heard(SIGHUP, process, child);
	pgsignal(process.pgrp, SIGHUP, true);
	host.settle();
	assert.equal(log, [child.pid]);
});

test("a leader that exits gives up the terminal of its session", () => {
	const { thread } = machine();
	const leader = fork(thread);
	setsid(leader.main);
	const { session } = leader.pgrp;
	let told = 0;
	session.tty = { leaderExited: () => told++, jobsChanged: () => {} };
	const child = fork(leader.main);
	exit(child.main, 0);
	assert.is(told, 0);
	exit(leader.main, 0);
	assert.equal([told, session.leader, session.tty], [1, null, null]);
});

test("a group is orphaned when no process of its session outside the group has a child in it", () => {
	const { process, thread } = machine();
	const shell = fork(thread);
	setsid(shell.main);
	const job = fork(shell.main);
	setpgid(shell.main, job.pid, 0);
	assert.equal(
		[process, shell, job].map(({ pgrp }) => pgrp.orphaned),
		[true, true, false],
	);
	// A process that has exited needs no parent, even before it is waited for.
	const last = fork(job.main);
	exit(job.main, 0);
	assert.equal([last.pgrp, last.pgrp.orphaned], [job.pgrp, true]);
	exit(shell.main, 0);
	assert.is(last.pgrp.orphaned, true);
});

test("the terminal of a session is told when its groups change", () => {
	const { thread } = machine();
	const leader = fork(thread);
	setsid(leader.main);
	let told = 0;
	leader.pgrp.session.tty = { leaderExited: () => {}, jobsChanged: () => told++ };
	const [a, b] = [fork(leader.main), fork(leader.main)];
	const times = [
		() => setpgid(leader.main, a.pid, 0),
		() => setsid(b.main),
		() => exit(b.main, 0),
		() => exit(a.main, 0),
	].map((act) => {
		told = 0;
		act();
		return told;
	});
	assert.equal(times, [1, 1, 0, 1]);
});

test.run();
