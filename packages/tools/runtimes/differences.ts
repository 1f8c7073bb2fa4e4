// Where runtimes differ from Node 20: the tests that fail there, with the reason for each. A test that
// is listed and passes is an error, unless it varies, so the list is never longer than it has to be.

/** A runtime other than the Node that runs the tests otherwise. */
export type Runtime = "deno" | "bun" | "node22" | "node24" | "node26";

/** Tests that fail under some runtimes. */
export interface Difference {
	/** Where they fail. */
	readonly runtimes: readonly Runtime[];
	/** The file, from the root of the workspace. */
	readonly file: string;
	/** Their names; null if the file as a whole ends early, or does not end. */
	readonly tests: readonly string[] | null;
	/** Whether they pass in some runs and fail in others: then they do not run there. */
	readonly varies?: true;
	/** Why that is not a fault of this package. */
	readonly reason: string;
}

/** All known differences. */
export const DIFFERENCES: readonly Difference[] = [
	{
		runtimes: ["bun"],
		file: "packages/files/test/lost-memory.test.ts",
		tests: ["a vectored write takes memory for a piece, not for all bytes"],
		reason: "Bun's process.memoryUsage does not count the memory of an ArrayBuffer as Node's does.",
	},
	{
		runtimes: ["deno"],
		file: "packages/kqpoll/test/allocation.test.ts",
		tests: [
			"kevent, poll and select allocate nothing, however many events there are",
			"a call that returns a result or a promise allocates nothing when it did not sleep",
			"adding an event allocates a knote and nothing else",
		],
		varies: true,
		reason: "They count bytes in the heap of Node's V8; Deno's own work is in its heap, too.",
	},
	{
		runtimes: ["bun"],
		file: "packages/kqpoll/test/allocation.test.ts",
		tests: ["a call that allocates is found, by the bytes or by the collections that they cause"],
		reason: "Bun's engine does not report what its heap holds as V8 does.",
	},
	{
		runtimes: ["deno"],
		file: "packages/kqueue/test/base/real-host.test.ts",
		tests: ["where timers are numbers, Deno's functions let them keep the program alive or not"],
		reason: "Deno does not let a test put an object in place of its own.",
	},
	{
		runtimes: ["deno"],
		file: "packages/kqueue/test/base/real-host.test.ts",
		tests: [
			"a thread that sleeps for a time or a timer keeps a Node program alive",
			"a timer that no thread sleeps for does not keep a Node program alive",
			"when a sleep ends a Node program can end, with its timers still set",
		],
		reason: "They start a program with Node's own arguments.",
	},
	{
		runtimes: ["deno"],
		file: "packages/kqueue/test/base/real-host.test.ts",
		tests: [
			"a timer that is held up loses no period",
			"the platform reports what deferred work throws, and the rest still runs",
			"a timer far beyond the platform's largest one neither fires nor spins",
		],
		varies: true,
		reason:
			"They ask at once for work that waits for a turn of the platform, which Deno has later.",
	},
	{
		runtimes: ["deno"],
		file: "packages/node/test/alive.test.ts",
		tests: null,
		reason: "Every test starts a program with Node's own arguments.",
	},
	{
		runtimes: ["deno"],
		file: "packages/node/test/connections.test.ts",
		tests: null,
		reason: "The test starts a program with Node's own arguments.",
	},
	{
		runtimes: ["deno"],
		file: "packages/node/test/child.test.ts",
		tests: [
			"the status of a child that a signal killed has the signal's number",
			"a signal to the emulated child is sent to the real one, which decides what to do",
		],
		reason:
			"Deno does not report which signal ended a child, and child.kill cannot send all signals.",
	},
	{
		runtimes: ["deno"],
		file: "packages/node/test/messages.test.ts",
		tests: [
			"when the channel is closed messages that wait can be read, and then come hang-ups",
			"closing closes the port, or with close false leaves it and later messages",
			"a worker is a child with a descriptor for its messages",
			"the end of the process terminates the worker",
		],
		reason:
			"Deno's ports have no listenerCount and do not keep messages without a listener; its workers keep their threadId after their end.",
	},
	{
		runtimes: ["bun"],
		file: "packages/node/test/messages.test.ts",
		tests: ["a worker is a child with a descriptor for its messages"],
		reason: "Bun's workers have two listeners of their own when there are no others.",
	},
	{
		runtimes: ["deno"],
		file: "packages/node/test/path.test.ts",
		tests: [
			"notes of a file that is written to or truncated, or whose attributes change",
			"notes of a file that gets and loses names",
			"writes within one tick of the clock are seen, and two changes of mode are not a write",
			"a file that another one replaces is deleted, and its successor is another file",
		],
		reason: "Deno's fs.watch reports fewer changes of a file, and at other times.",
	},
	{
		runtimes: ["bun"],
		file: "packages/node/test/real-directory.test.ts",
		tests: ["a machine that is forgotten without being ended leaves no real descriptors open"],
		reason: "It does not collect garbage when node:v8 is asked to expose that.",
	},
	{
		runtimes: ["deno"],
		file: "packages/node/test/real-directory.test.ts",
		tests: [
			"times that were set are read to the nanosecond, until others are set",
			"times that were set are read to the nanosecond, until others are set (by path)",
		],
		reason: "Deno reads the times of files to the millisecond.",
	},
	{
		runtimes: ["deno"],
		file: "packages/node/test/exact-times.test.ts",
		tests: ["times just behind a whole microsecond do not lose it"],
		reason: "Deno reads the times of files to the millisecond.",
	},
	{
		runtimes: ["deno"],
		file: "packages/node/test/real-directory.test.ts",
		tests: ["a reader at the end waits for what is written from outside"],
		varies: true,
		reason: "Deno's fs.watch reports fewer changes of a file, and at other times.",
	},
	{
		runtimes: ["bun"],
		file: "packages/node/test/path.test.ts",
		tests: ["a file that another one replaces is deleted, and its successor is another file"],
		reason: "Bun's fs.watch says nothing when another file takes the place of the one it watches.",
	},
	{
		runtimes: ["bun"],
		file: "packages/node/test/path.test.ts",
		tests: [
			"writes within one tick of the clock are seen, and two changes of mode are not a write",
		],
		varies: true,
		reason: "Under Bun the last write may be reported with the change of mode that follows it.",
	},
	{
		runtimes: ["bun"],
		file: "packages/node/test/pressure.test.ts",
		tests: ["a descriptor that nobody reads stops the sender, and reading lets it go on"],
		reason: "Bun reads more than a socket's highWaterMark before it stops.",
	},
	{
		runtimes: ["deno"],
		file: "packages/node/test/socket.test.ts",
		tests: [
			"an object that is ended elsewhere takes no more bytes",
			"an object that had ended, failed or closed before shows that state",
		],
		reason:
			"In Deno a socket that was ended with end() may read an end of file that nobody has sent.",
	},
];
