// The program for both reactors: readings that come through a pipe, a heartbeat, a watchdog that
// barks when readings stop, and signals from another process.
import { pipe } from "@kqpoll/files";
import { poll } from "@kqpoll/kqpoll";
import {
	close,
	exit,
	fork,
	Kernel,
	kill,
	type Process,
	readNow,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { SIGTERM, SIGUSR1 } from "@kqpoll/kqueue/signal";
import { VirtualHost } from "@kqpoll/kqueue/testing";

/** Calls back when something happens. One callback runs at a time. */
export interface Reactor {
	/** Calls back whenever there is something to read from a descriptor, or its end. */
	onReadable(fd: number, callback: () => void): void;
	/** Calls back whenever the process gets a signal, which from now on has no other effect. */
	onSignal(signal: number, callback: () => void): void;
	/** Calls back once, after `ms` milliseconds; calling the result cancels that. */
	after(ms: number, callback: () => void): () => void;
	/** Forgets a descriptor, which may then be closed. */
	forget(fd: number): void;
	/** Waits and calls back until it is stopped. */
	run(): Promise<void>;
	/** Ends it, after the callback that calls this. */
	stop(): void;
}

/** Runs the program with a reactor, in virtual time; each line begins with the time. */
export async function demonstrate(
	make: (thread: Thread) => Reactor,
	print: (line: string) => void,
): Promise<void> {
	const host = new VirtualHost();
	const { main } = new Kernel({ host }).spawn();
	const [r, w] = pipe(main);
	const sensor = fork(main);
	close(main, w);
	const reactor = make(main);
	const say = (line: string): void => print(`${String(host.now() / 1e6).padStart(4)} ms  ${line}`);

	let readings = 0;
	const watch = (): (() => void) =>
		reactor.after(150, () => say("watchdog: no reading for 150 ms"));
	let calmDown = watch();
	const byte = new Uint8Array(1);
	reactor.onReadable(r, () => {
		calmDown();
		if (readNow(main, r, byte) === 0) {
			say("the sensor is gone");
			reactor.forget(r);
			close(main, r);
			return;
		}
		readings++;
		say(`reading ${byte[0]}`);
		calmDown = watch();
	});
	const beat = (): void => {
		say("heartbeat");
		reactor.after(200, beat);
	};
	reactor.after(200, beat);
	reactor.onSignal(SIGUSR1, () => say(`SIGUSR1: ${readings} readings so far`));
	reactor.onSignal(SIGTERM, () => {
		say("SIGTERM: that is all");
		reactor.stop();
	});
	await host.run(() => Promise.all([reactor.run(), sense(sensor, w, main.process)]));
	exit(main, 0);
}

/** Another process: writes readings, sends signals, and exits. */
async function sense({ main }: Process, w: number, reactor: Process): Promise<void> {
	const sleep = (ms: number) => poll(main, [], ms);
	for (const [pause, reading] of [
		[70, 20],
		[70, 21],
		[370, 35],
		[30, 36],
	] as const) {
		await sleep(pause);
		writeNow(main, w, Uint8Array.of(reading));
	}
	await sleep(5);
	kill(main, reactor.pid, SIGUSR1);
	await sleep(35);
	close(main, w);
	await sleep(240);
	kill(main, reactor.pid, SIGTERM);
	exit(main, 0);
}
