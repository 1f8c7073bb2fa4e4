// An emulated process for something that really runs, such as a child or a worker.
import {
	errno,
	exit,
	fork,
	openFile,
	type Process,
	SystemError,
	type Thread,
} from "@kqpoll/kqueue";
import { File } from "@kqpoll/kqueue/kernel";
import { closefrom } from "@kqpoll/kqueue/unistd";

/** Calls a function when its process exits: it is the only file that the process has open. */
class LastWill extends File {
	private readonly run: () => void;

	constructor(run: () => void) {
		super("vnode");
		this.run = run;
	}

	override close(): void {
		this.run();
	}
}

/** A child of the thread's process, with no descriptors of its own. */
export class RealProcess {
	/** The emulated process. */
	readonly process: Process;
	private over = false;

	/** Forks it. `kill` is called when it exits before what really runs has ended. EAGAIN. */
	constructor(thread: Thread, kill: () => void) {
		this.process = fork(thread);
		const { main } = this.process;
		closeAll(main);
		const will = new LastWill(() => {
			if (this.over) return;
			this.over = true;
			kill();
		});
		openFile(main, will);
	}

	/** What really runs has ended: lets the process exit, if it has not yet. */
	end(status: number, signal = 0): void {
		if (this.over) return;
		this.over = true;
		exit(this.process.main, status, signal);
	}
}

/** Closes inherited descriptors. */
function closeAll(thread: Thread): void {
	try {
		closefrom(thread, 0);
	} catch (error) {
		// It was not open.
		if (!(error instanceof SystemError && error.errno === errno.EBADF)) throw error;
	}
}
