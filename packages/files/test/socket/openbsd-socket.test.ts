// OpenBSD's own tests of poll, select and kqueue, under their names, as far as they need sockets.
// docs/regress.md says what each does; the code is ours.
import {
	FdSet,
	POLLHUP,
	POLLIN,
	POLLNVAL,
	POLLOUT,
	POLLPRI,
	poll,
	pollNow,
	select,
	selectNow,
} from "@kqpoll/kqpoll";
import {
	close,
	dup,
	dup2,
	EV_ADD,
	EVFILT_TIMER,
	exit,
	fork,
	ioctl,
	keventNow,
	kqueue,
	readNow,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { acceptNow, bind, connect, connectNow, listen } from "../../src/socket/connect-calls.ts";
import { setsockopt } from "../../src/socket/option-calls.ts";
import { recvmsgNow } from "../../src/socket/recv-calls.ts";
import { sendmsgNow, sendNow } from "../../src/socket/send-calls.ts";
import { shutdown, socket, socketpair } from "../../src/socket/socket-calls.ts";
import {
	MSG_OOB,
	SHUT_WR,
	SIOCATMARK,
	SO_OOBINLINE,
	SOL_SOCKET,
} from "../../src/socket/socket-constants.ts";
import { codeOf, type Machine, machine } from "../machine.ts";

const ALL = POLLIN | POLLOUT | POLLPRI;

interface Ends extends Machine {
	/** The child's end, which connected. */
	readonly c: number;
	/** The parent's end, which was accepted or bound. */
	readonly p: number;
}

type Kind = "unix" | "tcp" | "udp";

function ends(kind: Kind): Ends {
	const m = machine();
	const { thread, host } = m;
	const [domain, address] =
		kind === "unix" ? (["local", "/s"] as const) : (["inet", 4000] as const);
	if (kind === "udp") {
		const p = socket(thread, domain, "dgram");
		bind(thread, p, address);
		const c = socket(thread, domain, "dgram");
		connectNow(thread, c, address);
		return { ...m, c, p };
	}
	const listener = socket(thread, domain, "stream");
	bind(thread, listener, address);
	listen(thread, listener, 1);
	const c = socket(thread, domain, "stream");
	const connecting = connect(thread, c, address);
	host.settle();
	void connecting;
	const p = acceptNow(thread, listener);
	close(thread, listener);
	return { ...m, c, p };
}

function ask(thread: Thread, fd: number, ...events: number[]): number[] {
	const fds = events.map((each) => ({ fd, events: each, revents: 0 }));
	return [pollNow(thread, fds), ...fds.map(({ revents }) => revents)];
}

/** The result of select, then which of the sets asked for have the descriptor. */
function choose(thread: Thread, fd: number, sets = "rwe"): string {
	const asked = [..."rwe"].map((set) => (sets.includes(set) ? new FdSet([fd]) : null));
	const [r, w, e] = asked;
	const n = selectNow(thread, fd + 1, r ?? null, w ?? null, e ?? null);
	return n + [..."rwe"].filter((_, i) => asked[i]?.has(fd)).join("");
}

function one(thread: Thread, fd: number): number {
	return readNow(thread, fd, new Uint8Array(1));
}

for (const kind of ["unix", "tcp", "udp"] as const) {
	test(`poll_iocond ${kind}: the events of every step`, () => {
		const { thread, c, p } = ends(kind);
		assert.equal(ask(thread, c, ALL), [1, POLLOUT]);
		assert.equal(ask(thread, p, ALL), [1, POLLOUT]);
		writeNow(thread, c, new Uint8Array(1));
		assert.equal(ask(thread, c, ALL), [1, POLLOUT]);
		assert.equal(ask(thread, p, ALL), [1, POLLIN | POLLOUT]);
		assert.is(one(thread, p), 1);
		assert.equal(ask(thread, p, POLLIN), [0, 0]);
		if (kind !== "udp") {
			let written = 0;
			for (let last = ask(thread, c, POLLOUT); last[0] !== 0; last = ask(thread, c, POLLOUT)) {
				assert.equal(last, [1, POLLOUT]);
				written += writeNow(thread, c, new Uint8Array(1024));
			}
			let got = 0;
			while (got < written) {
				assert.equal(ask(thread, p, POLLIN), [1, POLLIN]);
				got += readNow(thread, p, new Uint8Array(1024));
			}
			assert.equal([got, ask(thread, p, POLLIN)], [written, [0, 0]]);
		}
		if (kind === "tcp") {
			setsockopt(thread, p, SOL_SOCKET, SO_OOBINLINE, 1);
			for (const flags of [0, MSG_OOB, 0]) sendNow(thread, c, new Uint8Array(1), flags);
			const step = () => [ioctl(thread, p, SIOCATMARK), one(thread, p)];
			assert.equal(ask(thread, p, ALL, 0), [1, ALL, 0]);
			assert.equal(step(), [0, 1]);
			assert.equal(ask(thread, p, ALL, 0), [1, ALL, 0]);
			assert.equal(step(), [1, 1]);
			assert.equal(ask(thread, p, ALL, 0), [1, POLLIN | POLLOUT, 0]);
			assert.equal(step(), [0, 1]);
			assert.equal(ask(thread, p, ALL, 0), [1, POLLOUT, 0]);
		}
		if (kind !== "udp") {
			writeNow(thread, c, new Uint8Array(1));
			shutdown(thread, c, SHUT_WR);
			assert.equal(ask(thread, p, ALL), [1, POLLIN | POLLOUT]);
			assert.is(one(thread, p), 1);
			assert.equal(ask(thread, p, ALL), [1, POLLIN | POLLOUT]);
			assert.is(one(thread, p), 0);
			shutdown(thread, p, SHUT_WR);
			const over = [2, POLLIN | POLLHUP, POLLHUP];
			const both = kind === "tcp" ? over : [1, POLLIN | POLLOUT, 0];
			assert.equal([ask(thread, c, ALL, 0), ask(thread, p, ALL, 0)], [both, both]);
		}
		close(thread, c);
		const last = kind === "udp" ? [1, POLLOUT, 0] : [2, POLLIN | POLLHUP, POLLHUP];
		assert.equal(ask(thread, p, ALL, 0), last);
		assert.equal(ask(thread, c, 0), [1, POLLNVAL]);
	});

	test(`select_iocond ${kind}: the sets of every step`, () => {
		const { thread, c, p } = ends(kind);
		assert.equal([choose(thread, c), choose(thread, p)], ["1w", "1w"]);
		writeNow(thread, c, new Uint8Array(1));
		assert.equal([choose(thread, c), choose(thread, p)], ["1w", "2rw"]);
		assert.is(one(thread, p), 1);
		assert.is(choose(thread, p, "r"), "0");
		if (kind !== "udp") {
			let written = 0;
			while (choose(thread, c, "w") === "1w") written += writeNow(thread, c, new Uint8Array(1024));
			let got = 0;
			while (choose(thread, p, "r") === "1r") got += readNow(thread, p, new Uint8Array(1024));
			assert.is(got, written);
		}
		if (kind === "tcp") {
			setsockopt(thread, p, SOL_SOCKET, SO_OOBINLINE, 1);
			for (const flags of [0, MSG_OOB, 0]) sendNow(thread, c, new Uint8Array(1), flags);
			const seen = [0, 1, 2].map(() => {
				const said = choose(thread, p);
				one(thread, p);
				return said;
			});
			assert.equal([...seen, choose(thread, p)], ["3rwe", "3rwe", "2rw", "1w"]);
		}
		if (kind !== "udp") {
			writeNow(thread, c, new Uint8Array(1));
			shutdown(thread, c, SHUT_WR);
			assert.is(choose(thread, p, "r"), "1r");
			assert.is(one(thread, p), 1);
			assert.is(choose(thread, p, "r"), "1r");
			shutdown(thread, p, SHUT_WR);
			assert.equal([choose(thread, c), choose(thread, p)], ["2rw", "2rw"]);
		}
		close(thread, c);
		assert.is(choose(thread, p), kind === "udp" ? "1w" : "2rw");
		assert.is(
			codeOf(() => choose(thread, c)),
			"EBADF",
		);
	});
}

test("poll_close and select_close: a wait ends only when its own descriptor is closed", async () => {
	for (const how of ["poll", "select"] as const) {
		const { thread, process, host } = machine();
		const [a, b] = socketpair(thread, "stream");
		const waiter = process.spawnThread();
		const wait = (): Promise<unknown> => {
			if (how === "select") return select(waiter, b + 1, new FdSet([b]), null, null, null);
			const fds = [{ fd: b, events: POLLIN, revents: 0 }];
			return poll(waiter, fds, -1).then((n) => [n, fds[0]?.revents]);
		};
		const first = wait();
		writeNow(thread, a, new Uint8Array(1));
		host.settle();
		assert.equal(await first, how === "poll" ? [1, POLLIN] : 1);
		one(thread, b);
		const saved = dup(thread, b);
		close(thread, b);
		dup2(thread, saved, b);
		const second = wait().catch(({ code }) => code);
		host.settle();
		assert.is(waiter.state, "asleep");
		close(thread, b);
		host.settle();
		assert.equal(await second, how === "poll" ? [1, POLLNVAL] : "EBADF");
	}
});

test("kq-fdpass and t_kevent desc_passing: a kqueue cannot be passed on, and nothing is sent", () => {
	const { thread } = machine();
	const [a, b] = socketpair(thread, "stream");
	const child = fork(thread);
	const kq = kqueue(child.main);
	keventNow(child.main, kq, [{ ident: 1, filter: EVFILT_TIMER, flags: EV_ADD, data: 1 }], null);
	const message = { bytes: new Uint8Array(1), fds: [kq] };
	assert.is(
		codeOf(() => sendmsgNow(child.main, a, message)),
		"EINVAL",
	);
	exit(child.main, 0);
	const received = { bytes: new Uint8Array(1), fds: [-1] };
	assert.is(
		codeOf(() => recvmsgNow(thread, b, received)),
		"EAGAIN",
	);
	assert.equal([received.fds, child.status], [[], 0]);
});

test.run();
