// Sleeps in all the ways that a C program can, and prints whether it woke too early; with `exact`
// how long each took, in microseconds, which is the same every time only where time is virtual.
//
//     nap [exact]
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

static bool exact;
static struct timespec begin;

static long long microseconds(const struct timespec *time) {
	return time->tv_sec * 1000000LL + time->tv_nsec / 1000;
}

static void start(void) {
	clock_gettime(CLOCK_MONOTONIC, &begin);
}

// Prints how a sleep went that should have taken at least so many microseconds.
static void woke(const char *name, int result, long long least) {
	struct timespec end;
	clock_gettime(CLOCK_MONOTONIC, &end);
	long long passed = microseconds(&end) - microseconds(&begin);
	if (result != 0) printf("%s: failed with %d\n", name, result);
	else if (passed < least) printf("%s: too early, %lld us\n", name, passed);
	else if (exact) printf("%s: %lld us\n", name, passed);
	else printf("%s: not before its time\n", name);
}

static void nanosleeps(void) {
	static const long NANOSECONDS[] = { 1, 1000, 500000, 2000000 };
	for (int i = 0; i < 4; i++) {
		char name[32];
		struct timespec time = { 0, NANOSECONDS[i] };
		snprintf(name, sizeof name, "nanosleep %ld ns", NANOSECONDS[i]);
		start();
		woke(name, nanosleep(&time, NULL), NANOSECONDS[i] / 1000);
	}
	start();
	woke("usleep", usleep(3000), 3000);
}

static void until(const char *name, clockid_t clock) {
	struct timespec time;
	start();
	clock_gettime(clock, &time);
	time.tv_nsec += 5000000;
	if (time.tv_nsec >= 1000000000) {
		time.tv_nsec -= 1000000000;
		time.tv_sec++;
	}
	woke(name, clock_nanosleep(clock, TIMER_ABSTIME, &time, NULL), 4999);
	// A time that has passed does not sleep.
	time.tv_sec -= 10;
	start();
	woke("the same, ten seconds ago", clock_nanosleep(clock, TIMER_ABSTIME, &time, NULL), 0);
}

static void waits(void) {
	struct timeval time = { 0, 4000 };
	start();
	woke("poll", poll(NULL, 0, 4), 4000);
	start();
	woke("select", select(0, NULL, NULL, NULL, &time), 4000);
}

static void clocks(void) {
	struct timespec earlier, later, resolution;
	clock_gettime(CLOCK_MONOTONIC, &earlier);
	clock_gettime(CLOCK_MONOTONIC, &later);
	printf("monotonic time goes %s\n", microseconds(&later) < microseconds(&earlier) ? "back" : "on");
	clock_gettime(CLOCK_REALTIME, &later);
	printf("real time and time() %s\n", time(NULL) - later.tv_sec <= 1 ? "agree" : "differ");
	bool has = clock_getres(CLOCK_MONOTONIC, &resolution) == 0 && resolution.tv_nsec > 0;
	printf("the monotonic clock has %s\n", has ? "a resolution" : "no resolution");
	struct timespec wrong = { 0, 2000000000 };
	printf("two billion nanoseconds: %s\n", nanosleep(&wrong, NULL) < 0 && errno == EINVAL ? "EINVAL" : "slept");
}

int main(int argc, char **argv) {
	exact = argc > 1 && strcmp(argv[1], "exact") == 0;
	nanosleeps();
	until("until a monotonic time", CLOCK_MONOTONIC);
	until("until a real time", CLOCK_REALTIME);
	waits();
	clocks();
	return 0;
}
