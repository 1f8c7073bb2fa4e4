// Knotes without a descriptor: each is found again, however many there are.
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
	close,
	EV_ADD,
	EV_DELETE,
	EV_ONESHOT,
	EVFILT_TIMER,
	eventList,
	keventNow,
	kqueue,
} from "../../src/index.ts";
import { codeOf, machine } from "../machine.ts";

test("twenty thousand timers are found, changed, deleted and expired, and lists stay short", () => {
	const n = 20_000;
	const { host, kernel, process, thread } = machine({ timermax: n, diagnostics: false });
	const kq = kqueue(thread);
	const change = (ident: number, flags: number, data = 5): unknown =>
		codeOf(() => keventNow(thread, kq, [{ ident, filter: EVFILT_TIMER, flags, data }], null));
	// Idents of all kinds: of either sign, and some with the same low bits.
	const ident = (i: number): number => (i % 3 === 0 ? -i : i % 3 === 1 ? i : i * 4096);
	for (let i = 0; i < n; i++) assert.is(change(ident(i), EV_ADD | EV_ONESHOT), "no error");
	const { nknotes, nhashed, knhash } = process.fdp.firstKqueue as NonNullable<
		typeof process.fdp.firstKqueue
	>;
	assert.equal([nknotes, nhashed], [n, n]);
	assert.ok(knhash.length >= n / 4);
	for (let i = 0; i < n; i++) assert.is(change(ident(i), EV_ADD | EV_ONESHOT, 6), "no error");
	assert.is(process.fdp.firstKqueue?.nknotes, n);
	for (let i = 0; i < n; i += 2) assert.is(change(ident(i), EV_DELETE), "no error");
	for (let i = 0; i < n; i += 2) assert.is(change(ident(i), EV_DELETE), "ENOENT");
	host.advance(6);
	const events = eventList(n);
	const got = keventNow(thread, kq, null, events);
	const idents = events.slice(0, got).map((event) => event.ident);
	const expected = Array.from({ length: n / 2 }, (_, i) => ident(2 * i + 1));
	const ascending = (a: number, b: number): number => a - b;
	assert.equal(idents.sort(ascending), expected.sort(ascending));
	close(thread, kq);
	assert.is(kernel.ntimers, 0);
});

test.run();
