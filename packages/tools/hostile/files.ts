// Operations of @kqpoll/files: pipes, sockets, trees, terminals, devices.
import {
	accept,
	accept4,
	accept4Now,
	acceptNow,
	bind,
	ChangingDevice,
	chmod,
	chown,
	connect,
	connectNow,
	DetachableDevice,
	fchmod,
	fchown,
	fdatasync,
	fsync,
	ftruncate,
	futimens,
	futimes,
	getdents,
	getpeername,
	getsockname,
	getsockopt,
	isatty,
	lchown,
	link,
	listen,
	login_tty,
	lstat,
	mkdir,
	mkfifo,
	mount,
	open,
	openDevice,
	openNow,
	openpty,
	pipe,
	pipe2,
	posix_openpt,
	ptsname,
	readdir,
	readlink,
	recv,
	recvmsg,
	recvmsgNow,
	recvNow,
	rename,
	revoke,
	rmdir,
	send,
	sendmsg,
	sendmsgNow,
	sendNow,
	sendto,
	sendtoNow,
	setsockopt,
	shutdown,
	socket,
	socketpair,
	stat,
	symlink,
	Tree,
	tcdrain,
	tcdrainNow,
	tcflush,
	tcgetattr,
	tcgetpgrp,
	tcgetwinsize,
	tcsetattr,
	tcsetattrNow,
	tcsetpgrp,
	tcsetwinsize,
	truncate,
	unlink,
	unmount,
	utimes,
} from "@kqpoll/files";
import {
	fchmodat,
	fchownat,
	fstatat,
	linkat,
	mkdirat,
	mkfifoat,
	openat,
	openatNow,
	readlinkat,
	renameat,
	symlinkat,
	unlinkat,
	utimensat,
} from "@kqpoll/files/at";
import {
	AT_REMOVEDIR,
	AT_SYMLINK_FOLLOW,
	AT_SYMLINK_NOFOLLOW,
	O_CLOEXEC,
	O_CREAT,
	O_DIRECTORY,
	O_EXCL,
	O_NOFOLLOW,
	O_RDONLY,
	O_RDWR,
	O_TRUNC,
	O_WRONLY,
} from "@kqpoll/files/fcntl";
import {
	accept4Call,
	acceptCall,
	connectCall,
	namei,
	openatCall,
	openCall,
	recvCall,
	recvmsgCall,
	rootOf,
	sendCall,
	sendmsgCall,
	sendtoCall,
	startAt,
	stayBeneath,
	tcdrainCall,
	tcsetattrCall,
} from "@kqpoll/files/kernel";
import {
	MSG_CMSG_CLOEXEC,
	MSG_DONTWAIT,
	MSG_EOR,
	MSG_NOSIGNAL,
	MSG_OOB,
	MSG_PEEK,
	MSG_WAITALL,
	SHUT_RD,
	SHUT_RDWR,
	SHUT_WR,
	SO_ERROR,
	SO_KEEPALIVE,
	SO_LINGER,
	SO_OOBINLINE,
	SO_RCVBUF,
	SO_RCVLOWAT,
	SO_RCVTIMEO,
	SO_REUSEADDR,
	SO_SNDBUF,
	SO_SNDLOWAT,
	SO_SNDTIMEO,
	SO_TYPE,
	SOCK_CLOEXEC,
	SOCK_NONBLOCK,
	SOL_SOCKET,
} from "@kqpoll/files/socket";
import {
	cfmakeraw,
	ECHO,
	ICANON,
	ISIG,
	IXON,
	ONLCR,
	OPOST,
	TCIFLUSH,
	TCIOFLUSH,
	TCOFLUSH,
	TCSADRAIN,
	TCSAFLUSH,
	TCSANOW,
	TOSTOP,
	TTYDEF,
} from "@kqpoll/files/termios";
import {
	TIOCDRAIN,
	TIOCEXCL,
	TIOCFLUSH,
	TIOCGETA,
	TIOCGPGRP,
	TIOCGWINSZ,
	TIOCNOTTY,
	TIOCNXCL,
	TIOCOUTQ,
	TIOCPKT,
	TIOCREMOTE,
	TIOCSCTTY,
	TIOCSETA,
	TIOCSETAF,
	TIOCSETAW,
	TIOCSIG,
	TIOCSPGRP,
	TIOCSTART,
	TIOCSTI,
	TIOCSTOP,
	TIOCSWINSZ,
	TIOCUCNTL,
	UIOCCMD,
} from "@kqpoll/files/ttycom";
import { ioctl, openFile, readNow, type Thread, writeNow } from "@kqpoll/kqueue";
import { O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { resume, syscall } from "@kqpoll/kqueue/kernel";
import { begun, custom, type Effect, formsOf, now, plain, sleeps } from "./calls.ts";
import { fileOf, opened, openedAll } from "./kqueue.ts";
import { isLabelled } from "./print.ts";
import {
	bytes,
	directoryFd,
	draw,
	fd,
	flagsOf,
	type Kind,
	listOf,
	maybe,
	oneOf,
	pid,
	signal,
	socketFd,
	timespec,
	timeval,
	ttyFd,
	typed,
	upTo,
	vnodeFd,
} from "./values.ts";
import type { Operations, World } from "./world.ts";

// Pipes and sockets.

const openFlags = flagsOf(0, O_NONBLOCK, O_CLOEXEC);
const socketFlags = oneOf(0, 0, SOCK_NONBLOCK, SOCK_CLOEXEC);
const domain = oneOf("local", "inet");
const socketType = oneOf("stream", "stream", "seqpacket", "dgram");
const address: Kind = ({ random }) =>
	random.once(2) ? random.pick([80, 81, 82, 0, 1024]) : random.pick(["a", "b", "c", ""]);
const backlog = oneOf(0, 1, 5, -1, 200);
const sendFlags = flagsOf(0, 0, MSG_DONTWAIT, MSG_EOR, MSG_NOSIGNAL, MSG_OOB);
const recvFlags = flagsOf(0, 0, MSG_CMSG_CLOEXEC, MSG_DONTWAIT, MSG_OOB, MSG_PEEK, MSG_WAITALL);
const socketOption = oneOf(
	SO_ERROR,
	SO_KEEPALIVE,
	SO_LINGER,
	SO_OOBINLINE,
	SO_RCVBUF,
	SO_RCVLOWAT,
	SO_RCVTIMEO,
	SO_REUSEADDR,
	SO_SNDBUF,
	SO_SNDLOWAT,
	SO_SNDTIMEO,
	SO_TYPE,
);
const optionValue: Kind = (world) =>
	world.random.pick<Kind>([
		oneOf(0, 1, 2, 512, 4096, 65_536),
		oneOf({ onoff: 1, linger: 0 }, { onoff: 1, linger: 2 }),
		timeval,
	])(world);

const outgoing: Kind = (world) => {
	const { random } = world;
	return {
		bytes: bytes(world),
		...(random.once(3) ? { address: address(world) } : {}),
		...(random.once(2) ? { fds: draw(listOf(fd, 3), world) } : {}),
	};
};
const incoming: Kind = (world) => ({ bytes: bytes(world), fds: [], address: null, flags: 0 });

/** The descriptors that came with a message are new. */
const received: Effect = (world, _result, [, , message], thread) => {
	// What a hostile message says may be anything.
	if (isLabelled(message)) world.descriptors.openedSome(thread.process);
	const { fds } = isLabelled(message) ? {} : (message as { readonly fds?: readonly number[] });
	if (fds !== undefined) openedAll(world, fds as never, [], thread);
};

// Trees.

const tree: Kind<Tree> = ({ random, trees }) => random.pick(trees);
const NAMES = ["a", "b", "c", "d", "e"];
const path: Kind<string> = ({ random }) => {
	const names = Array.from({ length: 1 + random.below(3) }, () =>
		random.once(12) ? random.pick([".", "..", "", "x".repeat(300)]) : random.pick(NAMES),
	);
	const slash = random.once(6) ? "/" : "";
	return `${slash}${names.join("/")}${random.once(12) ? "/" : ""}`;
};
const openMode = flagsOf(
	O_RDONLY,
	O_RDWR,
	O_WRONLY,
	O_CREAT,
	O_CREAT,
	O_DIRECTORY,
	O_EXCL,
	O_NOFOLLOW,
	O_TRUNC,
	O_CLOEXEC,
	O_NONBLOCK,
);
const fileMode = oneOf(0o777, 0o644, 0, 0o7777, 0o200_000);
const owner = oneOf(0, 1, -1, 1000);
const fileSize = oneOf(0, 1, 100, 10_000, 1 << 20, 1 << 21);
const time = oneOf(0, 1e9, -1, 5);
const times = maybe((world) => [timespec(world), timespec(world)]);
const followFlags = oneOf(0, AT_SYMLINK_NOFOLLOW);
const openArguments = [openMode, fileMode];

function lookUp(world: World): void {
	const { thread } = world;
	const to = draw(path, world) as string;
	syscall(thread, "namei", () => namei(rootOf(thread, tree(world), "namei"), to, {}));
}

function lookUpAt(world: World): void {
	const { thread } = world;
	const to = draw(path, world) as string;
	syscall(thread, "namei", () => namei(startAt(thread, directoryFd(world), "namei"), to, {}));
}

function makeTree(world: World): void {
	const { random, trees } = world;
	const made = new Tree(draw(() => ({ maxFileSize: 1 << random.below(20) }), world) as object);
	if (trees.length < 3) trees.push(made);
}

function mountTree(world: World): void {
	const { random, thread, trees } = world;
	const inner = random.once(3) ? random.pick(trees) : new Tree({ maxFileSize: 1 << 20 });
	const fs = draw(() => inner, world) as Tree;
	const options = draw(() => ({ readOnly: random.once(3) }), world) as object;
	mount(thread, tree(world), draw(path, world) as string, fs, options);
}

function remount(world: World): void {
	const { random, thread, trees } = world;
	if (random.once(2)) {
		const options = draw(() => ({ force: random.once(2) }), world) as object;
		unmount(thread, random.pick(trees), draw(path, world) as string, options);
		return;
	}
	if (!random.once(5)) return;
	const at = random.below(trees.length);
	unmount(thread, trees[at] as Tree);
	trees[at] = new Tree({ maxFileSize: 1 << 20 });
}

// Terminals.

const termios: Kind = ({ random }) => {
	const lflag = random.once(2) ? TTYDEF.lflag : TTYDEF.lflag ^ random.pick([ECHO, ICANON, ISIG]);
	return {
		...TTYDEF,
		lflag: random.once(6) ? lflag | TOSTOP : lflag,
		iflag: TTYDEF.iflag ^ (random.once(4) ? IXON : 0),
		oflag: TTYDEF.oflag ^ (random.once(4) ? OPOST | ONLCR : 0),
		cc: TTYDEF.cc.map((each) => (random.once(12) ? random.below(256) : each)),
		ospeed: random.pick([9600, 115_200, 0]),
	};
};
const winsize: Kind = ({ random }) => ({
	row: random.below(99),
	col: random.below(99),
	xpixel: 0,
	ypixel: 0,
});
const tcAction = oneOf(TCSADRAIN, TCSAFLUSH, TCSANOW);
const ttyCommand = oneOf(
	TIOCDRAIN,
	TIOCEXCL,
	TIOCFLUSH,
	TIOCGETA,
	TIOCGPGRP,
	TIOCGWINSZ,
	TIOCNOTTY,
	TIOCNXCL,
	TIOCOUTQ,
	TIOCPKT,
	TIOCREMOTE,
	TIOCSCTTY,
	TIOCSETA,
	TIOCSETAF,
	TIOCSETAW,
	TIOCSIG,
	TIOCSPGRP,
	TIOCSTART,
	TIOCSTI,
	TIOCSTOP,
	TIOCSWINSZ,
	TIOCUCNTL,
	UIOCCMD(1),
);
const ttyArgument: Kind = (world) =>
	world.random.pick<Kind>([oneOf(0, 1, 2, 97), termios, winsize, pid, signal, oneOf(null, {})])(
		world,
	);

/** Makes the terminal that of the session: this replaces the first three descriptors. */
function logIn(world: World): void {
	const { descriptors, thread } = world;
	const { process } = thread;
	const terminal = ttyFd(world);
	const numbers = [0, 1, 2, ...(terminal > 2 ? [terminal] : [])];
	const before = numbers.map((each) => process.fdp.get(each));
	try {
		descriptors.closing(process, numbers, () => login_tty(thread, terminal));
	} finally {
		// It may have failed half-way.
		numbers.forEach((each, i) => {
			const after = process.fdp.get(each);
			if (after !== null && after !== before[i]) descriptors.opened(process, each);
		});
	}
}

// Devices.

const deviceName = oneOf("null", "zero", "full", "random", "tty", "ttyp0", "ttyp1", "none");

function useDevice(world: World, kind: typeof DetachableDevice): void {
	const { random, thread } = world;
	const file = fileOf(world, kind);
	if (file === null || random.once(8)) {
		let readable = random.below(3);
		const answer = (): number => {
			callback();
			return readable-- > 0 ? 1 : -35;
		};
		const callback = world.callback(random.once(6));
		const driver = random.once(3)
			? {}
			: {
					read: answer,
					write: answer,
					readable: () => readable,
					writable: () => readable,
					ioctl: () => 0,
				};
		opened(world, openFile(thread, new kind(driver)) as never, [], thread);
	} else if (random.once(6)) file.detach();
	else if (file instanceof ChangingDevice && random.once(2)) file.change();
	else file.notify();
}

/** Arguments of calls that sleep. */
export const sleeperKinds = {
	action: tcAction,
	address,
	incoming,
	open: [tree, path, ...openArguments],
	termios,
} as const;

const forms = formsOf(resume);

/** The operations, by the names of what they call. */
export const filesOperations: Operations = {
	ChangingDevice: custom("ChangingDevice", (world) => useDevice(world, ChangingDevice)),
	DetachableDevice: custom("DetachableDevice", (world) => useDevice(world, DetachableDevice)),
	openDevice: now(openDevice, [deviceName, openMode], opened),
	pipe: now(pipe, [], openedAll),
	pipe2: now(pipe2, [openFlags], openedAll),
	// Sockets.
	accept: sleeps(accept, [socketFd], opened),
	accept4: sleeps(accept4, [socketFd, socketFlags], opened),
	accept4Now: now(accept4Now, [socketFd, socketFlags], opened),
	acceptNow: now(acceptNow, [socketFd], opened),
	bind: now(bind, [socketFd, address]),
	connect: sleeps(connect, [socketFd, address]),
	connectNow: now(connectNow, [socketFd, address]),
	listen: now(listen, [socketFd, backlog]),
	getsockopt: now(getsockopt, [socketFd, oneOf(SOL_SOCKET, 6), socketOption]),
	setsockopt: now(setsockopt, [socketFd, oneOf(SOL_SOCKET, 6), socketOption, optionValue]),
	recv: sleeps(recv, [socketFd, bytes, recvFlags]),
	recvmsg: sleeps(recvmsg, [socketFd, incoming, recvFlags], received),
	recvmsgNow: now(recvmsgNow, [socketFd, incoming, recvFlags], received),
	recvNow: now(recvNow, [socketFd, bytes, recvFlags]),
	send: sleeps(send, [socketFd, bytes, sendFlags]),
	sendmsg: sleeps(sendmsg, [socketFd, outgoing, sendFlags]),
	sendmsgNow: now(sendmsgNow, [socketFd, outgoing, sendFlags]),
	sendNow: now(sendNow, [socketFd, bytes, sendFlags]),
	sendto: sleeps(sendto, [socketFd, bytes, sendFlags, address]),
	sendtoNow: now(sendtoNow, [socketFd, bytes, sendFlags, address]),
	getpeername: now(getpeername, [socketFd]),
	getsockname: now(getsockname, [socketFd]),
	shutdown: now(shutdown, [socketFd, oneOf(SHUT_RD, SHUT_WR, SHUT_RDWR)]),
	socket: now(socket, [domain, socketType, socketFlags], opened),
	socketpair: now(socketpair, [socketType, socketFlags], openedAll),
	// Trees.
	Tree: custom("Tree", makeTree),
	chmod: now(chmod, [tree, path, fileMode]),
	chown: now(chown, [tree, path, owner, owner]),
	lchown: now(lchown, [tree, path, owner, owner]),
	lstat: now(lstat, [tree, path]),
	stat: now(stat, [tree, path]),
	truncate: now(truncate, [tree, path, fileSize]),
	utimes: now(utimes, [tree, path, time, time]),
	fchmod: now(fchmod, [vnodeFd, fileMode]),
	fchown: now(fchown, [vnodeFd, owner, owner]),
	fdatasync: now(fdatasync, [vnodeFd]),
	fsync: now(fsync, [vnodeFd]),
	ftruncate: now(ftruncate, [vnodeFd, fileSize]),
	futimens: now(futimens, [vnodeFd, times]),
	futimes: now(futimes, [vnodeFd, time, time]),
	getdents: now(getdents, [directoryFd, upTo(100)]),
	link: now(link, [tree, path, path]),
	mkdir: now(mkdir, [tree, path, fileMode]),
	mkfifo: now(mkfifo, [tree, path, fileMode]),
	readdir: now(readdir, [tree, path]),
	readlink: now(readlink, [tree, path]),
	rename: now(rename, [tree, path, path]),
	rmdir: now(rmdir, [tree, path]),
	symlink: now(symlink, [tree, path, path]),
	unlink: now(unlink, [tree, path]),
	open: sleeps(open, [tree, path, ...openArguments], opened),
	openNow: now(openNow, [tree, path, ...openArguments], opened),
	revoke: now(revoke, [tree, path]),
	mount: custom("mount", mountTree),
	unmount: custom("unmount", remount),
	fchmodat: now(fchmodat, [directoryFd, path, fileMode, followFlags]),
	fchownat: now(fchownat, [directoryFd, path, owner, owner, followFlags]),
	fstatat: now(fstatat, [directoryFd, path, followFlags]),
	utimensat: now(utimensat, [directoryFd, path, times, followFlags]),
	linkat: now(linkat, [directoryFd, path, directoryFd, path, oneOf(0, AT_SYMLINK_FOLLOW)]),
	mkdirat: now(mkdirat, [directoryFd, path, fileMode]),
	mkfifoat: now(mkfifoat, [directoryFd, path, fileMode]),
	readlinkat: now(readlinkat, [directoryFd, path]),
	renameat: now(renameat, [directoryFd, path, directoryFd, path]),
	symlinkat: now(symlinkat, [path, directoryFd, path]),
	unlinkat: now(unlinkat, [directoryFd, path, oneOf(0, AT_REMOVEDIR)]),
	openat: sleeps(openat, [directoryFd, path, ...openArguments], opened),
	openatNow: now(openatNow, [directoryFd, path, ...openArguments], opened),
	// Terminals.
	openpty: now(openpty, [maybe(termios), maybe(winsize)], openedAll),
	posix_openpt: now(posix_openpt, [openFlags], opened),
	ptsname: now(ptsname, [ttyFd]),
	isatty: now(isatty, [ttyFd]),
	login_tty: custom("login_tty", (world) => world.random.once(3) && logIn(world)),
	tcdrain: sleeps(tcdrain, [ttyFd]),
	tcdrainNow: now(tcdrainNow, [ttyFd]),
	tcflush: now(tcflush, [ttyFd, oneOf(TCIFLUSH, TCIOFLUSH, TCOFLUSH)]),
	tcgetattr: now(tcgetattr, [ttyFd]),
	tcgetpgrp: now(tcgetpgrp, [ttyFd]),
	tcgetwinsize: now(tcgetwinsize, [ttyFd]),
	tcsetattr: sleeps(tcsetattr, [ttyFd, tcAction, termios]),
	tcsetattrNow: now(tcsetattrNow, [ttyFd, tcAction, termios]),
	tcsetpgrp: now(tcsetpgrp, [ttyFd, pid]),
	tcsetwinsize: now(tcsetwinsize, [ttyFd, winsize]),
	cfmakeraw: plain(cfmakeraw, [termios]),
	UIOCCMD: plain(UIOCCMD, [upTo(300)]),
	ttyType: now(writeNow, [ttyFd, typed]),
	ttyRead: now(readNow, [ttyFd, bytes]),
	ttyControl: now(ioctl, [ttyFd, ttyCommand, ttyArgument]),
	// For hosts.
	accept4Call: begun(forms, accept4Call, [socketFd, socketFlags], opened),
	acceptCall: begun(forms, acceptCall, [socketFd], opened),
	connectCall: begun(forms, connectCall, [socketFd, address]),
	namei: custom("namei", lookUp),
	startAt: custom("startAt", lookUpAt),
	openatCall: begun(forms, openatCall, [directoryFd, path, ...openArguments], opened),
	openCall: begun(forms, openCall, [tree, path, ...openArguments], opened),
	recvCall: begun(forms, recvCall, [socketFd, bytes, recvFlags]),
	recvmsgCall: begun(forms, recvmsgCall, [socketFd, incoming, recvFlags], received),
	sendCall: begun(forms, sendCall, [socketFd, bytes, sendFlags]),
	sendmsgCall: begun(forms, sendmsgCall, [socketFd, outgoing, sendFlags]),
	sendtoCall: begun(forms, sendtoCall, [socketFd, bytes, sendFlags, address]),
	stayBeneath: now((thread: Thread, at: number) => stayBeneath(thread, at), [directoryFd]),
	tcdrainCall: begun(forms, tcdrainCall, [ttyFd]),
	tcsetattrCall: begun(forms, tcsetattrCall, [ttyFd, tcAction, termios]),
};

/** What the operations above use for others. */
export const filesUsed: readonly unknown[] = [rootOf];
