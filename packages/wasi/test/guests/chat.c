// A chat server over a select loop, on a listener that it finds at descriptor 3: lines, names, and
// where they go. The first line that a client sends is its name; each later line goes to all the
// others. A client that has left gets what was said until then, and no more. Runs until it is
// killed.
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTENER = 3, MAX_LINE = 8192, MAX_NAME = 16, MAX_OUTPUT = 131072 };

struct client {
	struct client *next;
	int fd;
	// Empty until it has sent its name, and again when it has left.
	char name[MAX_NAME + 1];
	// Whether it may still send lines; if not, it is closed when everything is sent to it.
	bool talks;
	// Whether it is gone, and its descriptor closed.
	bool closed;
	// The part of its current line that has come.
	size_t length;
	char line[MAX_LINE + 1];
	// What waits to be sent to it.
	size_t begin, end;
	char output[MAX_OUTPUT];
};

static struct client *clients;

static void tell_others(const struct client *from, const char *line);

static void announce_end(struct client *client, const char *how) {
	char line[64];
	if (client->name[0] == '\0') return;
	snprintf(line, sizeof line, "* %s %s", client->name, how);
	client->name[0] = '\0';
	tell_others(client, line);
}

// A client is gone, or everything was sent to it. Its memory is freed by the loop.
static void drop(struct client *client, const char *how) {
	if (client->closed) return;
	client->closed = true;
	close(client->fd);
	announce_end(client, how);
}

// Puts a line into a client's output; returns whether there was room for it.
static bool tell(struct client *client, const char *line) {
	size_t length = strlen(line);
	if (client->closed || client->end - client->begin + length + 1 > MAX_OUTPUT) return false;
	if (client->end + length + 1 > MAX_OUTPUT) {
		memmove(client->output, client->output + client->begin, client->end - client->begin);
		client->end -= client->begin;
		client->begin = 0;
	}
	memcpy(client->output + client->end, line, length);
	client->output[client->end + length] = '\n';
	client->end += length + 1;
	return true;
}

// All others get the line before they are told which clients were too slow for it.
static void tell_others(const struct client *from, const char *line) {
	bool slow[FD_SETSIZE] = { false };
	int i = 0;
	for (struct client *other = clients; other != NULL; other = other->next, i++)
		slow[i] = other != from && other->name[0] != '\0' && !tell(other, line);
	i = 0;
	for (struct client *other = clients; other != NULL; other = other->next, i++)
		if (slow[i]) drop(other, "was too slow");
}

// A client leaves in an orderly way: it gets what was said until now, and a last line.
static void leave(struct client *client, const char *farewell) {
	client->talks = false;
	tell(client, farewell);
	announce_end(client, "left");
}

static bool is_name(const char *text) {
	size_t length = strlen(text);
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)text[i]) && text[i] != '_') return false;
	return length >= 1 && length <= MAX_NAME;
}

static void join(struct client *client, const char *name) {
	char line[MAX_LINE + 64];
	char here[MAX_LINE] = "";
	for (struct client *other = clients; other != NULL; other = other->next) {
		if (other->name[0] == '\0') continue;
		if (strcmp(other->name, name) == 0) {
			snprintf(line, sizeof line, "* %s is taken; your name?", name);
			tell(client, line);
			return;
		}
		size_t length = strlen(here);
		snprintf(here + length, sizeof here - length, "%s%s", length > 0 ? ", " : "", other->name);
	}
	if (!is_name(name)) {
		tell(client, "* a name has 1 to 16 letters or digits; your name?");
		return;
	}
	strcpy(client->name, name);
	snprintf(line, sizeof line, "* hello %s; here: %s", name, here[0] ? here : "nobody else");
	tell(client, line);
	snprintf(line, sizeof line, "* %s joined", name);
	tell_others(client, line);
}

static void hear(struct client *client, const char *text) {
	char line[MAX_LINE + 64];
	if (client->name[0] == '\0') {
		join(client, text);
	} else if (strcmp(text, "/quit") == 0) {
		leave(client, "* bye");
	} else if (text[0] == '/') {
		snprintf(line, sizeof line, "* no such command: %s", text);
		tell(client, line);
	} else if (text[0] != '\0') {
		snprintf(line, sizeof line, "<%s> %s", client->name, text);
		tell_others(client, line);
	}
}

// Cuts what a client has sent into lines.
static void take(struct client *client, const char *bytes, size_t count) {
	for (size_t i = 0; i < count && client->talks && !client->closed; i++) {
		if (bytes[i] == '\n') {
			if (client->length > 0 && client->line[client->length - 1] == '\r') client->length--;
			client->line[client->length] = '\0';
			client->length = 0;
			hear(client, client->line);
		} else if (client->length == MAX_LINE) {
			leave(client, "* that line is too long");
		} else {
			client->line[client->length++] = bytes[i];
		}
	}
}

// Reads all that has arrived from a client, and acts on it.
static void receive(struct client *client) {
	static char buffer[16384];
	while (client->talks && !client->closed) {
		ssize_t n = recv(client->fd, buffer, sizeof buffer, 0);
		if (n < 0 && errno == EAGAIN) return;
		if (n < 0) drop(client, "left");
		else if (n == 0) leave(client, "* bye");
		else take(client, buffer, n);
	}
}

// Sends what there is room for.
static void flush(struct client *client) {
	while (client->begin < client->end) {
		ssize_t n = send(client->fd, client->output + client->begin, client->end - client->begin, 0);
		if (n < 0 && errno == EAGAIN) return;
		if (n < 0) {
			drop(client, "left");
			return;
		}
		client->begin += n;
	}
	client->begin = client->end = 0;
	if (!client->talks) drop(client, "left");
}

static void set_nonblocking(int fd) {
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

// Takes all connections that wait. The newest client is the last of the list.
static void accept_clients(void) {
	for (;;) {
		int fd = accept(LISTENER, NULL, NULL);
		if (fd < 0 && errno == ECONNABORTED) continue;
		if (fd < 0 && errno == EAGAIN) return;
		struct client *client = fd < 0 ? NULL : calloc(1, sizeof *client);
		if (client == NULL) {
			perror("chat: accept");
			exit(1);
		}
		set_nonblocking(fd);
		client->fd = fd;
		client->talks = true;
		struct client **last = &clients;
		while (*last != NULL) last = &(*last)->next;
		*last = client;
		tell(client, "* your name?");
	}
}

static void free_closed(void) {
	for (struct client **at = &clients; *at != NULL;) {
		struct client *client = *at;
		if (client->closed) {
			*at = client->next;
			free(client);
		} else {
			at = &client->next;
		}
	}
}

int main(void) {
	set_nonblocking(LISTENER);
	for (;;) {
		fd_set readable, writable;
		int highest = LISTENER;
		FD_ZERO(&readable);
		FD_ZERO(&writable);
		FD_SET(LISTENER, &readable);
		for (struct client *client = clients; client != NULL; client = client->next) {
			if (client->talks) FD_SET(client->fd, &readable);
			if (client->begin < client->end) FD_SET(client->fd, &writable);
			if (client->fd > highest) highest = client->fd;
		}
		if (select(highest + 1, &readable, &writable, NULL, NULL) < 0) {
			perror("chat: select");
			return 1;
		}
		for (struct client *client = clients; client != NULL; client = client->next) {
			if (!client->closed && FD_ISSET(client->fd, &readable)) receive(client);
			if (!client->closed && FD_ISSET(client->fd, &writable)) flush(client);
		}
		free_closed();
		if (FD_ISSET(LISTENER, &readable)) accept_clients();
	}
}
