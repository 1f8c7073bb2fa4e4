// Which exported functions hostile programs call, and which they do not, with the reason.
import { filesOperations, filesUsed } from "./files.ts";
import { kqpollOperations } from "./kqpoll.ts";
import { kqueueOperations, kqueueUsed } from "./kqueue.ts";
import { rxjsOperations, rxjsUsed } from "./rxjs.ts";

/** Every entry point of the packages that hostile programs call. */
const ENTRIES = [
	"kqueue",
	"kqueue/fcntl",
	"kqueue/ioctl",
	"kqueue/kernel",
	"kqueue/signal",
	"kqueue/stat",
	"kqueue/testing",
	"kqueue/time",
	"kqueue/uio",
	"kqueue/unistd",
	"kqueue/wait",
	"kqpoll",
	"kqpoll/kernel",
	"files",
	"files/at",
	"files/fcntl",
	"files/kernel",
	"files/socket",
	"files/termios",
	"files/ttycom",
	"rxjs",
	"rxjs/demand",
	"rxjs/testing",
];

const HOST = "for hosts: a wrong call is a mistake of the host, not of a guest";
const FILTER =
	"a part of filters, which the operations above run: a wrong call is a mistake of theirs";
const FAILURE = "handles errors of the engine's own steps";
const ABSTRACT = "its subclasses are made by calls";
const ARGUMENT = "reads or writes arguments for the calls above, which pass it all kinds of them";
const REAL = "needs the time of the platform";

/** The exported functions and classes that hostile programs do not call, with the reason. */
export const EXCLUDED: Readonly<Record<string, string>> = {
	BlockingCall: ABSTRACT,
	BlockingHost: REAL,
	Device: ABSTRACT,
	Directory: "the names in a directory, without calls of its own",
	Driver: ABSTRACT,
	FileSystem: ABSTRACT,
	Panic: FAILURE,
	Quota: HOST,
	RealHost: REAL,
	Ring: "a buffer of file types, without calls of its own",
	ScanState: FILTER,
	SockBuf: "a buffer of sockets, without calls of its own",
	Socket: ABSTRACT,
	TestSchedulerHost: "the clock of a TestScheduler, which is another virtual time",
	Vnode: ABSTRACT,
	VirtualHost: "what the programs run on",
	attempt: FAILURE,
	checkSize: ARGUMENT,
	contentOf: ARGUMENT,
	copyin: ARGUMENT,
	copyout: ARGUMENT,
	doAll: FAILURE,
	enter: HOST,
	faultOf: FAILURE,
	fileCharge: HOST,
	fileDischarge: HOST,
	fileHold: HOST,
	fileRelease: HOST,
	filterContract: "a list of tests",
	formatKnote: FILTER,
	isList: ARGUMENT,
	isObject: ARGUMENT,
	kassert: FAILURE,
	knoteActivate: FILTER,
	knoteAssign: FILTER,
	knoteFind: FILTER,
	knoteJoin: FILTER,
	knoteModify: FILTER,
	knoteProcess: FILTER,
	knoteSubmit: FILTER,
	kqpollDone: FILTER,
	kqpollInit: FILTER,
	onThreadExit: "tells a host of the end of a thread; no call of a program",
	kqueueDoCheck: "what checks the machine after the operations",
	kqueueRefresh: FILTER,
	kqueueRegister: FILTER,
	kqueueScan: FILTER,
	kqueueScanFinish: FILTER,
	kqueueScanSetup: FILTER,
	leave: HOST,
	lengthOfList: ARGUMENT,
	limitOf: HOST,
	newDescriptor: FILTER,
	newDevice: HOST,
	notify: FILTER,
	rethrow: FAILURE,
	ringDoorbell: REAL,
	seltrueKqfilter: FILTER,
	unreachable: FAILURE,
	isIntact: ARGUMENT,
	viewOf: ARGUMENT,
	wordsOf: ARGUMENT,
	vnodeEvent: FILTER,
};

/** The exported functions that neither a generator calls nor the list above explains. */
export async function uncovered(): Promise<string[]> {
	const operations = [kqueueOperations, kqpollOperations, filesOperations, rxjsOperations];
	const called = new Set(operations.flatMap((each) => Object.keys(each)));
	const used = new Set([...kqueueUsed, ...filesUsed, ...rxjsUsed]);
	const missing: string[] = [];
	for (const entry of ENTRIES) {
		const module = (await import(`@kqpoll/${entry}`)) as Record<string, unknown>;
		for (const [name, value] of Object.entries(module)) {
			if (typeof value !== "function" || called.has(name) || used.has(value)) continue;
			if (EXCLUDED[name] === undefined) missing.push(`${entry}: ${name}`);
		}
	}
	return missing;
}

/** The entry points of these packages that the list above lacks. */
export function unknownEntries(packages: readonly { name: string; exports: object }[]): string[] {
	return packages.flatMap(({ name, exports }) =>
		Object.keys(exports)
			.filter((key) => !key.endsWith(".json"))
			.map((key) => `${name.replace("@kqpoll/", "")}${key.slice(1)}`)
			.filter((entry) => !ENTRIES.includes(entry)),
	);
}
