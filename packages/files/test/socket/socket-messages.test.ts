// The objects of sendmsg and recvmsg: what a program puts into them, and what their accessors do.
import { close, exit, fork, interrupt, sigaction } from "@kqpoll/kqueue";
import { SA_RESTART, SIGUSR1, threadKill } from "@kqpoll/kqueue/signal";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	type IncomingMessage,
	pipe,
	recvmsg,
	recvmsgNow,
	recvNow,
	sendmsg,
	sendmsgNow,
	sendNow,
	socketpair,
} from "../../src/index.ts";
import { codeOf, type Machine, machine, outcome } from "../machine.ts";

/** What an accessor throws. */
const OWN = new Error("an accessor");

/** An object that notes which of its fields are read and written. */
function noted<T extends object>(fields: T): { message: T; log: string[] } {
	const log: string[] = [];
	const message = new Proxy(fields, {
		get: (target, key) => {
			log.push(String(key));
			return Reflect.get(target, key);
		},
		set: (target, key, value) => {
			log.push(`${String(key)}=`);
			return Reflect.set(target, key, value);
		},
	});
	return { message, log };
}

function open({ process }: Machine): number[] {
	return [...process.fdp.open()];
}

test("each field of a message is read once, and what was received is written at the end", () => {
	const { thread } = machine();
	const [a, b] = socketpair(thread, "stream");
	const [r] = pipe(thread);
	const sent = noted({ bytes: Uint8Array.of(1, 2), fds: [r], address: null });
	assert.is(sendmsgNow(thread, a, sent.message), 2);
	assert.equal(sent.log, ["bytes", "address", "fds"]);
	const got = noted<IncomingMessage>({ bytes: new Uint8Array(4) });
	assert.is(recvmsgNow(thread, b, got.message), 2);
	const writes = ["address=", "fds=", "flags="];
	assert.equal(got.log, ["bytes", ...writes, ...writes]);
});

test("a call that sleeps, or begins again, sends and receives what its message was at the beginning", async () => {
	const made = machine();
	const { host, process, thread } = made;
	const [a, b] = socketpair(thread, "stream");
	const other = process.spawnThread();
	sigaction(thread, SIGUSR1, () => {}, 0, SA_RESTART);
	const into = { bytes: new Uint8Array(2) };
	const { bytes } = into;
	const received = outcome(recvmsg(other, b, into));
	host.settle();
	into.bytes = new Uint8Array(9);
	threadKill(thread, other, SIGUSR1);
	host.settle();
	assert.is(other.state, "asleep");
	sendNow(thread, a, Uint8Array.of(1, 2, 3));
	host.settle();
	assert.equal([await received, bytes], [2, Uint8Array.of(1, 2)]);
	recvNow(thread, b, new Uint8Array(1));

	const message = { bytes: new Uint8Array(20_000).fill(7) };
	const sent = outcome(sendmsg(other, a, message));
	host.settle();
	message.bytes = new Uint8Array(0);
	const all = new Uint8Array(30_000);
	let n = 0;
	while (n < 20_000) {
		n += recvNow(thread, b, all.subarray(n));
		host.settle();
	}
	assert.equal([await sent, n, all[19_999]], [20_000, 20_000, 7]);
});

test("a setter that throws leaves no descriptor behind, whichever and whenever", () => {
	for (const field of ["address", "fds", "flags"]) {
		for (const nth of [1, 2]) {
			const made = machine();
			const { thread } = made;
			const [a, b] = socketpair(thread, "stream");
			const [r, w] = pipe(thread);
			sendmsgNow(thread, a, { bytes: Uint8Array.of(1), fds: [w] });
			close(thread, w);
			let writes = 0;
			const message = Object.defineProperty({ bytes: new Uint8Array(4) }, field, {
				get: () => null,
				set: () => {
					if (++writes === nth) throw OWN;
				},
			});
			assert.is(
				codeOf(() => recvmsgNow(thread, b, message)),
				OWN,
			);
			assert.equal(open(made), [a, b, r], `${field} ${nth}`);
			// At the first write nothing has been received yet.
			const left = codeOf(() => recvNow(thread, b, new Uint8Array(4)));
			assert.is(left, nth === 1 ? "no error" : "EAGAIN", `${field} ${nth}`);
		}
	}
});

