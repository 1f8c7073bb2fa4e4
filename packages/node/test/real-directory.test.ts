// A real directory in a tree: its limits, changes from outside, and what it keeps open.
import { execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import {
	appendFileSync,
	chmodSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	readlinkSync,
	realpathSync,
	renameSync,
	rmdirSync,
	rmSync,
	statSync,
	symlinkSync,
	truncateSync,
	unlinkSync,
	utimesSync,
	writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import {
	chmod,
	chown,
	fdatasync,
	fsync,
	getdents,
	lchown,
	link,
	lstat,
	mkdir,
	mkfifo,
	mount,
	openNow,
	readdir,
	readlink,
	rename,
	rmdir,
	stat,
	symlink,
	Tree,
	truncate,
	unlink,
	unmount,
	utimes,
} from "@kqpoll/files";
import { fchmodat, fstatat, openatNow, utimensat } from "@kqpoll/files/at";
import {
	AT_SYMLINK_NOFOLLOW,
	O_CREAT,
	O_DIRECTORY,
	O_EXCL,
	O_NOFOLLOW,
	O_RDONLY,
	O_RDWR,
	O_TRUNC,
	O_WRONLY,
} from "@kqpoll/files/fcntl";
import { stayBeneath } from "@kqpoll/files/kernel";
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
	lseek,
	NOTE_ATTRIB,
	NOTE_DELETE,
	NOTE_EXTEND,
	NOTE_LINK,
	NOTE_RENAME,
	NOTE_REVOKE,
	NOTE_TRUNCATE,
	NOTE_WRITE,
	writeNow,
} from "@kqpoll/kqueue";
import { O_APPEND, O_SYNC } from "@kqpoll/kqueue/fcntl";
import { S_IFIFO, S_IFREG, UTIME_OMIT } from "@kqpoll/kqueue/stat";
import { SEEK_SET } from "@kqpoll/kqueue/unistd";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RealDirectory } from "../src/index.ts";
import { bytes, codeOf, pause, text, type World, world } from "./world.ts";

const ALL =
	NOTE_ATTRIB | NOTE_DELETE | NOTE_EXTEND | NOTE_LINK | NOTE_RENAME | NOTE_TRUNCATE | NOTE_WRITE;
const LINUX = process.platform === "linux";
/** The descriptors of this process, as far as the system shows them. */
const realFds = (): number => (LINUX ? readdirSync("/proc/self/fd").length : 0);

interface Mounted extends World {
	readonly tree: Tree;
	/** The real directory, which is at m in the tree. It has a file f, and a directory d with a file g. */
	readonly folder: string;
	/** Another one beside it, with a file secret. */
	readonly outside: string;
	readonly real: RealDirectory;
}

type Body = (m: Mounted) => void | Promise<void>;

interface Options {
	readonly readOnly?: boolean;
	readonly byPath?: boolean;
}

async function inMount(
	body: Body,
	{ readOnly = false, byPath = false }: Options = {},
): Promise<void> {
	const base = realpathSync(mkdtempSync(join(tmpdir(), "kqpoll-")));
	const [folder, outside] = [join(base, "inside"), join(base, "outside")];
	for (const path of [folder, outside, join(folder, "d")]) mkdirSync(path);
	for (const path of ["f", "d/g"]) writeFileSync(join(folder, path), path);
	writeFileSync(join(outside, "secret"), "secret");
	const w = world();
	const tree = new Tree();
	mkdir(w.thread, tree, "m");
	const real = new RealDirectory(folder, { byPath });
	mount(w.thread, tree, "m", real, { readOnly });
	try {
		await body({ ...w, tree, folder, outside, real });
	} finally {
		unmount(w.thread, tree);
		rmSync(base, { recursive: true, force: true });
	}
	assert.is(real.fds.size, 0);
}

/** A test that holds however files are reached. */
function both(name: string, body: Body, options: Options = {}): void {
	test(name, () => inMount(body, options));
	test(`${name} (by path)`, () => inMount(body, { ...options, byPath: true }));
}

const names = ({ thread, tree }: Mounted, path: string): string[] =>
	readdir(thread, tree, path)
		.map(({ name }) => name)
		.sort();

