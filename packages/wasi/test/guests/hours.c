// Keeps a log for a day: waits with poll for lines on stdin until the next full hour, prints each
// line with the time of day when it came, and every hour how many there were. Where time is
// virtual, the day takes milliseconds.
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { HOURS = 24, SECONDS_PER_HOUR = 3600 };

static struct timespec begin;
static int lines;

// The milliseconds since the program began.
static long long now(void) {
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (time.tv_sec - begin.tv_sec) * 1000LL + (time.tv_nsec - begin.tv_nsec) / 1000000;
}

static void print_time(void) {
	int seconds = now() / 1000;
	printf("%02d:%02d:%02d ", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

// Prints the lines that have come; returns whether more may come.
static int take_lines(void) {
	char buffer[1024];
	ssize_t n = read(STDIN_FILENO, buffer, sizeof buffer - 1);
	if (n <= 0) {
		print_time();
		printf("nobody will write any more\n");
		return 0;
	}
	buffer[n] = '\0';
	for (char *line = strtok(buffer, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		print_time();
		printf("%s\n", line);
		lines++;
	}
	return 1;
}

int main(void) {
	clock_gettime(CLOCK_MONOTONIC, &begin);
	int open = 1;
	for (int hour = 1; hour <= HOURS;) {
		struct pollfd entry = { .fd = open ? STDIN_FILENO : -1, .events = POLLIN };
		long long rest = (long long)hour * SECONDS_PER_HOUR * 1000 - now();
		if (poll(&entry, 1, rest > 0 ? rest : 0) < 0) {
			perror("hours: poll");
			return 1;
		}
		if (entry.revents) open = take_lines();
		if (now() < (long long)hour * SECONDS_PER_HOUR * 1000) continue;
		print_time();
		printf("hour %d: %d %s\n", hour, lines, lines == 1 ? "line" : "lines");
		lines = 0;
		hour++;
	}
	return 0;
}
