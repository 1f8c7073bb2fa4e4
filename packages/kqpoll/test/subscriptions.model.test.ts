// poll_oneoff of synthetic files against poll, after any earlier calls of either.
import {
	close,
	dup2,
	errno,
	openFile,
	type Process,
	SyntheticFile,
	SystemError,
	type Thread,
} from "@kqpoll/kqueue";
import { callNow, FREAD, FWRITE, SERIAL_MAX, syscall } from "@kqpoll/kqueue/kernel";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	FdSet,
	POLLERR,
	POLLHUP,
	POLLIN,
	POLLNVAL,
	POLLOUT,
	pollNow,
	selectNow,
} from "../src/index.ts";
import {
	EVENTTYPE_CLOCK,
	EVENTTYPE_FD_READ,
	EVENTTYPE_FD_WRITE,
	SUBSCRIPTION_FD_BARRED,
	SubscriptionSet,
	subscriptionsCall,
} from "../src/kernel.ts";
import { checkMachine, type Machine, machine } from "./machine.ts";

const FDS = 6;
const { EINVAL, ENODEV, ENXIO, EOPNOTSUPP, EPERM, EPIPE } = errno;

/** What a file is like: its flags, and what its sides refuse. */
interface Like {
	readonly flags: number;
	readonly read: number;
	readonly write: number;
}

/** A subscription: its type, its descriptor or clock, and whether it is barred. */
interface Asked {
	readonly type: number;
	readonly ident: number;
	readonly barred: boolean;
}

type Command =
	| { do: "subscribe"; who: number; asked: Asked[] }
	| { do: "poll"; who: number; entries: { fd: number; events: number }[] }
	| { do: "select"; who: number; fds: number[] }
	| { do: "set"; fd: number; side: "read" | "write"; data: number; quietly: boolean }
	| { do: "end"; fd: number; side: "read" | "write"; hup: boolean }
	| { do: "open"; like: Like }
	| { do: "close"; who: number; fd: number }
	| { do: "dup2"; who: number; fd: number; to: number };

/** A host whose threads begin their serials so close to the end that they wrap. */
class WrappingHost extends VirtualHost {
	override random(): number {
		return SERIAL_MAX - 60;
	}
}

/** An event: its subscription, errno, and whether it is a hang-up. */
type Row = readonly [index: number, error: number, hangup: boolean];

/** Errnos with which a file says that it cannot be watched that way, which poll ignores. */
const IGNORED: readonly number[] = [EINVAL, EOPNOTSUPP, EPERM];

/** Two threads that share descriptors, and ask with a set each. */
class World {
	private readonly machine: Machine = machine({ host: new WrappingHost() });
	private readonly process: Process = this.machine.process;
	private readonly threads: readonly Thread[] = [this.process.main, this.process.spawnThread()];
	private readonly sets: readonly SubscriptionSet[] = [
		new SubscriptionSet(),
		new SubscriptionSet(),
	];
	private readonly likes: Map<SyntheticFile, Like> = new Map();

	perform(command: Command): void {
		const thread = this.threads["who" in command ? command.who : 0] as Thread;
		switch (command.do) {
			case "subscribe":
				this.subscribe(thread, this.sets[command.who] as SubscriptionSet, command.asked);
				break;
			case "poll":
				pollNow(
					thread,
					command.entries.map((entry) => ({ ...entry, revents: 0 })),
				);
				break;
			case "select":
				ignoring(() =>
					selectNow(thread, FDS, new FdSet(command.fds), new FdSet(command.fds), null),
				);
				break;
			case "set":
				this.set(command.fd, command.side, command.data, command.quietly);
				break;
			case "end":
				// What has hung up stays so: knotes remember it.
				this.fileOf(command.fd)?.set(command.side, { eof: true, hup: command.hup });
				break;
			case "open":
				this.open(command.like);
				break;
			case "close":
				ignoring(() => close(thread, command.fd));
				break;
			default:
				ignoring(() => dup2(thread, command.fd, command.to));
		}
		checkMachine(this.machine);
	}

	private fileOf(fd: number): SyntheticFile | null {
		return this.process.fdp.get(fd) as SyntheticFile | null;
	}

	private set(fd: number, side: "read" | "write", data: number, quietly: boolean): void {
		const file = this.fileOf(fd);
		if (quietly) file?.setQuietly(side, { data });
		else file?.set(side, { data });
	}

	private open(like: Like): void {
		const file = new SyntheticFile();
		file.flags = like.flags;
		file.deny("read", like.read);
		file.deny("write", like.write);
		this.likes.set(file, like);
		ignoring(() => openFile(this.process.main, file));
	}