test("a setter that throws closes only what was received, not what has taken its number", () => {
	const made = machine();
	const { thread } = made;
	const [a, b] = socketpair(thread, "stream");
	const [r, w] = pipe(thread);
	sendmsgNow(thread, a, { bytes: Uint8Array.of(1), fds: [r, w] });
	let writes = 0;
	const message = {
		bytes: new Uint8Array(4),
		set fds(fds: number[]) {
			if (++writes === 1) return;
			close(thread, fds[0] as number);
			pipe(thread);
			throw OWN;
		},
	};
	assert.is(
		codeOf(() => recvmsgNow(thread, b, message as IncomingMessage)),
		OWN,
	);
	// One end of the new pipe has the number of the first descriptor, the other its own.
	assert.equal(open(made), [a, b, r, w, 4, 6]);
});

test("a setter that throws while a receiver sleeps rejects its call, and leaves nothing", async () => {
	const made = machine();
	const { host, process, thread } = made;
	const [a, b] = socketpair(thread, "seqpacket");
	const [r, w] = pipe(thread);
	const other = process.spawnThread();
	let writes = 0;
	const message = {
		bytes: new Uint8Array(4),
		set fds(_fds: number[]) {
			if (++writes === 2) throw OWN;
		},
	};
	const call = outcome(recvmsg(other, b, message as IncomingMessage));
	host.settle();
	sendmsgNow(thread, a, { bytes: Uint8Array.of(1), fds: [w] });
	host.settle();
	assert.is(await call, OWN);
	assert.equal([open(made), other.state], [[a, b, r, w], "running"]);
});

test("descriptors are those of the list, whatever else it has", () => {
	const made = machine();
	const { thread } = made;
	const [a, b] = socketpair(thread, "stream");
	const [r, w] = pipe(thread);
	const fds: number[] = Object.assign([w], {
		map: () => [{ refs: 0, type: "pipe", flags: 3, close() {} }],
		[Symbol.iterator]: () => [r][Symbol.iterator](),
	});
	assert.is(sendmsgNow(thread, a, { bytes: Uint8Array.of(1), fds }), 1);
	const child = fork(thread);
	const message: IncomingMessage = { bytes: new Uint8Array(1) };
	recvmsgNow(child.main, b, message);
	assert.equal(
		message.fds?.map((fd) => child.fdp.get(fd)),
		[made.process.fdp.get(w)],
	);
});

test("a list of descriptors without end is not read", () => {
	const { thread } = machine();
	const [a] = socketpair(thread, "stream");
	let reads = 0;
	const endless = (length: unknown): number[] =>
		new Proxy([0], {
			get: (target, key) => {
				if (key === "length") return length;
				reads++;
				return Reflect.get(target, key);
			},
		});
	const send = (length: unknown): unknown =>
		codeOf(() => sendmsgNow(thread, a, { bytes: new Uint8Array(1), fds: endless(length) }));
	assert.equal([2 ** 31, 2 ** 40, -1, Number.NaN, 1n, "1"].map(send), [
		"EMSGSIZE",
		"EINVAL",
		"EINVAL",
		"EINVAL",
		"EINVAL",
		"EINVAL",
	]);
	assert.is(reads, 0);
});

test("accessors that end what the call uses are harmless", async () => {
	const made = machine();
	const { host, process, thread } = made;
	const [a, b] = socketpair(thread, "stream");
	const other = process.spawnThread();
	const acts = [
		() => close(thread, a),
		() => exit(thread, 1),
		() => interrupt(other),
		() => recvNow(thread, b, new Uint8Array(1)),
	];
	for (const act of acts) {
		const message = {
			get bytes() {
				codeOf(act);
				return Uint8Array.of(1);
			},
		};
		const call = outcome(sendmsg(other, process.fdp.get(a) === null ? b : a, message));
		host.settle();
		assert.ok([1, "EPIPE", "EBADF", "ENOTCONN"].includes((await call) as never));
	}
	assert.is(process.exiting, false);
});

test.run();