both("reads and writes go through", (m) => {
	const { thread, tree, folder } = m;
	const fd = openNow(thread, tree, "m/new", O_CREAT | O_EXCL | O_RDWR, 0o400);
	assert.is(writeNow(thread, fd, bytes("hello")), 5);
	assert.is(readFileSync(join(folder, "new"), "utf8"), "hello");
	appendFileSync(join(folder, "d/g"), "!");
	assert.is(text(thread, openNow(thread, tree, "m/d/g", O_RDONLY)), "d/g!");
	mkdir(thread, tree, "m/e");
	rename(thread, tree, "m/new", "m/e/old");
	link(thread, tree, "m/e/old", "m/again");
	symlink(thread, tree, "e/old", "m/l");
	assert.equal(names(m, "m"), ["again", "d", "e", "f", "l"]);
	assert.equal(readdirSync(folder).sort(), ["again", "d", "e", "f", "l"]);
	assert.is(readlink(thread, tree, "m/l"), readlinkSync(join(folder, "l")));
	assert.is(stat(thread, tree, "m/l").nlink, 2);
	unlink(thread, tree, "m/again");
	unlink(thread, tree, "m/e/old");
	rmdir(thread, tree, "m/e");
	assert.equal(readdirSync(folder).sort(), ["d", "f", "l"]);
	assert.is(lseek(thread, fd, 0, SEEK_SET), 0);
	assert.is(text(thread, fd), "hello");
});

both(
	"stat, times, permissions and sizes are those of the real file",
	({ thread, tree, folder }) => {
		const real = statSync(join(folder, "f"), { bigint: true });
		const { mode, size, ino, nlink, mtime, dev } = stat(thread, tree, "m/f");
		assert.equal([mode, size, nlink], [Number(real.mode), 1, 1]);
		assert.is(BigInt(ino), real.ino);
		assert.is(mtime, Number(real.mtimeNs));
		assert.is.not(dev, tree.dev);
		utimes(thread, tree, "m/f", 1e9, 2e9);
		chmod(thread, tree, "m/f", 0o640);
		truncate(thread, tree, "m/f", 10);
		const after = statSync(join(folder, "f"));
		assert.equal([after.atimeMs, after.mode & 0o777, after.size], [1000, 0o640, 10]);
		assert.is(
			codeOf(() => chown(thread, tree, "m/f", after.uid, after.gid)),
			"no error",
		);
		const fd = openNow(thread, tree, "m/f", O_WRONLY | O_SYNC);
		writeNow(thread, fd, bytes("x"));
		fsync(thread, fd);
		fdatasync(thread, openNow(thread, tree, "m/d", O_RDONLY));
	},
);

both("times that were set are read to the nanosecond, until others are set", (world) => {
	const { thread, tree, folder } = world;
	const times = (): number[] => {
		const { atime, atimensec = 0, mtime, mtimensec = 0 } = stat(thread, tree, "m/f");
		const seconds = (time: number, nsec: number) => Math.round((time - nsec) / 1e9);
		return [seconds(atime, atimensec), atimensec, seconds(mtime, mtimensec), mtimensec];
	};
	const root = openNow(thread, tree, "/", O_RDONLY);
	type Time = { sec: number; nsec: number };
	const set = (...times: [Time, Time]) => utimensat(thread, root, "m/f", times);
	const omit = { sec: 0, nsec: UTIME_OMIT };
	set({ sec: 1_796_095_265, nsec: 534_944_342 }, { sec: 1_796_095_266, nsec: 999_999_999 });
	assert.equal(times(), [1_796_095_265, 534_944_342, 1_796_095_266, 999_999_999]);
	// A time that is kept does not lose a microsecond each time.
	for (let n = 1; n <= 5; n++) set(omit, { sec: 1_796_095_266, nsec: n });
	assert.equal(times(), [1_796_095_265, 534_944_342, 1_796_095_266, 5]);
	utimesSync(join(folder, "f"), 5, 6);
	assert.equal(times(), [5, 0, 6, 0]);
});

