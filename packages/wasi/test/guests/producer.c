// Writes numbered lines to stdout, with a pause after each.
//
//     producer COUNT [MILLISECONDS]
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: producer COUNT [MILLISECONDS]\n");
		return 2;
	}
	int count = atoi(argv[1]);
	long pause = argc > 2 ? atol(argv[2]) : 0;
	for (int i = 1; i <= count; i++) {
		char line[32];
		int length = snprintf(line, sizeof line, "line %d\n", i);
		if (write(STDOUT_FILENO, line, length) != length) {
			perror("producer");
			return 1;
		}
		struct timespec time = { pause / 1000, pause % 1000 * 1000000 };
		if (pause > 0) nanosleep(&time, NULL);
	}
	return 0;
}
