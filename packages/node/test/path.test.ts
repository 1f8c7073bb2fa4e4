// Watched paths: what happened, found out from fs.watch and the new state of the files.
import {
	appendFileSync,
	chmodSync,
	linkSync,
	mkdirSync,
	mkdtempSync,
	renameSync,
	rmdirSync,
	rmSync,
	truncateSync,
	unlinkSync,
	utimesSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { POLLIN } from "@kqpoll/kqpoll";
import {
	close,
	EV_ADD,
	EV_CLEAR,
	EVFILT_READ,
	EVFILT_VNODE,
	eventList,
	fstat,
	kevent,
	keventNow,
	kqueue,
	NOTE_ATTRIB,
	NOTE_DELETE,
	NOTE_EXTEND,
	NOTE_LINK,
	NOTE_RENAME,
	NOTE_TRUNCATE,
	NOTE_WRITE,
} from "@kqpoll/kqueue";
import { S_IFREG } from "@kqpoll/kqueue/stat";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openPath } from "../src/index.ts";
import { codeOf, pause, revents, text, type World, watch, world } from "./world.ts";

const ALL =
	NOTE_ATTRIB | NOTE_DELETE | NOTE_EXTEND | NOTE_LINK | NOTE_RENAME | NOTE_TRUNCATE | NOTE_WRITE;

interface Folder extends World {
	readonly folder: string;
	readonly file: string;
	/** Watches a path, does something, and returns its notes when all of `wanted` are there. */
	after(fd: number, wanted: number, act: () => void): Promise<number>;
}

/** A folder with a file of three bytes. */
async function inFolder(run: (f: Folder) => Promise<void>): Promise<void> {
	const w = world();
	const folder = mkdtempSync(join(tmpdir(), "kqpoll-"));
	const file = join(folder, "file");
	writeFileSync(file, "abc");
	// The clock of the file system is coarse: the times of later writes must differ from this one's.
	await pause(20);
	const after = async (fd: number, wanted: number, act: () => void) => {
		const kq = kqueue(w.thread);
		const events = eventList(1);
		const change = { ident: fd, filter: EVFILT_VNODE, flags: EV_ADD | EV_CLEAR, fflags: ALL };
		keventNow(w.thread, kq, [change], null);
		act();
		let notes = 0;
		while ((notes & wanted) !== wanted) {
			await kevent(w.thread, kq, null, events, null);
			notes |= events[0]?.fflags ?? 0;
		}
		await pause(5);
		if (keventNow(w.thread, kq, null, events) > 0) notes |= events[0]?.fflags ?? 0;
		close(w.thread, kq);
		return notes;
	};
	try {
		await run({ ...w, folder, file, after });
	} finally {
		rmSync(folder, { recursive: true });
	}
}

test("notes of a file that is written to or truncated, or whose attributes change", () =>
	inFolder(async ({ thread, file, after }) => {
		const fd = openPath(thread, file);
		const notes = [
			await after(fd, NOTE_WRITE, () => appendFileSync(file, "def")),
			await after(fd, NOTE_TRUNCATE, () => truncateSync(file, 2)),
			await after(fd, NOTE_WRITE, () => writeFileSync(file, "xy", { flag: "r+" })),
			await after(fd, NOTE_ATTRIB, () => chmodSync(file, 0o600)),
			await after(fd, NOTE_ATTRIB, () => utimesSync(file, 1, 1)),
		];
		assert.equal(notes, [
			NOTE_WRITE | NOTE_EXTEND,
			NOTE_ATTRIB | NOTE_TRUNCATE,
			NOTE_WRITE,
			NOTE_ATTRIB,
			NOTE_ATTRIB,
		]);
		assert.equal(fstat(thread, fd), { mode: S_IFREG | 0o600, size: 2, blksize: 4096 });
		close(thread, fd);
	}));

test("notes of a file that gets and loses names", () =>
	inFolder(async ({ thread, folder, file, after }) => {
		const fd = openPath(thread, file);
		const [second, third] = [join(folder, "second"), join(folder, "third")];
		const notes = [
			await after(fd, NOTE_LINK, () => linkSync(file, second)),
			await after(fd, NOTE_DELETE, () => unlinkSync(second)),
			await after(fd, NOTE_RENAME, () => renameSync(file, third)),
			await after(fd, NOTE_WRITE, () => appendFileSync(third, "more")),
			await after(fd, NOTE_DELETE, () => unlinkSync(third)),
		];
		assert.equal(notes, [
			NOTE_LINK,
			NOTE_DELETE,
			NOTE_RENAME,
			NOTE_WRITE | NOTE_EXTEND,
			NOTE_DELETE,
		]);
		close(thread, fd);
	}));

