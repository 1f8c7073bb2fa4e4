// Devices keep the contract of all filters.
import { EVFILT_DEVICE, EVFILT_READ, EVFILT_WRITE, NOTE_CHANGE, openFile } from "@kqpoll/kqueue";
import { type FilterSubject, filterContract } from "@kqpoll/kqueue/testing";
import { test } from "uvu";
import { ChangingDevice } from "../../src/device/changing-device.ts";
import { type DeviceName, openDevice } from "../../src/device/device-calls.ts";

const NAMES: readonly DeviceName[] = ["null", "zero", "full", "random"];

/** A device with `bytes` bytes to read and `room` bytes of room. */
class Counter {
	bytes = 0;
	room = 0;
	readonly device: ChangingDevice = new ChangingDevice({
		readable: () => this.bytes,
		writable: () => this.room,
	});
}

function constantSubjects(name: DeviceName): FilterSubject[] {
	return [EVFILT_READ, EVFILT_WRITE].map((filter) => ({
		name: `${name} ${filter === EVFILT_READ ? "read" : "write"}`,
		filter,
		kind: "always",
		setup: ({ thread }) => ({ ident: openDevice(thread, name), trigger: () => {} }),
	}));
}

function driverSubject(filter: number, side: "bytes" | "room"): FilterSubject {
	return {
		name: `detachable device, ${side}`,
		filter,
		kind: "level",
		setup: ({ thread }) => {
			const counter = new Counter();
			const set = (n: number) => () => {
				counter[side] = n;
				counter.device.notify();
			};
			return { ident: openFile(thread, counter.device), trigger: set(3), untrigger: set(0) };
		},
	};
}

const SUBJECTS: readonly FilterSubject[] = [
	...NAMES.flatMap(constantSubjects),
	driverSubject(EVFILT_READ, "bytes"),
	driverSubject(EVFILT_WRITE, "room"),
	{
		name: "changing device",
		filter: EVFILT_DEVICE,
		kind: "sticky",
		setup: ({ thread }) => {
			const { device } = new Counter();
			const ident = openFile(thread, device);
			return { ident, fflags: NOTE_CHANGE, trigger: () => device.change() };
		},
	},
];

for (const subject of SUBJECTS) {
	for (const { number, name, run } of filterContract(subject)) {
		test(`${subject.name}, ${number}: ${name}`, run);
	}
}

test.run();
