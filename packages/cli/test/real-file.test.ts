// Regular files of the real system that are standard streams.
import * as assert from "node:assert/strict";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
	close,
	EV_ADD,
	EVFILT_READ,
	EVFILT_WRITE,
	eventList,
	fstat,
	Kernel,
	keventNow,
	kqueue,
	lseek,
	openFile,
	readNow,
	SystemError,
	type Thread,
	writeNow,
} from "@kqpoll/kqueue";
import { FREAD, FWRITE } from "@kqpoll/kqueue/kernel";
import { pread, pwrite, SEEK_CUR, SEEK_END, SEEK_SET } from "@kqpoll/kqueue/unistd";
import { test } from "uvu";
import { RealFile } from "../src/real-file.ts";
import { programs } from "./programs.ts";

const { folder, remove } = programs();
test.after(remove);

interface Opened {
	readonly main: Thread;
	readonly fd: number;
	readonly path: string;
}

/** Calls `act` with a descriptor of a file with this content. */
function withFile(flags: "r" | "w" | "r+", content: string, act: (opened: Opened) => void): void {
	const path = join(folder, "file");
	writeFileSync(path, content);
	const real = openSync(path, flags);
	const { main } = new Kernel().spawn();
	const fd = openFile(main, new RealFile(real, flags === "r" ? FREAD : FWRITE));
	try {
		act({ main, fd, path });
	} finally {
		close(main, fd);
		closeSync(real);
	}
}

function textOf({ main, fd }: Opened, length: number): string {
	const buffer = Buffer.alloc(length);
	return buffer.toString("latin1", 0, readNow(main, fd, buffer));
}

test("a file is read from its offset, which can be moved and asked for", () => {
	withFile("r", "0123456789", (file) => {
		const { main, fd } = file;
		assert.equal(textOf(file, 3), "012");
		assert.equal(lseek(main, fd, 0, SEEK_CUR), 3);
		assert.equal(textOf(file, 2), "34");
		assert.equal(lseek(main, fd, -1, SEEK_END), 9);
		assert.equal(textOf(file, 5), "9");
		assert.equal(textOf(file, 5), "");
		assert.equal(lseek(main, fd, 1, SEEK_SET), 1);
		assert.equal(lseek(main, fd, 2, SEEK_CUR), 3);
		assert.equal(textOf(file, 2), "34");
		assert.throws(() => lseek(main, fd, -1, SEEK_SET), { code: "EINVAL" });
		assert.equal(fstat(main, fd).size, 10);
	});
});

test("a read or write at an offset does not move that of the file", () => {
	withFile("r", "0123456789", (file) => {
		const buffer = Buffer.alloc(2);
		assert.equal(pread(file.main, file.fd, buffer, 4), 2);
		assert.equal(`${buffer}`, "45");
		assert.equal(textOf(file, 3), "012");
	});
	withFile("r+", "0123456789", ({ main, fd, path }) => {
		assert.equal(pwrite(main, fd, Buffer.from("ab"), 4), 2);
		assert.equal(writeNow(main, fd, Buffer.from("x")), 1);
		assert.equal(readFileSync(path, "latin1"), "x123ab6789");
	});
});

test("a file is always ready, with the number of bytes that are left to read", () => {
	withFile("r", "0123456789", (file) => {
		const { main, fd } = file;
		const events = eventList(1);
		const kq = kqueue(main);
		const change = { ident: fd, filter: EVFILT_READ, flags: EV_ADD };
		assert.equal(keventNow(main, kq, [change], events), 1);
		assert.equal(events[0]?.data, 10);
		textOf(file, 4);
		assert.equal(keventNow(main, kq, [], events), 1);
		assert.equal(events[0]?.data, 6);
	});
	withFile("w", "", ({ main, fd }) => {
		const change = { ident: fd, filter: EVFILT_WRITE, flags: EV_ADD };
		assert.equal(keventNow(main, kqueue(main), [change], eventList(1)), 1);
	});
});

test("errors of the real system are errors of the call", () => {
	const real = openSync(folder, "r");
	const { main } = new Kernel().spawn();
	const [input, output] = ([FREAD, FWRITE] as const).map((mode) =>
		openFile(main, new RealFile(real, mode)),
	);
	const buffer = Buffer.alloc(1);
	assert.throws(() => readNow(main, input as number, buffer), { code: "EISDIR" });
	assert.throws(
		() => writeNow(main, output as number, buffer),
		(error) => {
			return error instanceof SystemError && error.code === "EBADF";
		},
	);
	closeSync(real);
});

test.run();
