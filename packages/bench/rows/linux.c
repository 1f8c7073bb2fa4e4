/*
 * What the kernel takes to tell which one of many eventfds is ready.
 *
 * usage: linux poll|select|epoll DESCRIPTORS TURNS
 *            prints the nanoseconds of all turns together, each one call
 *        linux limit
 *            prints how many descriptors this process may open at most
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How many events a call of epoll_wait has room for. */
#define ROOM	64

static _Noreturn void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static _Noreturn void
usage(void)
{
	fprintf(stderr, "usage: linux poll|select|epoll DESCRIPTORS TURNS | limit\n");
	exit(2);
}

static long long
now(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) == -1)
		fail("clock_gettime");
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* Allows as many descriptors as may be allowed, and returns how many. */
static unsigned long long
raise_limit(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		fail("getrlimit");
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) == -1)
		fail("setrlimit");
	return rl.rlim_max;
}

/* Opens n eventfds; the one in the middle is ready. */
static int *
open_all(int n)
{
	int *fds, i;

	if ((fds = calloc(n, sizeof(*fds))) == NULL)
		fail("calloc");
	for (i = 0; i < n; i++)
		if ((fds[i] = eventfd(i == n / 2, EFD_NONBLOCK)) == -1)
			fail("eventfd");
	return fds;
}

/* Every call must find the one that is ready. */
static void
expect_one(int found, const char *call)
{
	if (found == -1)
		fail(call);
	if (found != 1) {
		fprintf(stderr, "%s: %d ready instead of 1\n", call, found);
		exit(1);
	}
}

static long long
by_poll(const int *fds, int n, int turns)
{
	struct pollfd *list;
	long long start;
	int i;

	if ((list = calloc(n, sizeof(*list))) == NULL)
		fail("calloc");
	for (i = 0; i < n; i++) {
		list[i].fd = fds[i];
		list[i].events = POLLIN;
	}
	start = now();
	for (i = 0; i < turns; i++)
		expect_one(poll(list, n, 0), "poll");
	return now() - start;
}

static long long
by_select(const int *fds, int n, int turns)
{
	struct timeval zero = { 0, 0 };
	fd_set asked, set;
	long long start;
	int i, nfds = 0;

	FD_ZERO(&asked);
	for (i = 0; i < n; i++) {
		if (fds[i] >= FD_SETSIZE) {
			fprintf(stderr, "select: no room for descriptor %d\n", fds[i]);
			exit(1);
		}
		FD_SET(fds[i], &asked);
		if (fds[i] >= nfds)
			nfds = fds[i] + 1;
	}
	start = now();
	for (i = 0; i < turns; i++) {
		set = asked;
		expect_one(select(nfds, &set, NULL, NULL, &zero), "select");
	}
	return now() - start;
}

static long long
by_epoll(const int *fds, int n, int turns)
{
	struct epoll_event event = { .events = EPOLLIN }, events[ROOM];
	long long start;
	int ep, i;

	if ((ep = epoll_create1(0)) == -1)
		fail("epoll_create1");
	for (i = 0; i < n; i++) {
		event.data.fd = fds[i];
		if (epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &event) == -1)
			fail("epoll_ctl");
	}
	start = now();
	for (i = 0; i < turns; i++)
		expect_one(epoll_wait(ep, events, ROOM, 0), "epoll_wait");
	return now() - start;
}

int
main(int argc, char *argv[])
{
	long long (*by)(const int *, int, int);
	unsigned long long limit = raise_limit();
	int n, turns;

	if (argc == 2 && strcmp(argv[1], "limit") == 0) {
		printf("%llu\n", limit);
		return 0;
	}
	if (argc != 4)
		usage();
	if (strcmp(argv[1], "poll") == 0)
		by = by_poll;
	else if (strcmp(argv[1], "select") == 0)
		by = by_select;
	else if (strcmp(argv[1], "epoll") == 0)
		by = by_epoll;
	else
		usage();
	n = atoi(argv[2]);
	turns = atoi(argv[3]);
	if (n < 1 || turns < 1)
		usage();
	printf("%lld\n", by(open_all(n), n, turns));
	return 0;
}