both("flags of open", ({ thread, tree, folder }) => {
	symlink(thread, tree, "f", "m/l");
	const code = (path: string, flags: number) => codeOf(() => openNow(thread, tree, path, flags));
	assert.equal(
		[
			code("m/f", O_CREAT | O_EXCL),
			code("m/l", O_CREAT | O_EXCL),
			code("m/l", O_NOFOLLOW),
			code("m/f", O_DIRECTORY),
			code("m/d", O_WRONLY),
			code("m/f/", O_RDONLY),
			code("m/none/x", O_CREAT),
			code("m/l", O_DIRECTORY | O_NOFOLLOW),
		],
		["EEXIST", "EEXIST", "ELOOP", "ENOTDIR", "EISDIR", "ENOTDIR", "ENOENT", "ELOOP"],
	);
	openNow(thread, tree, "m/l", O_RDWR | O_TRUNC);
	assert.is(statSync(join(folder, "f")).size, 0);
	const fd = openNow(thread, tree, "m/f", O_WRONLY | O_APPEND);
	writeNow(thread, fd, bytes("a"));
	appendFileSync(join(folder, "f"), "b");
	writeNow(thread, fd, bytes("c"));
	assert.is(readFileSync(join(folder, "f"), "utf8"), "abc");
});

both("links and two dots do not lead out", ({ thread, tree, folder, outside }) => {
	const links: Record<string, string> = {
		absolute: outside,
		file: join(outside, "secret"),
		up: "../outside",
		"d/up": "../../outside/secret",
		root: "/",
		etc: "/etc/passwd",
		proc: "/proc/self/root",
		loop: "loop",
		one: "two",
		two: "one",
		far: `${"../".repeat(100)}etc/passwd`,
	};
	for (const [name, target] of Object.entries(links)) symlinkSync(target, join(folder, name));
	const dir = openNow(thread, tree, "m", O_RDONLY);
	stayBeneath(thread, dir);
	const free = (path: string) => codeOf(() => openNow(thread, tree, `m/${path}`, O_RDONLY));
	const jailed = (path: string) => codeOf(() => openatNow(thread, dir, path, O_RDONLY));
	const paths = [
		...["absolute", "absolute/secret", "file", "up/secret", "d/up", "etc", "proc/etc", "far"],
		...["../outside/secret", "d/../../outside/secret", outside, "root/etc"],
	];
	assert.equal(
		paths.map(free),
		paths.map(() => "ENOENT"),
	);
	assert.equal(
		paths.map(jailed),
		paths.map(() => "EPERM"),
	);
	assert.equal(["loop", "one", "loop/x"].map(free), ["ELOOP", "ELOOP", "ELOOP"]);
	// The root of the tree.
	assert.is(stat(thread, tree, "m/root").dev, tree.dev);
	assert.is(
		codeOf(() => openNow(thread, tree, "m/etc", O_CREAT | O_WRONLY)),
		"ENOENT",
	);
	assert.equal(readdirSync(outside), ["secret"]);
});

both("links that a guest makes are real ones, and lead it nowhere else", (m) => {
	const { thread, tree, folder, outside } = m;
	symlink(thread, tree, join(outside, "secret"), "m/l");
	assert.is(readFileSync(join(folder, "l"), "utf8"), "secret");
	assert.is(
		codeOf(() => openNow(thread, tree, "m/l", O_RDONLY)),
		"ENOENT",
	);
	assert.is(lstat(thread, tree, "m/l").size, join(outside, "secret").length);
	utimes(thread, tree, "m", 1, 1);
});

both("a directory that becomes a link while it is open is still itself", (m) => {
	const { thread, tree, folder, outside, real } = m;
	const fd = openNow(thread, tree, "m/d", O_RDONLY);
	renameSync(join(folder, "d"), join(folder, "moved"));
	symlinkSync(outside, join(folder, "d"));
	const code = codeOf(() => openatNow(thread, fd, "secret", O_RDONLY));
	assert.is(code, "ENOENT");
	assert.is(
		codeOf(() => openatNow(thread, fd, "new", O_CREAT)),
		LINUX && !("byPath" in real && real["byPath"]) ? "no error" : "ENOENT",
	);
	assert.equal(readdirSync(outside), ["secret"]);
});

