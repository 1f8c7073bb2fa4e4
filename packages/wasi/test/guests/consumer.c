// Reads the numbered lines of the producer from stdin, with poll before each read, and says at the
// end how many there were and whether one was missing.
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char text[65536];
static size_t length;
static int lines;

// Takes the complete lines out of the text; the rest stays for later.
static void take_lines(void) {
	char *begin = text;
	for (char *end; (end = memchr(begin, '\n', text + length - begin)) != NULL; begin = end + 1) {
		*end = '\0';
		lines++;
		if (strncmp(begin, "line ", 5) == 0 && atoi(begin + 5) == lines) continue;
		printf("'%s' is not line %d\n", begin, lines);
		exit(1);
	}
	length -= begin - text;
	memmove(text, begin, length);
}

int main(void) {
	for (;;) {
		struct pollfd entry = { .fd = STDIN_FILENO, .events = POLLIN };
		if (poll(&entry, 1, -1) < 0) {
			perror("consumer: poll");
			return 1;
		}
		ssize_t n = read(STDIN_FILENO, text + length, sizeof text - length);
		if (n < 0) {
			perror("consumer: read");
			return 1;
		}
		if (n == 0) break;
		length += n;
		take_lines();
	}
	printf("%d lines, none missing\n", lines);
	return 0;
}
