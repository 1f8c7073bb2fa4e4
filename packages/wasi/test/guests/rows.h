// What the programs of rows share: a row is one line of output, which says what a call returned.
#ifndef ROWS_H
#define ROWS_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"

enum { NOTHING_TO_WAIT_FOR = 0, FOR_EVER = -1 };

// The n-th pipe's ends, and the n-th pair's.
#define READER(n) (PIPES + 2 * (n))
#define WRITER(n) (PIPES + 2 * (n) + 1)
#define PAIR(n) (PAIRS + 2 * (n))
#define PAIR_PEER(n) (PAIRS + 2 * (n) + 1)
#define STREAM(n) (STREAMS + 2 * (n))
#define STREAM_PEER(n) (STREAMS + 2 * (n) + 1)
#define TERMINAL(n) (TERMINALS + 2 * (n))
#define MASTER(n) (TERMINALS + 2 * (n) + 1)

// The name of an error that a row may show.
static const char *error_name(int error) {
	switch (error) {
	case EAGAIN: return "EAGAIN";
	case EBADF: return "EBADF";
	case EINVAL: return "EINVAL";
	case ENOSYS: return "ENOSYS";
	case ENOTSUP: return "ENOTSUP";
	case ENOTTY: return "ENOTTY";
	case EPIPE: return "EPIPE";
	default: return strerror(error);
	}
}

// Ends the program: a step that prepares a row has failed.
static void fail(const char *step) {
	fprintf(stderr, "%s: %s\n", step, error_name(errno));
	exit(1);
}

static void put(int fd, const char *text) {
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text)) fail("write");
}

// Reads what is there, at most 64 bytes.
static void take(int fd) {
	char buffer[64];
	if (read(fd, buffer, sizeof buffer) < 0) fail("read");
}

static void shut(int fd) {
	if (close(fd) < 0) fail("close");
}

static void half_close(int fd) {
	if (shutdown(fd, SHUT_WR) < 0) fail("shutdown");
}

static void dont_block(int fd) {
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) fail("fcntl");
}

// Writes until there is no room.
static void fill(int fd) {
	static char bytes[4096];
	dont_block(fd);
	while (write(fd, bytes, sizeof bytes) > 0) continue;
	while (write(fd, bytes, 1) > 0) continue;
	if (errno != EAGAIN) fail("fill");
}

// Reads until there is nothing left.
static void drain(int fd) {
	static char bytes[4096];
	dont_block(fd);
	while (read(fd, bytes, sizeof bytes) > 0) continue;
	if (errno != EAGAIN) fail("drain");
}

// The time that has passed since the program could first ask, in milliseconds.
static long now(void) {
	struct timespec time;
	if (clock_gettime(CLOCK_MONOTONIC, &time) < 0) fail("clock_gettime");
	return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

#endif
