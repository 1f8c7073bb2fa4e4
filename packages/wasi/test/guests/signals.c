// Ends, or is ended, in the way that its argument says.
#define _WASI_EMULATED_SIGNAL
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The C library's raise() does not leave the program; this one does.
__attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_raise")))
extern int32_t proc_raise(int32_t signal);

static void handle(int signal) {
	printf("handled %d\n", signal);
}

// Calls itself for as long as there is a stack.
static int recurse(int depth) {
	volatile char space[64] = { (char)depth };
	return depth < 0 ? 0 : recurse(depth + 1) + space[depth % 64];
}

// Writes where nobody reads.
static int write_on(int fd) {
	for (;;) {
		if (write(fd, "x", 1) == 1) continue;
		perror("write");
		return 1;
	}
}

static int usage(void) {
	fprintf(
		stderr,
		"usage: signals exit STATUS|raise NUMBER|handle|abort|trap|divide|overflow|sleep|read|spin|write\n"
	);
	return 2;
}

int main(int argc, char **argv) {
	if (argc < 2) return usage();
	const char *how = argv[1];
	int number = argc > 2 ? atoi(argv[2]) : 0;
	if (strcmp(how, "exit") == 0) {
		exit(number);
	} else if (strcmp(how, "raise") == 0) {
		int error = proc_raise(number);
		printf("proc_raise returned %d\n", error);
	} else if (strcmp(how, "handle") == 0) {
		signal(SIGTERM, handle);
		raise(SIGTERM);
		signal(SIGTERM, SIG_DFL);
		raise(SIGTERM);
	} else if (strcmp(how, "abort") == 0) {
		abort();
	} else if (strcmp(how, "trap") == 0) {
		__builtin_trap();
	} else if (strcmp(how, "divide") == 0) {
		printf("%d\n", 7 / number);
	} else if (strcmp(how, "overflow") == 0) {
		printf("%d\n", recurse(number));
	} else if (strcmp(how, "sleep") == 0) {
		sleep(1000000);
	} else if (strcmp(how, "read") == 0) {
		char byte;
		printf("read returned %d\n", (int)read(STDIN_FILENO, &byte, 1));
	} else if (strcmp(how, "spin") == 0) {
		for (;;) sched_yield();
	} else if (strcmp(how, "write") == 0) {
		return write_on(STDOUT_FILENO);
	} else {
		return usage();
	}
	return 0;
}