test("links that come and go in another process do not lead out", async () => {
	await inMount(async ({ thread, tree, folder, outside }) => {
		const inside = join(folder, "race");
		mkdirSync(inside);
		const swapper = fileURLToPath(new URL("directory-swapper.mjs", import.meta.url));
		const child = fork(swapper, [inside, outside], { execArgv: [] });
		await once(child, "message");
		const seen: Record<string, number> = {};
		const count = (what: unknown): void => {
			seen[String(what)] = (seen[String(what)] ?? 0) + 1;
		};
		const paths = ["real/secret", "plain", "real/sub/secret", "real/sub-link/secret"];
		for (let i = 0; i < 1000; i++) {
			const path = `m/race/${paths[i % paths.length]}`;
			try {
				const fd = openNow(thread, tree, path, O_RDWR);
				count(text(thread, fd));
				close(thread, fd);
			} catch (error) {
				count((error as { code: string }).code);
			}
			const made = `m/race/real/${i % 2 === 0 ? "" : "sub/"}made`;
			count(codeOf(() => close(thread, openNow(thread, tree, made, O_CREAT | O_WRONLY))));
			count(codeOf(() => rename(thread, tree, made, "m/race/real/other")));
			count(codeOf(() => chmod(thread, tree, "m/race/plain", 0o600 | (i & 0o77))));
			if (i % 100 === 0) await pause(0);
		}
		child.send("end");
		await once(child, "exit");
		assert.is(seen["secret"], undefined);
		assert.ok((seen["inside"] ?? 0) > 0, JSON.stringify(seen));
		const allowed = [
			"inside",
			"ENOENT",
			"no error",
			"ENOTDIR",
			"EXDEV",
			"ELOOP",
			"EISDIR",
			"EINVAL",
		];
		assert.equal(
			Object.keys(seen).filter((each) => !allowed.includes(each)),
			[],
		);
		assert.equal(readdirSync(outside), ["secret"]);
		assert.is(readFileSync(join(outside, "secret"), "utf8"), "secret");
	});
});

both(
	"nothing changes in a directory that is mounted read-only",
	({ thread, tree, folder }) => {
		const calls = [
			() => openNow(thread, tree, "m/f", O_WRONLY),
			() => openNow(thread, tree, "m/new", O_CREAT),
			() => mkdir(thread, tree, "m/new"),
			() => symlink(thread, tree, "f", "m/new"),
			() => link(thread, tree, "m/f", "m/new"),
			() => rename(thread, tree, "m/f", "m/new"),
			() => unlink(thread, tree, "m/f"),
			() => rmdir(thread, tree, "m/d"),
			() => truncate(thread, tree, "m/f", 0),
			() => chmod(thread, tree, "m/f", 0),
			() => utimes(thread, tree, "m/f", 0, 0),
		];
		assert.equal(
			calls.map(codeOf),
			calls.map(() => "EROFS"),
		);
		assert.is(text(thread, openNow(thread, tree, "m/f", O_RDONLY)), "f");
		assert.equal(readdirSync(folder).sort(), ["d", "f"]);
	},
	{ readOnly: true },
);

test("fifos are those of the emulated machine, devices and sockets cannot be opened", () =>
	inMount(async ({ thread, tree, folder }) => {
		assert.is(
			codeOf(() => mkfifo(thread, tree, "m/p")),
			"EOPNOTSUPP",
		);
		const server = createServer().listen(join(folder, "s"));
		await once(server, "listening");
		assert.is(
			codeOf(() => openNow(thread, tree, "m/s", O_RDWR)),
			"EOPNOTSUPP",
		);
		server.close();
		if (!LINUX) return;
		const { execFileSync } = await import("node:child_process");
		execFileSync("mkfifo", [join(folder, "p")]);
		assert.is(stat(thread, tree, "m/p").mode & 0o170000, S_IFIFO);
		const fd = openNow(thread, tree, "m/p", O_RDWR);
		writeNow(thread, fd, bytes("local"));
		assert.is(text(thread, fd), "local");
		const dev = new Tree();
		const other = new RealDirectory("/dev");
		mount(thread, dev, "/", other, { readOnly: true });
		assert.is(
			codeOf(() => openNow(thread, dev, "null", O_RDONLY)),
			"ENXIO",
		);
		unmount(thread, dev, "/");
	}));

