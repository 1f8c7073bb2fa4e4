// Prints a row for each thing that poll(2) can be asked: descriptors of every kind, closed, half
// open and full ones, and timeouts. The descriptors are those of rig.h.
#include "rows.h"

static const struct { short bit; const char *name; } BITS[] = {
	{ POLLIN, "IN" }, { POLLOUT, "OUT" }, { POLLERR, "ERR" }, { POLLHUP, "HUP" }, { POLLNVAL, "NVAL" },
};

static void print_events(short events) {
	const char *separator = "";
	for (unsigned i = 0; i < sizeof BITS / sizeof *BITS; i++) {
		if ((events & BITS[i].bit) == 0) continue;
		printf("%s%s", separator, BITS[i].name);
		separator = "|";
	}
	if (*separator == '\0') printf("-");
}

// Polls several descriptors, and prints the result after the row's name.
static void row_of(const char *name, struct pollfd *fds, nfds_t count, int timeout) {
	int n = poll(fds, count, timeout);
	printf("%s: ", name);
	if (n < 0) {
		printf("%s\n", error_name(errno));
		return;
	}
	printf("%d", n);
	for (nfds_t i = 0; i < count; i++) {
		printf(" ");
		print_events(fds[i].revents);
	}
	printf("\n");
}

// Polls a descriptor without waiting.
static void row(const char *name, int fd, short events) {
	struct pollfd entry = { .fd = fd, .events = events, .revents = 0x55 };
	row_of(name, &entry, 1, NOTHING_TO_WAIT_FOR);
}

static void pipes(void) {
	row("an empty pipe, to read", READER(0), POLLIN);
	row("an empty pipe, to write", WRITER(0), POLLOUT);
	row("a read end, to read and write", READER(0), POLLIN | POLLOUT);
	row("a read end, to write", READER(0), POLLOUT);
	row("a write end, to read and write", WRITER(0), POLLIN | POLLOUT);
	row("a write end, to read", WRITER(0), POLLIN);
	row("a read end, for nothing", READER(0), 0);
	put(WRITER(0), "hello");
	row("a pipe with 5 bytes, to read", READER(0), POLLIN);
	row("a pipe with 5 bytes, once more", READER(0), POLLIN);
	row("a pipe with 5 bytes, to read and write", READER(0), POLLIN | POLLOUT);
	take(READER(0));
	row("a pipe that was read empty", READER(0), POLLIN);
	fill(WRITER(1));
	row("a full pipe, to write", WRITER(1), POLLOUT);
	row("a full pipe, to read", READER(1), POLLIN);
	drain(READER(1));
	row("a pipe that was full and was read", WRITER(1), POLLOUT);
}

static void ended_pipes(void) {
	shut(WRITER(2));
	row("a pipe whose writer has gone", READER(2), POLLIN);
	row("a pipe whose writer has gone, to read and write", READER(2), POLLIN | POLLOUT);
	row("a pipe whose writer has gone, for nothing", READER(2), 0);
	put(WRITER(3), "hello");
	shut(WRITER(3));
	row("a pipe with 5 bytes whose writer has gone", READER(3), POLLIN);
	take(READER(3));
	row("a pipe whose writer has gone, when it was read", READER(3), POLLIN);
	shut(READER(4));
	row("a pipe whose reader has gone", WRITER(4), POLLOUT);
	row("a pipe whose reader has gone, for nothing", WRITER(4), 0);
	fill(WRITER(5));
	shut(READER(5));
	row("a full pipe whose reader has gone", WRITER(5), POLLOUT);
}

static void pairs(void) {
	row("a local socket", PAIR(0), POLLIN | POLLOUT);
	put(PAIR_PEER(0), "hello");
	row("a local socket with 5 bytes", PAIR(0), POLLIN | POLLOUT);
	take(PAIR(0));
	row("a local socket that was read empty", PAIR(0), POLLIN | POLLOUT);
	fill(PAIR(1));
	row("a full local socket", PAIR(1), POLLIN | POLLOUT);
	row("the peer of a full local socket", PAIR_PEER(1), POLLIN | POLLOUT);
	half_close(PAIR_PEER(2));
	row("a local socket whose peer will send no more", PAIR(2), POLLIN | POLLOUT);
	row("a local socket that will send no more", PAIR_PEER(2), POLLIN | POLLOUT);
	half_close(PAIR(2));
	row("a local socket that is shut down in both directions", PAIR(2), POLLIN | POLLOUT);
	shut(PAIR_PEER(3));
	row("a local socket whose peer has gone", PAIR(3), POLLIN | POLLOUT);
	row("a local socket whose peer has gone, to read", PAIR(3), POLLIN);
	row("a local socket whose peer has gone, to write", PAIR(3), POLLOUT);
	row("a local socket whose peer has gone, for nothing", PAIR(3), 0);
	put(PAIR_PEER(4), "hello");
	shut(PAIR_PEER(4));
	row("a local socket with 5 bytes whose peer has gone", PAIR(4), POLLIN | POLLOUT);
	put(PAIR(5), "hello");
	shut(PAIR_PEER(5));
	row("a local socket whose peer has gone without reading", PAIR(5), POLLIN | POLLOUT);
}

