// Watches that share a knote against watches that have one each: nobody can tell the difference.
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	EV_ENABLE,
	EVFILT_EXCEPT,
	EVFILT_PROC,
	EVFILT_READ,
	EVFILT_SIGNAL,
	EVFILT_VNODE,
	EVFILT_WRITE,
	fork,
	type KeventWatch,
	kill,
	NOTE_ATTRIB,
	NOTE_EXTEND,
	NOTE_FORK,
	NOTE_OOB,
	NOTE_WRITE,
	openFile,
	type Process,
	SyntheticFile,
	sigaction,
	watchKevent,
} from "../../src/index.ts";
import { SIG_IGN, SIGUSR1 } from "../../src/signal.ts";
import { checkMachine, type Machine, machine } from "../machine.ts";

/** What is watched. */
const FILTERS = [
	{ filter: EVFILT_READ },
	{ filter: EVFILT_WRITE },
	{ filter: EVFILT_EXCEPT, fflags: NOTE_OOB },
	{ filter: EVFILT_VNODE, fflags: NOTE_WRITE | NOTE_ATTRIB },
	{ filter: EVFILT_SIGNAL },
	{ filter: EVFILT_PROC, fflags: NOTE_FORK },
] as const;

/** A watch, and the watches that are made inside its events, one in each. */
interface Wish {
	readonly what: number;
	readonly inside: readonly number[];
}

type Step =
	| { readonly do: "watch"; readonly wish: Wish }
	| { readonly do: "close"; readonly which: number }
	| { readonly do: "read" | "write" | "except" | "note"; readonly n: number }
	| { readonly do: "signal" }
	| { readonly do: "fork" }
	| { readonly do: "settle" };

const aWhat = fc.nat(FILTERS.length - 1);
const aStep: fc.Arbitrary<Step> = fc.oneof(
	{
		weight: 3,
		arbitrary: fc.record({
			do: fc.constant("watch" as const),
			wish: fc.record({ what: aWhat, inside: fc.array(aWhat, { maxLength: 3 }) }),
		}),
	},
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("close" as const), which: fc.nat(20) }) },
	{
		weight: 4,
		arbitrary: fc.record({
			do: fc.constantFrom("read" as const, "write" as const, "except" as const, "note" as const),
			n: fc.nat(2),
		}),
	},
	{
		weight: 4,
		arbitrary: fc.record({
			do: fc.constantFrom("signal" as const, "fork" as const, "settle" as const),
		}),
	},
);

/** One run of the steps. */
class Run {
	private readonly m: Machine = machine();
	private readonly file: SyntheticFile = new SyntheticFile({ type: "vnode" });
	private readonly fd: number;
	private readonly child: Process;
	private readonly flags: number;
	private readonly watches: KeventWatch[] = [];
	/** What each watch was told, by its name, with a mark where the machine was left alone. */
	readonly heard: Record<string, string[]> = {};

	constructor(flags: number) {
		this.flags = flags;
		this.fd = openFile(this.m.thread, this.file);
		this.child = fork(this.m.thread);
		sigaction(this.m.thread, SIGUSR1, SIG_IGN);
	}

	do(step: Step, at: number): void {
		const { m, file } = this;
		if (step.do === "watch") this.watch(`${at}`, step.wish);
		else if (step.do === "close") this.watches[step.which % this.watches.length]?.close();
		else if (step.do === "note") file.notify([NOTE_WRITE, NOTE_ATTRIB, NOTE_EXTEND][step.n] ?? 0);
		else if (step.do === "signal") kill(m.thread, m.process.pid, SIGUSR1);
		else if (step.do === "fork") fork(this.child.main);
		else if (step.do === "settle") this.settle();
		else file.set(step.do, { data: step.n });
	}

	private watch(name: string, { what, inside }: Wish): void {
		const [ident, rest] = [
			[this.fd, this.fd, this.fd, this.fd, SIGUSR1, this.child.pid],
			[...inside],
		];
		const heard: string[] = [];
		this.heard[name] = heard;
		const change = { ident: ident[what] as number, ...FILTERS[what], flags: this.flags };
		const watch = watchKevent(this.m.thread, change as never, {
			next: ({ data, fflags }) => {
				heard.push(`${data} ${fflags}`);
				const more = rest.shift();
				if (more !== undefined) this.watch(`${name}.${rest.length}`, { what: more, inside: rest });
			},
			error: (error) => heard.push(String(error)),
			complete: () => heard.push("done"),
		});
		// Inside an event the order depends on that in which watches are told.
		if (!name.includes(".")) this.watches.push(watch);
	}

	settle(): void {
		this.m.host.settle();
		checkMachine(this.m);
		for (const heard of Object.values(this.heard)) heard.push("|");
	}

	/** How many knotes the watches need. */
	get nknotes(): number {
		return this.m.process.fdp.firstKqueue?.nknotes ?? 0;
	}
}

test("watches that share a knote are told what those with a knote of their own are told", () => {
	let spared = 0;
	fc.assert(
		fc.property(fc.array(aStep, { maxLength: 30 }), (steps) => {
			const [shared, own] = [new Run(0), new Run(EV_ENABLE)];
			for (const run of [shared, own]) {
				steps.forEach((step, at) => {
					run.do(step, at);
				});
				run.settle();
			}
			assert.equal(shared.heard, own.heard);
			assert.ok(shared.nknotes <= own.nknotes);
			spared += own.nknotes - shared.nknotes;
		}),
		{ numRuns: 300 },
	);
	assert.ok(spared > 0);
});

test.run();
