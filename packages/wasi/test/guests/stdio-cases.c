// One of 17 plain cases of poll_oneoff, by its number: asks for what the case asks for, without the
// C library in between, and checks the answer. Exits with 0 when it is correct, and else with 1 and
// what was wrong, on stderr. What stdin has to be is said at each case.
//
//     stdio-cases NUMBER
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wasi/api.h>

#define MS 1000000ULL

enum { STDIN, STDOUT, CLOSED = 7 };

static __wasi_subscription_t asked[4];
static __wasi_event_t events[4];
static int count;
static __wasi_size_t happened;
static __wasi_timestamp_t begin;

static __wasi_timestamp_t read_clock(__wasi_clockid_t id) {
	__wasi_timestamp_t time = 0;
	if (__wasi_clock_time_get(id, 1, &time) != 0) {
		fprintf(stderr, "clock_time_get failed\n");
		exit(1);
	}
	return time;
}

static void ask_clock(__wasi_clockid_t id, __wasi_timestamp_t timeout, __wasi_subclockflags_t flags) {
	__wasi_subscription_t *each = &asked[count];
	each->userdata = 100 + count++;
	each->u.tag = __WASI_EVENTTYPE_CLOCK;
	each->u.u.clock.id = id;
	each->u.u.clock.timeout = timeout;
	each->u.u.clock.precision = 0;
	each->u.u.clock.flags = flags;
}

static void ask(__wasi_eventtype_t type, int fd) {
	__wasi_subscription_t *each = &asked[count];
	each->userdata = 100 + count++;
	each->u.tag = type;
	each->u.u.fd_read.file_descriptor = fd;
}

static void ask_read(int fd) {
	ask(__WASI_EVENTTYPE_FD_READ, fd);
}

static void ask_write(int fd) {
	ask(__WASI_EVENTTYPE_FD_WRITE, fd);
}

static void expect(int condition, const char *what) {
	if (condition) return;
	fprintf(stderr, "%s\n", what);
	exit(1);
}

// Waits for what was asked for; `expected` is how many events there must be.
static void wait_for(unsigned expected) {
	// A host that does not write the number is found.
	happened = 77;
	memset(events, 0x5a, sizeof events);
	begin = read_clock(__WASI_CLOCKID_MONOTONIC);
	__wasi_errno_t error = __wasi_poll_oneoff(asked, events, count, &happened);
	if (error != 0) {
		fprintf(stderr, "poll_oneoff returned %d\n", error);
		exit(1);
	}
	if (happened != expected) {
		fprintf(stderr, "%d events instead of %d\n", (int)happened, (int)expected);
		exit(1);
	}
}

// The event of the i-th question, which must be there once.
static const __wasi_event_t *event_of(int i) {
	const __wasi_event_t *found = NULL;
	for (unsigned each = 0; each < happened; each++) {
		if (events[each].userdata != 100u + i) continue;
		expect(found == NULL, "two events for one subscription");
		found = &events[each];
	}
	expect(found != NULL, "no event for a subscription");
	expect(found->type == asked[i].u.tag, "an event of the wrong type");
	return found;
}

static const __wasi_event_t *good(int i) {
	const __wasi_event_t *event = event_of(i);
	expect(event->error == 0, "an event with an error");
	return event;
}

static void bytes(int i, unsigned expected) {
	expect(good(i)->fd_readwrite.nbytes == expected, "nbytes is wrong");
}

// What has passed since the wait began must be at least that, and not far more.
static void passed(__wasi_timestamp_t least) {
	__wasi_timestamp_t time = read_clock(__WASI_CLOCKID_MONOTONIC) - begin;
	expect(time >= least, "it was too early");
	expect(time < least + 2000 * MS, "it was far too late");
}

static void at_once(void) {
	passed(0);
	expect(read_clock(__WASI_CLOCKID_MONOTONIC) - begin < 900 * MS, "it waited");
}

// Waits until a time on a clock. A host whose clock has milliseconds may be one too early.
static void until(__wasi_clockid_t id) {
	__wasi_timestamp_t time = read_clock(id) + 50 * MS;
	ask_clock(id, time, __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME);
	wait_for(1);
	good(0);
	expect(read_clock(id) + MS >= time, "it was too early");
	expect(read_clock(id) < time + 2000 * MS, "it was far too late");
}