both(
	"another file system is mounted in a real directory, and stays where the directory goes",
	(m) => {
		const { thread, tree, folder, real } = m;
		const inner = new Tree();
		mount(thread, tree, "m/d", inner);
		close(thread, openNow(thread, tree, "m/d/x", O_CREAT));
		assert.equal([names(m, "m/d"), readdirSync(join(folder, "d"))], [["x"], ["g"]]);
		assert.is(
			codeOf(() => unmount(thread, tree, "m")),
			"EBUSY",
		);
		assert.is(
			codeOf(() => rename(thread, tree, "m/d", "m/e")),
			"EXDEV",
		);
		renameSync(join(folder, "d"), join(folder, "e"));
		assert.equal([names(m, "m/e"), names(m, "m/e/..")], [["x"], ["e", "f"]]);
		unmount(thread, tree, "m/e");
		assert.equal(names(m, "m/e"), ["g"]);
		const gone = new RealDirectory(join(folder, "e"));
		rmSync(join(folder, "e"), { recursive: true });
		const known = real.remembered;
		mkdir(thread, tree, "m/at");
		assert.is(
			codeOf(() => mount(thread, tree, "m/at", gone)),
			"ENOENT",
		);
		rmdir(thread, tree, "m/at");
		assert.ok(real.remembered <= known);
	},
);

test("what is not a directory is refused when it is named, and what has gone when it is mounted", () =>
	inMount(({ thread, folder }) => {
		const make = (path: string) => codeOf(() => new RealDirectory(path));
		assert.equal(
			[make(join(folder, "f")), make(join(folder, "none")), make(1 as unknown as string)],
			["ENOTDIR", "ENOENT", "EFAULT"],
		);
		const gone = new RealDirectory(join(folder, "d"));
		rmSync(join(folder, "d"), { recursive: true });
		const tree = new Tree();
		assert.is(
			codeOf(() => mount(thread, tree, "/", gone)),
			"ENOENT",
		);
		assert.equal(readdir(thread, tree, "/"), []);
	}));

both("names are read while others come and go", (m) => {
	const { thread, tree, folder } = m;
	for (let i = 0; i < 50; i++) writeFileSync(join(folder, `d/n${i}`), "");
	const fd = openNow(thread, tree, "m/d", O_RDONLY);
	const first = getdents(thread, fd, 20).map(({ name }) => name);
	for (let i = 0; i < 50; i += 2) unlink(thread, tree, `m/d/n${i}`);
	for (let i = 0; i < 50; i += 7) rmSync(join(folder, `d/n${i}`), { force: true });
	const rest: string[] = [];
	let at = 0;
	for (let some = getdents(thread, fd, 5); some.length > 0; some = getdents(thread, fd, 5)) {
		rest.push(...some.map(({ name }) => name));
		at = some.at(-1)?.off ?? at;
		if (rest.length === 5) close(thread, openNow(thread, tree, "m/d/late", O_CREAT));
	}
	const all = [...first, ...rest];
	assert.is(new Set(all).size, all.length);
	const stay = ["g", "late", ...Array.from({ length: 50 }, (_, i) => `n${i}`)];
	assert.equal(
		stay.filter((name) => existsSync(join(folder, "d", name)) && !all.includes(name)),
		[],
	);
	lseek(thread, fd, 0, SEEK_SET);
	assert.equal(
		getdents(thread, fd, 100)
			.map(({ name }) => name)
			.sort(),
		[".", "..", ...readdirSync(join(folder, "d"))].sort(),
	);
	assert.equal(getdents(thread, fd, 1), []);
});

/** Watches a file, does something, and returns its notes when all of `wanted` are there. */
async function after(m: Mounted, path: string, wanted: number, act: () => void): Promise<number> {
	const { thread, tree } = m;
	const fd = openNow(thread, tree, path, O_RDONLY);
	const kq = kqueue(thread);
	const change = { ident: fd, filter: EVFILT_VNODE, flags: EV_ADD | EV_CLEAR, fflags: ALL };
	keventNow(thread, kq, [change], null);
	act();
	const events = eventList(1);
	let notes = 0;
	while ((notes & wanted) !== wanted) {
		await kevent(thread, kq, null, events, { sec: 5, nsec: 0 });
		if ((events[0]?.fflags ?? 0) === 0) break;
		notes |= events[0]?.fflags ?? 0;
	}
	close(thread, kq);
	close(thread, fd);
	return notes;
}