	private subscribe(thread: Thread, set: SubscriptionSet, asked: readonly Asked[]): void {
		set.reserve(asked.length);
		for (const [i, { type, ident, barred }] of asked.entries()) {
			set.type[i] = type;
			set.ident[i] = ident;
			set.flags[i] = barred ? SUBSCRIPTION_FD_BARRED : 0;
			set.timeout.fill(0, 2 * i, 2 * i + 2);
		}
		const expected = asked.flatMap((each, i) => this.expected(each, i));
		let result: number | string;
		try {
			result = syscall(thread, "poll_oneoff", () => callNow(subscriptionsCall(thread, set)));
		} catch (error) {
			result = (error as SystemError).code;
		}
		const got = [...set.events.subarray(0, set.nevents)].map((i): Row => {
			return [i, set.error[i] as number, set.hangup[i] === 1];
		});
		assert.equal(got, expected);
		// Without an event it would sleep.
		const otherwise = asked.length === 0 ? "EINVAL" : "EAGAIN";
		assert.is(result, expected.length === 0 ? otherwise : expected.length);
		assert.is(set.busy, false);
	}

	/** What a new thread's poll says of the same descriptor, as an event. */
	private expected({ type, ident, barred }: Asked, i: number): Row[] {
		if (type === EVENTTYPE_CLOCK) return [[i, ident < 2 ? 0 : EINVAL, false]];
		if (type > EVENTTYPE_FD_WRITE) return [[i, EINVAL, false]];
		const file = this.fileOf(ident);
		if (file === null) return [[i, errno.EBADF, false]];
		const { flags, read, write } = this.likes.get(file) as Like;
		const reads = type === EVENTTYPE_FD_READ;
		if (barred || (flags & (reads ? FREAD : FWRITE)) === 0) return [];
		const denied = reads ? read : write;
		// Of a file that can be watched for nothing it is an error.
		if (IGNORED.includes(denied)) return read !== 0 && write !== 0 ? [[i, denied, false]] : [];
		const revents = this.polled(ident, reads ? POLLIN : POLLOUT);
		assert.not((revents & POLLNVAL) !== 0);
		if ((revents & POLLERR) !== 0) return [[i, denied, false]];
		return revents === 0 ? [] : [[i, 0, reads && (revents & POLLHUP) !== 0]];
	}

	private polled(fd: number, events: number): number {
		const entry = { fd, events, revents: 0 };
		pollNow(this.process.spawnThread(), [entry]);
		return entry.revents;
	}
}

function ignoring(act: () => unknown): void {
	try {
		act();
	} catch (error) {
		if (!(error instanceof SystemError)) throw error;
	}
}

const who = fc.nat(1);
const fd = fc.nat(FDS);
const side = fc.constantFrom("read" as const, "write" as const);
const asked = fc.record({
	type: fc.constantFrom(1, 1, 1, 2, 2, 2, 0, 3),
	ident: fd,
	barred: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, fc.boolean()),
});
const like: fc.Arbitrary<Like> = fc.record({
	flags: fc.constantFrom(FREAD | FWRITE, FREAD | FWRITE, FREAD, FWRITE),
	read: fc.constantFrom(0, 0, 0, 0, EINVAL, EOPNOTSUPP, ENXIO),
	write: fc.constantFrom(0, 0, 0, 0, EPIPE, EPERM, EINVAL, ENODEV),
});
const command: fc.Arbitrary<Command> = fc.oneof(
	{
		weight: 6,
		arbitrary: fc.record({
			do: fc.constant("subscribe" as const),
			who,
			asked: fc.array(asked, { maxLength: 20, size: "+1" }),
		}),
	},
	{
		weight: 2,
		arbitrary: fc.record({
			do: fc.constant("poll" as const),
			who,
			entries: fc.array(
				fc.record({ fd, events: fc.constantFrom(POLLIN, POLLOUT, POLLIN | POLLOUT, 0) }),
				{ maxLength: 8 },
			),
		}),
	},
	fc.record({ do: fc.constant("select" as const), who, fds: fc.uniqueArray(fc.nat(FDS - 1)) }),
	{
		weight: 4,
		arbitrary: fc.record({
			do: fc.constant("set" as const),
			fd,
			side,
			data: fc.nat(1),
			quietly: fc.boolean(),
		}),
	},
	fc.record({ do: fc.constant("end" as const), fd, side, hup: fc.boolean() }),
	fc.record({ do: fc.constant("open" as const), like }),
	fc.record({ do: fc.constant("close" as const), who, fd }),
	fc.record({ do: fc.constant("dup2" as const), who, fd, to: fc.nat(FDS - 1) }),
);
const openings = fc.array(like, { minLength: 2, maxLength: FDS });

test("a subscription has an event when poll has one, after any earlier calls", () => {
	fc.assert(
		fc.property(openings, fc.array(command, { maxLength: 40, size: "+1" }), (likes, commands) => {
			const world = new World();
			for (const each of likes) world.perform({ do: "open", like: each });
			for (const each of commands) world.perform(each);
		}),
		{ numRuns: 1500, includeErrorInReport: true },
	);
});

test.run();