static void clocks(int number) {
	switch (number) {
	case 2:
		ask_clock(__WASI_CLOCKID_MONOTONIC, 50 * MS, 0);
		wait_for(1);
		good(0);
		passed(50 * MS);
		return;
	case 3:
		until(__WASI_CLOCKID_MONOTONIC);
		return;
	case 4:
		until(__WASI_CLOCKID_REALTIME);
		return;
	case 5:
		for (int i = 0; i < 20; i++) {
			count = 0;
			ask_clock(__WASI_CLOCKID_MONOTONIC, MS / 2, 0);
			wait_for(1);
			good(0);
			passed(MS / 2);
		}
		return;
	case 6:
		ask_clock(__WASI_CLOCKID_MONOTONIC, 30 * MS, 0);
		ask_clock(__WASI_CLOCKID_MONOTONIC, 30 * MS, 0);
		wait_for(2);
		good(0);
		good(1);
		passed(30 * MS);
		return;
	}
}

static void bad_descriptors(int number) {
	ask_read(CLOSED);
	if (number == 8) ask_clock(__WASI_CLOCKID_MONOTONIC, 1000 * MS, 0);
	if (number == 9) ask_write(STDOUT);
	wait_for(number == 9 ? 2 : 1);
	expect(event_of(0)->error == __WASI_ERRNO_BADF, "the closed descriptor's error is not BADF");
	if (number == 9) good(1);
	at_once();
}

static void standard_streams(int number) {
	switch (number) {
	case 10: // stdin: a pipe to which nobody writes
		ask_read(STDIN);
		ask_clock(__WASI_CLOCKID_MONOTONIC, 50 * MS, 0);
		wait_for(1);
		good(1);
		passed(50 * MS);
		return;
	case 11: // stdin: a pipe with 5 bytes
		ask_read(STDIN);
		ask_clock(__WASI_CLOCKID_MONOTONIC, 1000 * MS, 0);
		wait_for(1);
		bytes(0, 5);
		at_once();
		return;
	case 12: // stdin: a pipe with 5 bytes
		ask_read(STDIN);
		ask_clock(__WASI_CLOCKID_MONOTONIC, 0, 0);
		happened = 0;
		expect(__wasi_poll_oneoff(asked, events, count, &happened) == 0, "poll_oneoff failed");
		expect(happened >= 1 && happened <= 2, "neither one nor two events");
		bytes(0, 5);
		return;
	case 13: // stdin: a pipe with 5 bytes
		ask_read(STDIN);
		ask_read(STDIN);
		wait_for(2);
		bytes(0, 5);
		bytes(1, 5);
		return;
	case 14: // stdin does not matter
		ask_write(STDOUT);
		ask_clock(__WASI_CLOCKID_MONOTONIC, 1000 * MS, 0);
		wait_for(1);
		good(0);
		at_once();
		return;
	case 15: // stdin: a pipe at its end
		ask_read(STDIN);
		wait_for(1);
		expect(
			good(0)->fd_readwrite.flags == __WASI_EVENTRWFLAGS_FD_READWRITE_HANGUP, "no hangup"
		);
		return;
	case 16: // stdin: a pipe with 5 bytes
		ask_write(STDOUT);
		ask_read(STDIN);
		wait_for(2);
		good(0);
		bytes(1, 5);
		return;
	case 17: // stdin: a file of 5 bytes
		ask_read(STDIN);
		wait_for(1);
		good(0);
		at_once();
		return;
	}
}

int main(int argc, char **argv) {
	int number = argc == 2 ? atoi(argv[1]) : 0;
	if (number < 1 || number > 17) {
		fprintf(stderr, "usage: stdio-cases NUMBER, from 1 to 17\n");
		return 2;
	}
	if (number == 1)
		expect(__wasi_poll_oneoff(asked, events, 0, &happened) == __WASI_ERRNO_INVAL, "not INVAL");
	else if (number <= 6) clocks(number);
	else if (number <= 9) bad_descriptors(number);
	else standard_streams(number);
	return 0;
}