test("changes from outside are notes", () =>
	inMount(async (m) => {
		const { folder } = m;
		const at = (path: string): string => join(folder, path);
		await pause(20);
		const grown = NOTE_WRITE | NOTE_EXTEND;
		assert.is((await after(m, "m/f", grown, () => appendFileSync(at("f"), "x"))) & grown, grown);
		const cut = NOTE_ATTRIB | NOTE_TRUNCATE;
		assert.is((await after(m, "m/f", cut, () => truncateSync(at("f"), 0))) & cut, cut);
		assert.is(await after(m, "m/f", NOTE_ATTRIB, () => chmodSync(at("f"), 0o600)), NOTE_ATTRIB);
		assert.is(await after(m, "m/f", NOTE_RENAME, () => renameSync(at("f"), at("e"))), NOTE_RENAME);
		assert.is(await after(m, "m/e", NOTE_DELETE, () => unlinkSync(at("e"))), NOTE_DELETE);
		const made = NOTE_WRITE | NOTE_LINK;
		assert.is(await after(m, "m/d", made, () => mkdirSync(at("d/d"))), made);
		assert.is(await after(m, "m/d/d", NOTE_DELETE, () => rmdirSync(at("d/d"))), NOTE_DELETE);
	}));

test("changes through the tree are told at once, and once", () =>
	inMount(async ({ thread, tree }) => {
		const kq = kqueue(thread);
		const fds = ["m", "m/f", "m/d"].map((path) => openNow(thread, tree, path, O_RDONLY));
		const add = { filter: EVFILT_VNODE, flags: EV_ADD | EV_CLEAR, fflags: ALL };
		keventNow(
			thread,
			kq,
			fds.map((ident) => ({ ident, ...add })),
			null,
		);
		const told = (): number[][] => {
			const events = eventList(4);
			const n = keventNow(thread, kq, null, events);
			return events.slice(0, n).map(({ ident, fflags }) => [fds.indexOf(ident), fflags]);
		};
		const fd = openNow(thread, tree, "m/f", O_WRONLY | O_APPEND);
		writeNow(thread, fd, bytes("x"));
		assert.equal(told(), [[1, NOTE_WRITE | NOTE_EXTEND]]);
		rename(thread, tree, "m/f", "m/d/f");
		assert.equal(told().sort(), [
			[0, NOTE_WRITE],
			[1, NOTE_RENAME],
			[2, NOTE_WRITE],
		]);
		mkdir(thread, tree, "m/d/e");
		unlink(thread, tree, "m/d/f");
		assert.equal(told().sort(), [
			[1, NOTE_DELETE],
			[2, NOTE_WRITE | NOTE_LINK],
		]);
		await pause(60);
		assert.equal(told(), []);
	}));

test("a reader at the end waits for what is written from outside", () =>
	inMount(async ({ thread, tree, folder, kq }) => {
		const fd = openNow(thread, tree, "m/f", O_RDONLY);
		assert.is(text(thread, fd), "f");
		keventNow(thread, kq, [{ ident: fd, filter: EVFILT_READ, flags: EV_ADD }], null);
		const events = eventList(1);
		const woken = kevent(thread, kq, null, events, { sec: 5, nsec: 0 });
		appendFileSync(join(folder, "f"), "more");
		assert.is(await woken, 1);
		assert.is(events[0]?.data, 4);
		assert.is(text(thread, fd), "more");
	}));

test("only watched files cost a watcher, and files that are not used cost nothing", () =>
	inMount(async ({ thread, tree, folder, kq, real }) => {
		const before = realFds();
		const vnodes = real.remembered;
		real.remembers = 100;
		const fd = openNow(thread, tree, "m/f", O_RDONLY);
		assert.is(realFds() - before, LINUX ? 2 : 0);
		keventNow(thread, kq, [{ ident: fd, filter: EVFILT_VNODE, flags: EV_ADD, fflags: ALL }], null);
		const [file] = [...real.opens].map(({ vnode }) => vnode as unknown as { watch: unknown });
		assert.is.not(file?.watch, null);
		close(thread, fd);
		assert.is(file?.watch, null);
		for (let i = 0; i < 500; i++) {
			mkdirSync(join(folder, `d/${i}`));
			close(thread, openNow(thread, tree, `m/d/${i}`, O_RDONLY));
		}
		assert.ok(real.remembered <= 100 + vnodes + 3, `${real.remembered} files`);
		assert.ok(real.fds.size <= 130, `${real.fds.size} descriptors`);
	}));

