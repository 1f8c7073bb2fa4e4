// The list of ready knotes: how far a call goes depends on when the knotes were queued.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { TQSEQ_MAX } from "../../src/abi/constants.ts";
import type { Kqueue } from "../../src/event/kqueue.ts";
import {
	EV_ADD,
	EVFILT_READ,
	eventList,
	keventNow,
	kqueue,
	openFile,
	SyntheticFile,
} from "../../src/index.ts";
import { fields, machine } from "../machine.ts";

test("when the count of the ready list restarts, a call still takes each knote once and no later one", () => {
	for (let before = 0; before < 24; before++) {
		const { process, thread } = machine();
		const kq = kqueue(thread);
		const queue = process.fdp.firstKqueue as Kqueue;
		queue.tqseq = TQSEQ_MAX - before;
		const fds = Array.from({ length: 9 }, () => {
			const file = new SyntheticFile();
			file.set("read", { data: 1 });
			return openFile(thread, file);
		});
		const changes = fds.map((ident) => ({ ident, filter: EVFILT_READ, flags: EV_ADD }));
		keventNow(thread, kq, changes, null);
		// Level-triggered knotes are queued again at the end: a call with room for more must not take
		// them twice, and calls with room for fewer go round.
		const events = eventList(20);
		for (let turn = 0; turn < 3; turn++) {
			const got = keventNow(thread, kq, null, events);
			assert.equal(
				fields(events, got).map(([ident]) => ident),
				fds,
			);
		}
		const few = eventList(6);
		const seen: number[] = [];
		for (let turn = 0; turn < 3; turn++) {
			keventNow(thread, kq, null, few);
			seen.push(...few.map((event) => event.ident));
		}
		assert.equal(seen, [...fds, ...fds]);
		assert.ok(before > 20 || queue.tqseq < TQSEQ_MAX / 2, "the count began again");
	}
});

test.run();
