// The rows of observables: their names, and that each contestant does its work.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { rx } from "../rows/rx.ts";

test("the rows of rx and their contestants have these names", () => {
	const named = rx(true).map(({ name, contestants }) => [
		name,
		contestants.map(({ name }) => name),
	]);
	assert.equal(named, [
		[
			"rx",
			["fromKevent", "watchKevent", "kevent", "Subject", "fromEvent", "EventEmitter", "kevents"],
		],
		["rx operators", ["readable", "fromEvent"]],
		["rx bytes", ["readBytes, map, writeBytes", "read, write", "pipeline"]],
		["rx timers", ["kernelTimer", "interval, kernelScheduler", "interval, VirtualTimeScheduler"]],
	]);
});

test("every contestant of rx finds that all events, bytes and ticks have arrived", async () => {
	for (const { name: row, contestants } of rx(true)) {
		for (const { name, run, close } of contestants) {
			assert.ok((await run()) > 0, `${row}: ${name}`);
			await close?.();
		}
	}
});

test.run();