if (LINUX)
	test("a machine that is forgotten without being ended leaves no real descriptors open", () =>
		inMount(async ({ folder }) => {
			const before = realFds();
			const forget = (): void => {
				const { thread } = world();
				const tree = new Tree();
				mount(thread, tree, "/", new RealDirectory(folder));
				openNow(thread, tree, "d/g", O_RDWR);
			};
			for (let i = 0; i < 20; i++) forget();
			assert.ok(realFds() - before >= 60);
			setFlagsFromString("--expose-gc");
			const gc = runInNewContext("gc") as () => void;
			// The last one may still be on the stack.
			const few = before + 8;
			for (let i = 0; i < 50 && realFds() > few; i++) {
				gc();
				await pause(5);
			}
			assert.ok(realFds() <= few);
		}));

test("unmount by force closes everything real, and tells watchers", () =>
	inMount(({ thread, tree, kq, real }) => {
		const before = realFds();
		const fds = ["m/f", "m/d", "m/d/g"].map((path) => openNow(thread, tree, path, O_RDONLY));
		const add = { filter: EVFILT_VNODE, flags: EV_ADD | EV_CLEAR, fflags: NOTE_REVOKE };
		keventNow(
			thread,
			kq,
			fds.map((ident) => ({ ident, ...add })),
			null,
		);
		assert.is(
			codeOf(() => unmount(thread, tree, "m")),
			"EBUSY",
		);
		unmount(thread, tree, "m", { force: true });
		assert.is(keventNow(thread, kq, null, eventList(4)), 3);
		assert.equal(
			fds.map((fd) => text(thread, fd)),
			["EIO", "EIO", "EIO"],
		);
		assert.is(real.fds.size, 0);
		assert.ok(realFds() < before || !LINUX);
		mount(thread, tree, "m", real);
		assert.is(text(thread, openNow(thread, tree, "m/f", O_RDONLY)), "f");
	}));

test("a file that others make at the moment when it was not found is opened", () =>
	inMount(({ thread, tree, folder, real }) => {
		const top = real.root as unknown as { lookup: (...args: unknown[]) => unknown };
		const { lookup } = top;
		top.lookup = (...args: unknown[]) => {
			const found = lookup.apply(top, args);
			if (found === null) writeFileSync(join(folder, "late"), "theirs");
			return found;
		};
		assert.is(text(thread, openNow(thread, tree, "m/late", O_CREAT | O_RDWR)), "theirs");
		unlink(thread, tree, "m/late");
		assert.is(
			codeOf(() => openNow(thread, tree, "m/late", O_CREAT | O_EXCL)),
			"EEXIST",
		);
	}));

test("a tree deeper than what is kept open is walked, and what is open is told apart by its number", () =>
	inMount(({ thread, tree, real }) => {
		let path = "m";
		for (let i = 0; i < 200; i++) {
			path += "/x";
			mkdir(thread, tree, path);
		}
		close(thread, openNow(thread, tree, `${path}/f`, O_CREAT));
		// The first descriptors have been closed meanwhile.
		rename(thread, tree, `${path}/f`, "m/x/f");
		rename(thread, tree, "m/x/f", `${path}/f`);
		link(thread, tree, `${path}/f`, "m/again");
		assert.is(stat(thread, tree, "m/again").ino, stat(thread, tree, `${path}/f`).ino);
		assert.ok(real.fds.size <= 130, `${real.fds.size}`);
		const one = openNow(thread, tree, "m/again", O_RDONLY);
		const other = openNow(thread, tree, `${path}/f`, O_RDONLY);
		assert.is(new Set([...real.opens].map(({ vnode }) => vnode)).size, 1);
		assert.is(fstat(thread, one).mode & S_IFREG, fstat(thread, other).mode & S_IFREG);
	}));

both("directories that were moved into each other from outside do not confuse", (m) => {
	const { thread, tree, folder } = m;
	mkdirSync(join(folder, "a/b/c"), { recursive: true });
	const [a, c] = ["m/a", "m/a/b/c"].map((path) => openNow(thread, tree, path, O_RDONLY));
	renameSync(join(folder, "a/b"), join(folder, "b"));
	renameSync(join(folder, "a"), join(folder, "b/c/a"));
	assert.equal(names(m, "m/b/c/a/.."), ["a"]);
	assert.is(
		codeOf(() => fstatat(thread, a as number, "../../../..")),
		"no error",
	);
	assert.equal(typeof fstatat(thread, c as number, ".").ino, "number");
	for (const path of ["..", "../..", "../../..", "../../../../.."])
		assert.ok(
			["no error", "ENOENT"].includes(String(codeOf(() => fstatat(thread, c as number, path)))),
		);
});

