// Prints a row for each thing that select(2) can be asked, with the descriptors of rig.h.
#include <sys/select.h>

#include "rows.h"

// Which sets a descriptor is put into.
enum { READ = 1, WRITE = 2, EXCEPT = 4 };

// A descriptor of a row, and its sets.
struct entry {
	int fd;
	int sets;
};

static void print_sets(const struct entry *entry, fd_set *sets) {
	static const char LETTERS[] = "rwx";
	char found[4];
	int count = 0;
	for (int i = 0; i < 3; i++)
		if (FD_ISSET(entry->fd, &sets[i])) found[count++] = LETTERS[i];
	found[count] = '\0';
	printf(" %s", count > 0 ? found : "-");
}

// Selects several descriptors, and prints the result after the row's name.
static void row_of(const char *name, const struct entry *entries, int count, struct timeval *timeout) {
	fd_set sets[3];
	int wanted = 0;
	int highest = -1;
	for (int i = 0; i < 3; i++) FD_ZERO(&sets[i]);
	for (int i = 0; i < count; i++) {
		wanted |= entries[i].sets;
		if (entries[i].fd > highest) highest = entries[i].fd;
		for (int set = 0; set < 3; set++)
			if (entries[i].sets & (1 << set)) FD_SET(entries[i].fd, &sets[set]);
	}
	int n = select(
		highest + 1, wanted & READ ? &sets[0] : NULL, wanted & WRITE ? &sets[1] : NULL,
		wanted & EXCEPT ? &sets[2] : NULL, timeout
	);
	printf("%s: ", name);
	if (n < 0) {
		printf("%s\n", error_name(errno));
		return;
	}
	printf("%d", n);
	for (int i = 0; i < count; i++) print_sets(&entries[i], sets);
	printf("\n");
}

// Selects a descriptor without waiting.
static void row(const char *name, int fd, int sets) {
	struct entry entry = { fd, sets };
	struct timeval none = { 0, 0 };
	row_of(name, &entry, 1, &none);
}

static void pipes(void) {
	row("an empty pipe, to read", READER(0), READ);
	row("an empty pipe, to write", WRITER(0), WRITE);
	row("a read end, to read and write", READER(0), READ | WRITE);
	row("a write end, to read and write", WRITER(0), READ | WRITE);
	put(WRITER(0), "hello");
	row("a pipe with 5 bytes, to read", READER(0), READ);
	row("a pipe with 5 bytes, to read and write", READER(0), READ | WRITE);
	take(READER(0));
	row("a pipe that was read empty", READER(0), READ);
	fill(WRITER(1));
	row("a full pipe, to write", WRITER(1), WRITE);
	shut(WRITER(2));
	row("a pipe whose writer has gone", READER(2), READ);
	put(WRITER(3), "hello");
	shut(WRITER(3));
	row("a pipe with 5 bytes whose writer has gone", READER(3), READ);
	shut(READER(4));
	row("a pipe whose reader has gone", WRITER(4), WRITE);
	fill(WRITER(5));
	shut(READER(5));
	row("a full pipe whose reader has gone", WRITER(5), WRITE);
}

static void sockets(void) {
	row("a local socket", PAIR(0), READ | WRITE);
	put(PAIR_PEER(0), "hello");
	row("a local socket with 5 bytes", PAIR(0), READ | WRITE);
	fill(PAIR(1));
	row("a full local socket", PAIR(1), READ | WRITE);
	half_close(PAIR_PEER(2));
	row("a local socket whose peer will send no more", PAIR(2), READ | WRITE);
	row("a local socket that will send no more", PAIR_PEER(2), READ | WRITE);
	shut(PAIR_PEER(3));
	row("a local socket whose peer has gone", PAIR(3), READ | WRITE);
	put(PAIR(5), "hello");
	shut(PAIR_PEER(5));
	row("a local socket whose peer has gone without reading", PAIR(5), READ | WRITE);
	row("a TCP socket", STREAM(0), READ | WRITE);
	put(STREAM_PEER(0), "hello");
	struct entry entry = { STREAM(0), READ };
	row_of("a TCP socket with 5 bytes", &entry, 1, NULL);
	half_close(STREAM_PEER(1));
	entry.fd = STREAM(1);
	row_of("a TCP socket whose peer will send no more", &entry, 1, NULL);
	shut(STREAM_PEER(2));
	entry.fd = STREAM(2);
	row_of("a TCP socket whose peer has gone", &entry, 1, NULL);
}

static void listeners(void) {
	row("a listener", LISTENER, READ | WRITE);
	struct entry entry = { VISITED, READ };
	row_of("a listener to which somebody has connected", &entry, 1, NULL);
	int fd = accept(VISITED, NULL, NULL);
	if (fd < 0) fail("accept");
	row("a listener whose connection was accepted", VISITED, READ);
	row("an accepted socket", fd, READ | WRITE);
}

static void others(void) {
	row("a terminal", TERMINAL(0), READ | WRITE);
	put(MASTER(0), "line\n");
	row("a terminal with a line", TERMINAL(0), READ | WRITE);
	row("a master with the echo of a line", MASTER(0), READ | WRITE);
	shut(MASTER(1));
	row("a terminal whose master has gone", TERMINAL(1), READ);
	row("a file", TEXT, READ | WRITE);
	row("an empty file, to read", EMPTY, READ);
	row("a directory, to read", DIRECTORY, READ);
	row("/dev/null", NOTHING, READ | WRITE);
}

static void descriptors(void) {
	row("a descriptor that was never open", RIG_END + 5, READ);
	struct entry bad[] = { { TEXT, READ }, { RIG_END + 5, WRITE } };
	row_of("a file, and a descriptor that was never open", bad, 2, NULL);
	struct entry many[] = {
		{ READER(6), READ }, { WRITER(6), WRITE }, { PAIR(6), READ | WRITE },
		{ TEXT, READ | WRITE }, { LISTENER, READ }, { READER(7), READ },
	};
	row_of("six of all kinds", many, 6, NULL);
	put(WRITER(6), "hello");
	row_of("six of all kinds, with 5 bytes in a pipe", many, 6, NULL);
	row("a pipe, for urgent data", READER(7), EXCEPT);
}

static void timeout_row(const char *name, const struct entry *entries, int count, long microseconds) {
	struct timeval timeout = { microseconds / 1000000, microseconds % 1000000 };
	long begin = now();
	row_of(name, entries, count, &timeout);
	long passed = now() - begin;
	printf("    %s\n", passed >= microseconds / 1000 ? "not before its time" : "too early");
}

static void timeouts(void) {
	struct entry entry = { READER(7), READ };
	struct timeval wrong = { 0, -1 };
	timeout_row("nothing, and no time", NULL, 0, 0);
	timeout_row("nothing, for 20 ms", NULL, 0, 20000);
	timeout_row("an empty pipe, for 20 ms", &entry, 1, 20000);
	timeout_row("an empty pipe, for 1 ms", &entry, 1, 1000);
	row_of("an empty pipe, for less than no time", &entry, 1, &wrong);
	put(WRITER(7), "x");
	struct timeval hour = { 3600, 0 };
	row_of("a pipe with a byte, for an hour", &entry, 1, &hour);
}

int main(void) {
	pipes();
	sockets();
	listeners();
	others();
	descriptors();
	timeouts();
	return 0;
}
