// What the benchmark measures: calls that do not sleep, polls of many descriptors, two guests that
// wake each other, and bytes in pieces of 64 KB. Prints nothing.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wasi/api.h>

enum { MOST = 1024, PIECE = 65536 };

static __wasi_subscription_t asked[MOST];
static __wasi_event_t events[MOST];
static uint8_t piece[PIECE];

static int fail(const char *what) {
	fprintf(stderr, "bench: %s\n", what);
	return 1;
}

// Calls the least that there is to call.
static int yield(long count) {
	for (long i = 0; i < count; i++)
		if (__wasi_sched_yield() != 0) return fail("sched_yield");
	return 0;
}

// Reads the clock.
static int read_clock(long count) {
	__wasi_timestamp_t time;
	for (long i = 0; i < count; i++)
		if (__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &time) != 0) return fail("clock_time_get");
	return 0;
}

// Polls descriptors that are ready to be written, from the first one on.
static int poll_ready(long count, int first, int descriptors) {
	for (int i = 0; i < descriptors; i++) {
		asked[i].userdata = i;
		asked[i].u.tag = __WASI_EVENTTYPE_FD_WRITE;
		asked[i].u.u.fd_write.file_descriptor = first + i;
	}
	for (long i = 0; i < count; i++) {
		__wasi_size_t happened = 0;
		if (__wasi_poll_oneoff(asked, events, descriptors, &happened) != 0) return fail("poll_oneoff");
		if (happened != (__wasi_size_t)descriptors) return fail("not all are ready");
	}
	return 0;
}

// Writes a byte and waits for one, or the other way round: both sleep in turn.
static int ping(long count, int first) {
	for (long i = 0; i < 2 * count; i++) {
		int writes = (i % 2 == 0) == first;
		ssize_t n = writes ? write(STDOUT_FILENO, piece, 1) : read(STDIN_FILENO, piece, 1);
		if (n != 1) return fail("the other one has gone");
	}
	return 0;
}

static int send_pieces(long count) {
	for (long i = 0; i < count; i++)
		for (ssize_t sent = 0; sent < PIECE;) {
			ssize_t n = write(STDOUT_FILENO, piece + sent, PIECE - sent);
			if (n <= 0) return fail("write");
			sent += n;
		}
	return 0;
}

static int receive_all(void) {
	for (;;) {
		ssize_t n = read(STDIN_FILENO, piece, PIECE);
		if (n < 0) return fail("read");
		if (n == 0) return 0;
	}
}

// Waits with poll_oneoff until something comes on stdin, then reads a byte.
static int wait_for_input(long count) {
	for (long i = 0; i < count; i++) {
		__wasi_size_t happened = 0;
		asked[0].u.tag = __WASI_EVENTTYPE_FD_READ;
		asked[0].u.u.fd_read.file_descriptor = STDIN_FILENO;
		if (__wasi_poll_oneoff(asked, events, 1, &happened) != 0) return fail("poll_oneoff");
		if (read(STDIN_FILENO, piece, 1) != 1) return fail("read");
	}
	return 0;
}

int main(int argc, char **argv) {
	const char *what = argc > 1 ? argv[1] : "";
	long count = argc > 2 ? atol(argv[2]) : 1;
	int first = argc > 3 ? atoi(argv[3]) : STDOUT_FILENO;
	int descriptors = argc > 4 ? atoi(argv[4]) : 1;
	if (strcmp(what, "yield") == 0) return yield(count);
	if (strcmp(what, "clock") == 0) return read_clock(count);
	if (strcmp(what, "poll") == 0 && descriptors <= MOST) return poll_ready(count, first, descriptors);
	if (strcmp(what, "ping") == 0) return ping(count, 1);
	if (strcmp(what, "pong") == 0) return ping(count, 0);
	if (strcmp(what, "send") == 0) return send_pieces(count);
	if (strcmp(what, "receive") == 0) return receive_all();
	if (strcmp(what, "wait") == 0) return wait_for_input(count);
	fprintf(stderr, "usage: bench yield|clock|ping|pong|send|wait COUNT, receive, poll COUNT FIRST DESCRIPTORS\n");
	return 2;
}
