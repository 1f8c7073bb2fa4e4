// Prints how many bytes ioctl(FIONREAD) says there are, for the descriptors of rig.h.
#include "rows.h"

static void row(const char *name, int fd) {
	int count = -77;
	if (ioctl(fd, FIONREAD, &count) < 0) printf("%s: %s\n", name, error_name(errno));
	else printf("%s: %d\n", name, count);
}

int main(void) {
	row("an empty pipe", READER(0));
	put(WRITER(0), "hello");
	row("a pipe with 5 bytes", READER(0));
	put(WRITER(0), "world");
	row("a pipe with 10 bytes", READER(0));
	shut(WRITER(0));
	row("a pipe with 10 bytes whose writer has gone", READER(0));
	take(READER(0));
	row("a pipe at its end", READER(0));
	row("a local socket", PAIR(0));
	put(PAIR_PEER(0), "hello");
	row("a local socket with 5 bytes", PAIR(0));
	row("a terminal", TERMINAL(0));
	put(MASTER(0), "line\n");
	// Elsewhere a terminal may get what was typed a moment later.
	struct pollfd entry = { .fd = TERMINAL(0), .events = POLLIN };
	if (poll(&entry, 1, FOR_EVER) < 0) fail("poll");
	row("a terminal with a line", TERMINAL(0));
	row("a file of 5 bytes", TEXT);
	lseek(TEXT, 2, SEEK_SET);
	row("a file of 5 bytes, at its third", TEXT);
	row("a descriptor that was never open", RIG_END + 5);
	fill(WRITER(1));
	int count = 0;
	ioctl(READER(1), FIONREAD, &count);
	printf("a full pipe: %s\n", count >= 4096 ? "at least 4096" : "less than 4096");
	return 0;
}