static void streams(void) {
	row("a TCP socket", STREAM(0), POLLIN | POLLOUT);
	put(STREAM_PEER(0), "hello");
	struct pollfd entry = { .fd = STREAM(0), .events = POLLIN };
	row_of("a TCP socket with 5 bytes", &entry, 1, FOR_EVER);
	half_close(STREAM_PEER(1));
	entry.fd = STREAM(1);
	row_of("a TCP socket whose peer will send no more", &entry, 1, FOR_EVER);
	row("a TCP socket whose peer will send no more, to read and write", STREAM(1), POLLIN | POLLOUT);
	half_close(STREAM(1));
	entry.fd = STREAM_PEER(1);
	row_of("a TCP socket when both will send no more", &entry, 1, FOR_EVER);
	row("a TCP socket when both will send no more, to read and write", STREAM_PEER(1), POLLIN | POLLOUT);
	shut(STREAM_PEER(2));
	entry.fd = STREAM(2);
	row_of("a TCP socket whose peer has gone", &entry, 1, FOR_EVER);
	row("a TCP socket whose peer has gone, to read and write", STREAM(2), POLLIN | POLLOUT);
}

static void listeners(void) {
	row("a listener", LISTENER, POLLIN | POLLOUT);
	struct pollfd entry = { .fd = VISITED, .events = POLLIN };
	row_of("a listener to which somebody has connected", &entry, 1, FOR_EVER);
	int fd = accept(VISITED, NULL, NULL);
	if (fd < 0) fail("accept");
	row("a listener whose connection was accepted", VISITED, POLLIN);
	row("an accepted socket", fd, POLLIN | POLLOUT);
	put(VISITOR, "hello");
	entry.fd = fd;
	row_of("an accepted socket with 5 bytes", &entry, 1, FOR_EVER);
	shut(VISITOR);
	take(fd);
	row_of("an accepted socket whose peer has gone", &entry, 1, FOR_EVER);
}

static void terminals(void) {
	row("a terminal", TERMINAL(0), POLLIN | POLLOUT);
	row("a master", MASTER(0), POLLIN | POLLOUT);
	put(MASTER(0), "half");
	row("a terminal with half a line", TERMINAL(0), POLLIN | POLLOUT);
	put(MASTER(0), "\n");
	row("a terminal with a line", TERMINAL(0), POLLIN | POLLOUT);
	row("a master with the echo of a line", MASTER(0), POLLIN | POLLOUT);
	drain(MASTER(0));
	take(TERMINAL(0));
	row("a terminal whose line was read", TERMINAL(0), POLLIN | POLLOUT);
	put(MASTER(0), "\004");
	row("a terminal with an end of file", TERMINAL(0), POLLIN);
	// Until what the terminal echoed is read, OpenBSD's master does not know.
	drain(MASTER(0));
	shut(TERMINAL(0));
	row("a master whose terminal nobody has", MASTER(0), POLLIN | POLLOUT);
	shut(MASTER(1));
	row("a terminal whose master has gone", TERMINAL(1), POLLIN | POLLOUT);
	row("a terminal whose master has gone, to read", TERMINAL(1), POLLIN);
}

static void files(void) {
	row("a file", TEXT, POLLIN | POLLOUT);
	take(TEXT);
	row("a file at its end", TEXT, POLLIN | POLLOUT);
	row("an empty file, to read", EMPTY, POLLIN);
	row("a directory, to read", DIRECTORY, POLLIN);
	row("/dev/null", NOTHING, POLLIN | POLLOUT);
}

static void descriptors(void) {
	row("no descriptor", -1, POLLIN);
	row("a descriptor that was never open", RIG_END + 5, POLLIN);
	row("a descriptor that was never open, to read and write", RIG_END + 5, POLLIN | POLLOUT);
	row("a descriptor that was never open, for nothing", RIG_END + 5, 0);
	struct pollfd same[] = {
		{ .fd = READER(6), .events = POLLIN },
		{ .fd = WRITER(6), .events = POLLOUT },
		{ .fd = READER(6), .events = POLLIN },
	};
	row_of("a pipe's ends, one of them twice", same, 3, FOR_EVER);
	put(WRITER(6), "hello");
	row_of("a pipe's ends, one of them twice, with 5 bytes", same, 3, FOR_EVER);
	struct pollfd many[] = {
		{ .fd = READER(7), .events = POLLIN }, { .fd = -1, .events = POLLIN },
		{ .fd = RIG_END + 5, .events = POLLIN }, { .fd = READER(6), .events = POLLIN },
		{ .fd = PAIR(6), .events = POLLIN | POLLOUT }, { .fd = TEXT, .events = POLLIN },
		{ .fd = LISTENER, .events = POLLIN }, { .fd = WRITER(7), .events = POLLOUT },
	};
	row_of("eight of all kinds", many, 8, FOR_EVER);
}

static void timeout_row(const char *name, struct pollfd *fds, nfds_t count, int timeout) {
	long begin = now();
	row_of(name, fds, count, timeout);
	long passed = now() - begin;
	printf("    %s\n", passed >= timeout ? "not before its time" : "too early");
}

static void timeouts(void) {
	struct pollfd entry = { .fd = READER(7), .events = POLLIN };
	row_of("nothing, and no time", NULL, 0, NOTHING_TO_WAIT_FOR);
	timeout_row("nothing, for 20 ms", NULL, 0, 20);
	timeout_row("an empty pipe, for 20 ms", &entry, 1, 20);
	timeout_row("an empty pipe, for 1 ms", &entry, 1, 1);
	entry.fd = -1;
	timeout_row("no descriptor, for 5 ms", &entry, 1, 5);
	entry.fd = READER(7);
	put(WRITER(7), "x");
	row_of("a pipe with a byte, for an hour", &entry, 1, 3600000);
	entry.events = POLLPRI;
	row_of("a pipe, for urgent data only", &entry, 1, NOTHING_TO_WAIT_FOR);
	entry.events = POLLPRI | POLLIN;
	row_of("a pipe with a byte, for urgent data too", &entry, 1, NOTHING_TO_WAIT_FOR);
}

int main(void) {
	pipes();
	ended_pipes();
	pairs();
	streams();
	listeners();
	terminals();
	files();
	descriptors();
	timeouts();
	return 0;
}
