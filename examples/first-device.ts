// A host author's first device: a modem, made of a synthetic file, and a guest that polls it. The
// device says how many bytes there are, how much room there is, and that the connection is lost.
// The engine wakes the guest; the device need not know that anybody polls it.
import { POLLHUP, POLLIN, POLLOUT, poll } from "@kqpoll/kqpoll";
import { Kernel, openFile, readNow, SyntheticFile, type Thread, writeNow } from "@kqpoll/kqueue";
import { VirtualHost } from "@kqpoll/kqueue/testing";

/** A modem: a write dials, and what the other side sends can be read until it hangs up. */
function modem(after: (ms: number, fn: () => void) => void): SyntheticFile {
	const device = new SyntheticFile({
		write(bytes) {
			device.set("write", { data: 0 }); // no room while it dials
			after(2500, () => device.push(new TextEncoder().encode("CONNECT 2400\r\n")));
			after(3000, () => device.push(new TextEncoder().encode("login: ")));
			after(4000, () => {
				for (const side of ["read", "write"] as const) device.set(side, { eof: true, hup: true }); // carrier lost
			});
			return bytes.length;
		},
	});
	device.set("write", { data: 80 }); // room for a line
	return device;
}

/** The guest: a loop around poll, as in a terminal program of that time. */
async function guest(thread: Thread, fd: number, print: (line: string) => void): Promise<void> {
	const say = (line: string): void => {
		const seconds = thread.kernel.host.now() / 1e9;
		print(`${seconds.toFixed(1)} s  ${line}`);
	};
	let dialled = false;
	const buffer = new Uint8Array(80);
	for (;;) {
		const fds = [{ fd, events: POLLIN | (dialled ? 0 : POLLOUT), revents: 0 }];
		const ready = await poll(thread, fds, 1000);
		const revents = fds[0]?.revents ?? 0;
		if (ready === 0) say("still waiting");
		if (revents & POLLOUT) {
			dialled = writeNow(thread, fd, new TextEncoder().encode("ATDT 555 0100\r")) > 0;
			say("dialled");
		}
		if (revents & POLLIN && !(revents & POLLHUP)) {
			const n = readNow(thread, fd, buffer);
			say(`read ${JSON.stringify(new TextDecoder().decode(buffer.subarray(0, n)))}`);
		}
		if (revents & POLLHUP) {
			say("the other side has hung up");
			return;
		}
	}
}

/** Lets the guest dial, in virtual time, and prints what it sees. */
export async function run(print: (line: string) => void): Promise<void> {
	const host = new VirtualHost();
	const { main } = new Kernel({ host }).spawn();
	const after = (ms: number, fn: () => void) => host.setTimer(host.now() + ms * 1e6, fn);
	const fd = openFile(main, modem(after));
	await host.run(() => guest(main, fd, print));
}
