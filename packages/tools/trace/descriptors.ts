// Operations on descriptors of every kind.
import { close, dup, dup2, fcntl, fstat, ioctl, read, write } from "@kqpoll/kqueue";
import { F_SETFL, O_NONBLOCK } from "@kqpoll/kqueue/fcntl";
import { FIONBIO, FIONREAD } from "@kqpoll/kqueue/ioctl";
import { integer } from "./argument.ts";
import { content, received } from "./content.ts";
import type { Operations } from "./operation.ts";

export const DESCRIPTORS: Operations = {
	dup: (thread, [fd]) => dup(thread, integer(fd)),
	dup2: (thread, [from, to]) => dup2(thread, integer(from), integer(to)),
	close: (thread, [fd]) => close(thread, integer(fd)),
	rd: (thread, [fd, size]) => received(size, (buffer) => read(thread, integer(fd), buffer)),
	wr: (thread, [fd, size, seed]) => write(thread, integer(fd), content(size, seed)),
	fionread: (thread, [fd]) => ioctl(thread, integer(fd), FIONREAD),
	nonblock: (thread, [fd, on]) =>
		fcntl(thread, integer(fd), F_SETFL, integer(on) === 0 ? 0 : O_NONBLOCK),
	fionbio: (thread, [fd, on]) => ioctl(thread, integer(fd), FIONBIO, integer(on)),
	pstat: (thread, [fd]) => {
		const { size, blksize } = fstat(thread, integer(fd));
		return `${size} ${blksize}`;
	},
};