test("a directory that is not mounted has no root, and what has become a file is not mounted", () => {
	const base = mkdtempSync(join(tmpdir(), "kqpoll-"));
	const folder = join(base, "folder");
	mkdirSync(folder);
	const real = new RealDirectory(folder);
	assert.is(
		codeOf(() => real.root),
		"ENXIO",
	);
	rmdirSync(folder);
	writeFileSync(folder, "");
	const { thread } = world();
	assert.is(
		codeOf(() => mount(thread, new Tree(), "/", real)),
		"ENOTDIR",
	);
	rmSync(base, { recursive: true });
});

both("an open directory that was removed outside has no names, and takes none", (m) => {
	const { thread, tree, folder } = m;
	const d = openNow(thread, tree, "m/d", O_RDONLY);
	rmSync(join(folder, "d"), { recursive: true });
	let left: string[] = [];
	const code = codeOf(() => {
		left = getdents(thread, d, 10).map(({ name }) => name);
	});
	// By its path there is nothing to read any more; its descriptor still has "." and "..".
	assert.ok(["no error", "ENOENT"].includes(String(code)));
	assert.equal(left, code === "ENOENT" ? [] : [".", ".."]);
	for (const act of [
		() => openatNow(thread, d, "new", O_CREAT | O_RDWR),
		() => fstatat(thread, d, "g"),
		() => utimensat(thread, d, "g", null),
	])
		assert.is(codeOf(act), "ENOENT");
	close(thread, d);
});

both("attributes of a file that was removed outside by its path", (m) => {
	const { thread, tree, folder } = m;
	const f = openNow(thread, tree, "m/f", O_RDWR);
	unlinkSync(join(folder, "f"));
	for (const act of [
		() => chmod(thread, tree, "m/f", 0o600),
		() => chown(thread, tree, "m/f", 0, 0),
		() => utimes(thread, tree, "m/f", 1, 1),
		() => truncate(thread, tree, "m/f", 1),
		() => rename(thread, tree, "m/f", "m/e"),
		() => link(thread, tree, "m/f", "m/e"),
	])
		assert.is(codeOf(act), "ENOENT");
	// What is open stays, whatever becomes of its names.
	assert.is(writeNow(thread, f, bytes("still")), 5);
	close(thread, f);
});

both("a symbolic link has an owner and no permissions of its own", (m) => {
	const { thread, tree, folder } = m;
	symlinkSync("f", join(folder, "l"));
	const { uid, gid } = lstat(thread, tree, "m/l");
	lchown(thread, tree, "m/l", uid, gid);
	const m0 = openNow(thread, tree, "m", O_RDONLY);
	assert.is(
		codeOf(() => fchmodat(thread, m0, "l", 0o600, AT_SYMLINK_NOFOLLOW)),
		"EOPNOTSUPP",
	);
	const times = [
		{ sec: 7, nsec: 0 },
		{ sec: 9, nsec: 0 },
	] as const;
	utimensat(thread, m0, "l", times, AT_SYMLINK_NOFOLLOW);
	assert.is(lstat(thread, tree, "m/l").mtime, 9e9);
	assert.ok(stat(thread, tree, "m/f").mtime > 9e9);
	close(thread, m0);
});

test("a fifo of the real directory has no size to cut, and a socket no bytes", () => {
	if (!LINUX) return;
	return inMount(async ({ thread, tree, folder }) => {
		const server = createServer().listen(join(folder, "s"));
		await once(server, "listening");
		assert.is(
			codeOf(() => truncate(thread, tree, "m/s", 0)),
			"ENXIO",
		);
		server.close();
		assert.is(
			codeOf(() => truncate(thread, tree, "m/f", -1)),
			"EINVAL",
		);
		execFileSync("mkfifo", [join(folder, "p")]);
		truncate(thread, tree, "m/p", 3);
		assert.is(stat(thread, tree, "m/p").size, 0);
	});
});

test.run();
