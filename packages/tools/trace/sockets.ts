// Operations on local sockets.
import {
	accept,
	bind,
	connect,
	getsockopt,
	listen,
	recv,
	send,
	sendto,
	setsockopt,
	shutdown,
	socket,
	socketpair,
} from "@kqpoll/files";
import { SOCK_NONBLOCK, SOL_SOCKET, type SocketType } from "@kqpoll/files/socket";
import { ifNonblocking, integer } from "./argument.ts";
import { content, received } from "./content.ts";
import type { Operations } from "./operation.ts";

export const SOCKETS: Operations = {
	socketpair: (thread, [type, mode]) =>
		socketpair(thread, socketType(type), ifNonblocking(mode, SOCK_NONBLOCK)).join(" "),
	socket: (thread, [type, mode]) =>
		socket(thread, "local", socketType(type), ifNonblocking(mode, SOCK_NONBLOCK)),
	bind: (thread, [fd, name = ""]) => bind(thread, integer(fd), name),
	connect: (thread, [fd, name = ""]) => connect(thread, integer(fd), name),
	listen: (thread, [fd, backlog]) => listen(thread, integer(fd), integer(backlog)),
	accept: (thread, [fd]) => accept(thread, integer(fd)),
	shutdown: (thread, [fd, how]) => shutdown(thread, integer(fd), integer(how)),
	send: (thread, [fd, size, seed, flags]) =>
		send(thread, integer(fd), content(size, seed), integer(flags)),
	sendto: (thread, [fd, size, seed, flags, name = ""]) =>
		sendto(thread, integer(fd), content(size, seed), integer(flags), name),
	recv: (thread, [fd, size, flags]) =>
		received(size, (buffer) => recv(thread, integer(fd), buffer, integer(flags))),
	setopt: (thread, [fd, option, value]) =>
		setsockopt(thread, integer(fd), SOL_SOCKET, integer(option), integer(value)),
	getopt: (thread, [fd, option]) => getsockopt(thread, integer(fd), SOL_SOCKET, integer(option)),
};

function socketType(type: string | undefined): SocketType {
	return type === "stream" || type === "dgram" ? type : "seqpacket";
}
