// A pager: text comes from descriptor 3, keys from stdin one by one, and each screen goes to
// stdout. It waits for both with one poll, and says so when nothing has come for a second. The
// terminal's mode is its owner's business.
//
//     pager [ROWS [COLUMNS]]
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEYS = STDIN_FILENO, TEXT = 3, PATIENCE = 1000 };

static char text[65536];
static size_t length;
static bool ended;
static int rows = 24, columns = 80;
// The number of the first line that is shown.
static int top;

static int line_count(void) {
	int count = 0;
	for (size_t i = 0; i < length; i++) count += text[i] == '\n';
	return count;
}

static const char *line_at(int number) {
	const char *at = text;
	for (; number > 0; number--) at = strchr(at, '\n') + 1;
	return at;
}

static void draw(const char *waiting) {
	int count = line_count();
	printf("\033[H\033[2J");
	for (int i = top; i < count && i < top + rows - 1; i++) {
		const char *line = line_at(i);
		int width = strchr(line, '\n') - line;
		printf("%.*s\n", width < columns ? width : columns, line);
	}
	bool last = top + rows - 1 >= count;
	printf("%s", !last ? ":" : ended ? "(END)" : waiting);
	fflush(stdout);
}

// Does what a key is for; returns false to quit.
static bool press(char key) {
	int page = rows - 1;
	int bottom = line_count() - page;
	if (bottom < 0) bottom = 0;
	if (key == ' ') top = top + page < bottom ? top + page : bottom > top ? bottom : top;
	if (key == 'b') top = top > page ? top - page : 0;
	return key != 'q';
}

static void read_text(void) {
	ssize_t n = read(TEXT, text + length, sizeof text - 1 - length);
	if (n <= 0) ended = true;
	else length += n;
	text[length] = '\0';
}

int main(int argc, char **argv) {
	if (argc > 1) rows = atoi(argv[1]);
	if (argc > 2) columns = atoi(argv[2]);
	draw("(waiting)");
	for (;;) {
		struct pollfd entries[] = {
			{ .fd = KEYS, .events = POLLIN },
			// At its end the text would be readable for ever.
			{ .fd = ended ? -1 : TEXT, .events = POLLIN },
		};
		int n = poll(entries, 2, PATIENCE);
		if (n < 0) {
			perror("pager: poll");
			return 1;
		}
		if (entries[1].revents) read_text();
		if (entries[0].revents) {
			char key;
			if (read(KEYS, &key, 1) != 1 || !press(key)) break;
		}
		draw(n == 0 ? "(still waiting)" : "(waiting)");
	}
	printf("\nbye\n");
	return 0;
}
