// Starts a program of rows on a Unix system: makes the descriptors that rig.h lists, and becomes
// that program. Is no guest: it is compiled for the machine itself.
//
//     launch PROGRAM [ARGUMENT...]
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

// How far the descriptors are made from where they belong.
enum { APART = 200 };

static void place(int fd, int where) {
	if (fd < 0) err(1, "descriptor %d", where);
	if (dup2(fd, where + APART) < 0) err(1, "dup2");
	close(fd);
}

static void place_both(const int pair[2], int where) {
	place(pair[0], where);
	place(pair[1], where + 1);
}

static int listening(struct sockaddr_in *name) {
	socklen_t length = sizeof *name;
	*name = (struct sockaddr_in){ .sin_family = AF_INET };
	name->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(fd, (struct sockaddr *)name, sizeof *name) < 0 || listen(fd, 16) < 0) err(1, "listen");
	if (getsockname(fd, (struct sockaddr *)name, &length) < 0) err(1, "getsockname");
	return fd;
}

static int connected(const struct sockaddr_in *name) {
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (const struct sockaddr *)name, sizeof *name) < 0) err(1, "connect");
	return fd;
}

static int file_of(const char *text, size_t length, int flags) {
	char path[] = "/tmp/rows-XXXXXX";
	int fd = mkstemp(path);
	if (write(fd, text, length) != (ssize_t)length) err(1, "write");
	close(fd);
	fd = open(path, flags);
	unlink(path);
	return fd;
}

static void make_descriptors(void) {
	int pair[2];
	for (int i = 0; i < PIPE_COUNT; i++) {
		if (pipe(pair) < 0) err(1, "pipe");
		place_both(pair, PIPES + 2 * i);
	}
	for (int i = 0; i < PAIR_COUNT; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) err(1, "socketpair");
		place_both(pair, PAIRS + 2 * i);
	}
	struct sockaddr_in name;
	int listener = listening(&name);
	for (int i = 0; i < STREAM_COUNT; i++) {
		pair[0] = connected(&name);
		pair[1] = accept(listener, NULL, NULL);
		place_both(pair, STREAMS + 2 * i);
	}
	place(listener, LISTENER);
	place(listening(&name), VISITED);
	place(connected(&name), VISITOR);
	for (int i = 0; i < TERMINAL_COUNT; i++) {
		if (openpty(&pair[1], &pair[0], NULL, NULL, NULL) < 0) err(1, "openpty");
		place_both(pair, TERMINALS + 2 * i);
	}
	place(file_of("five\n", 5, O_RDWR), TEXT);
	place(file_of("", 0, O_RDONLY), EMPTY);
	place(open("/tmp", O_RDONLY | O_DIRECTORY), DIRECTORY);
	place(open("/dev/null", O_RDWR), NOTHING);
}

int main(int argc, char **argv) {
	if (argc < 2) errx(2, "usage: launch PROGRAM [ARGUMENT...]");
	make_descriptors();
	for (int fd = 3; fd < RIG_END; fd++) {
		if (dup2(fd + APART, fd) < 0) err(1, "dup2");
		close(fd + APART);
	}
	// As guests have it: who writes where nobody reads gets an error.
	signal(SIGPIPE, SIG_IGN);
	execv(argv[1], argv + 1);
	err(1, "%s", argv[1]);
}
