// A program and a file type as their authors write them.
import { openpty, pipe } from "@kqpoll/files";
import { O_RDWR } from "@kqpoll/files/fcntl";
import { ICANON } from "@kqpoll/files/termios";
import { FdSet, POLLIN, poll, pollSubscriptions, select } from "@kqpoll/kqpoll";
import { pollCall, SubscriptionSet, subscriptionsCall } from "@kqpoll/kqpoll/kernel";
import {
	BlockingHost,
	EV_ADD,
	EVFILT_READ,
	eventList,
	fcntl,
	Kernel,
	kevent,
	kevents,
	kqueue,
	openFile,
	type Process,
	sigaction,
	type Thread,
	waitpid,
	watchKevent,
} from "@kqpoll/kqueue";
import { F_SETFL, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { callSync, File, filterops, Klist, type Knote, knoteJoin } from "@kqpoll/kqueue/kernel";
import { SIG_IGN, SIGPIPE } from "@kqpoll/kqueue/signal";
import { VirtualHost } from "@kqpoll/kqueue/testing";
import { WEXITSTATUS } from "@kqpoll/kqueue/wait";
import { openSocket } from "@kqpoll/node";
import { type DemandObservable, fromKevent, readBytes, writeBytes } from "@kqpoll/rxjs";
import { map } from "@kqpoll/rxjs/demand";

const always = filterops({ name: "always", event: () => true });

class Always extends File {
	private readonly klist = new Klist();

	constructor() {
		super("socket");
	}

	override kqfilter(kn: Knote): number {
		return knoteJoin(kn, always, this.klist);
	}
}

export async function program(): Promise<void> {
	const process: Process = new Kernel({ host: new VirtualHost() }).spawn();
	const thread: Thread = process.main;
	sigaction(thread, SIGPIPE, SIG_IGN);
	const [r, w] = pipe(thread);
	fcntl(thread, w, F_SETFL, O_NONBLOCK);
	const fds = [{ fd: r, events: POLLIN, revents: 0 }];
	await poll(thread, fds, 100);
	for (const entry of fds) entry.fd = -1;
	await select(thread, r + 1, new FdSet([r]), null, null, { sec: 0, usec: 5 });
	const kq = kqueue(thread);
	const change = { ident: r, filter: EVFILT_READ, flags: EV_ADD };
	await kevent(thread, kq, [change], eventList(8), null);
	const { status } = await waitpid(thread, -1);
	console.log(WEXITSTATUS(status), ICANON, O_RDWR, openpty(thread), openFile(thread, new Always()));
	for await (const event of kevents(thread, change)) console.log(event.data);
	watchKevent(thread, change, { next: console.log, error: console.error, complete: () => {} });
	fromKevent(thread, change).subscribe(console.log);
	const flipped = map((chunk: Uint8Array) => chunk.map((byte) => byte ^ 255));
	const copied: DemandObservable<number> = readBytes(thread, r).pipe(
		flipped,
		writeBytes(thread, r),
	);
	copied.subscribe(console.log);
	const blocking = thread.kernel.host instanceof BlockingHost;
	if (blocking) callSync(thread, "poll", null, pollCall, fds, -1);
	const events = await pollSubscriptions(thread, [{ type: "fd_read", fd: r }]);
	const set = new SubscriptionSet();
	set.reserve(events.length);
	if (blocking) callSync(thread, "poll_oneoff", null, subscriptionsCall, set);
	console.log(openSocket);
}