test("a file that another one replaces is deleted, and its successor is another file", () =>
	inFolder(async ({ thread, folder, file, after }) => {
		const fd = openPath(thread, file);
		const fresh = join(folder, "fresh");
		writeFileSync(fresh, "replacement");
		assert.is(await after(fd, NOTE_DELETE, () => renameSync(fresh, file)), NOTE_DELETE);
		const successor = openPath(thread, file);
		assert.equal([fstat(thread, fd).size, fstat(thread, successor).size], [3, 11]);
		assert.is(
			await after(successor, NOTE_WRITE, () => appendFileSync(file, "!")),
			NOTE_WRITE | NOTE_EXTEND,
		);
		for (const each of [fd, successor]) close(thread, each);
	}));

test("a directory is written to when its entries change, not when the files in it do", () =>
	inFolder(async ({ thread, folder, file, after }) => {
		const fd = openPath(thread, folder);
		const inner = join(folder, "inner");
		const other = openPath(thread, file);
		const kq = kqueue(thread);
		const change = { ident: fd, filter: EVFILT_VNODE, flags: EV_ADD, fflags: ALL };
		keventNow(thread, kq, [change], null);
		await after(other, NOTE_WRITE, () => appendFileSync(file, "more"));
		assert.is(keventNow(thread, kq, null, eventList(1)), 0);
		const notes = [
			await after(fd, NOTE_WRITE, () => writeFileSync(join(folder, "new"), "")),
			await after(fd, NOTE_WRITE, () => unlinkSync(join(folder, "new"))),
			(await after(fd, NOTE_WRITE, () => mkdirSync(inner))) & ~NOTE_LINK,
			await after(fd, NOTE_WRITE, () => renameSync(file, join(folder, "other"))),
		];
		assert.equal(notes, [NOTE_WRITE, NOTE_WRITE, NOTE_WRITE, NOTE_WRITE]);
		const within = openPath(thread, inner);
		const moved = join(folder, "moved");
		assert.is(await after(within, NOTE_RENAME, () => renameSync(inner, moved)), NOTE_RENAME);
		assert.is(
			(await after(within, NOTE_DELETE, () => rmdirSync(moved))) & NOTE_DELETE,
			NOTE_DELETE,
		);
		for (const each of [fd, other, within]) close(thread, each);
	}));

test("writes within one tick of the clock are seen, and two changes of mode are not a write", () =>
	inFolder(async ({ thread, file, after }) => {
		const fd = openPath(thread, file);
		for (let i = 0; i < 20; i++) {
			const notes = await after(fd, NOTE_WRITE, () =>
				writeFileSync(file, `${i % 10}`, { flag: "r+" }),
			);
			assert.is(notes, NOTE_WRITE);
		}
		const notes = await after(fd, NOTE_ATTRIB, () => {
			for (const mode of [0o600, 0o640, 0o660]) chmodSync(file, mode);
		});
		assert.is(notes, NOTE_ATTRIB);
		close(thread, fd);
	}));

test("a path can only be watched, and must exist", () =>
	inFolder(async (f) => {
		const { thread, folder, file } = f;
		const fds = [openPath(thread, file), openPath(thread, folder)];
		assert.equal(
			[
				...fds.map((fd) => text(thread, fd)),
				codeOf(() => watch(f, { ident: fds[0] ?? -1, filter: EVFILT_READ })),
				revents(thread, POLLIN, ...fds),
				codeOf(() => openPath(thread, join(folder, "missing"))),
				codeOf(() => openPath(thread, join(file, "within"))),
				codeOf(() => openPath(world({ maxfiles: 1 }).thread, file)),
			],
			["ENXIO", "EISDIR", "EINVAL", [0, 0], "ENOENT", "ENOTDIR", "EMFILE"],
		);
		for (const fd of fds) close(thread, fd);
	}));

test.run();
