// What one does with files, one row for each step: creates, reads, seeks, renames, lists, links,
// truncates, and asks for all the errors on the way. Works in its current directory, which has to
// be empty, and leaves it empty.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *error_name(int error) {
	switch (error) {
	case EBADF: return "EBADF";
	case EEXIST: return "EEXIST";
	case EINVAL: return "EINVAL";
	case EISDIR: return "EISDIR";
	case ELOOP: return "ELOOP";
	case ENAMETOOLONG: return "ENAMETOOLONG";
	case ENOENT: return "ENOENT";
	case ENOTDIR: return "ENOTDIR";
	case ENOTEMPTY: return "ENOTEMPTY";
	case EPERM: return "EPERM";
#ifdef ENOTCAPABLE
	case ENOTCAPABLE: return "ENOTCAPABLE";
#endif
	default: return strerror(error);
	}
}

// A step that has a number as its result, or an error.
static long row(const char *name, long result) {
	if (result < 0) printf("%s: %s\n", name, error_name(errno));
	else printf("%s: %ld\n", name, result);
	return result;
}

// A step of which only matters whether it succeeds.
static int done(const char *name, int result) {
	if (result < 0) printf("%s: %s\n", name, error_name(errno));
	else printf("%s: ok\n", name);
	return result;
}

static int need(const char *path, int flags) {
	int fd = open(path, flags, 0644);
	if (fd < 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

static void print_content(const char *path) {
	char buffer[64];
	int fd = open(path, O_RDONLY);
	if (fd < 0) {
		printf("    %s: %s\n", path, error_name(errno));
		return;
	}
	ssize_t n = read(fd, buffer, sizeof buffer);
	printf("    %s has '", path);
	for (ssize_t i = 0; i < n; i++) putchar(buffer[i] == '\0' ? '.' : buffer[i]);
	printf("'\n");
	close(fd);
}

static void print_stat(const char *path, int flags) {
	struct stat stat;
	if (fstatat(AT_FDCWD, path, &stat, flags) < 0) {
		printf("    %s: %s\n", path, error_name(errno));
		return;
	}
	const char *kind = S_ISREG(stat.st_mode) ? "a file"
		: S_ISDIR(stat.st_mode) ? "a directory"
		: S_ISLNK(stat.st_mode) ? "a symbolic link" : "something else";
	printf("    %s is %s", path, kind);
	if (!S_ISDIR(stat.st_mode)) printf(" of %d bytes, with %d names", (int)stat.st_size, (int)stat.st_nlink);
	printf("\n");
}

static void print_names(const char *path) {
	char *names[64];
	int count = 0;
	DIR *directory = opendir(path);
	if (directory == NULL) {
		printf("    %s: %s\n", path, error_name(errno));
		return;
	}
	// Inserted in order, because every system has its own.
	for (struct dirent *entry; (entry = readdir(directory)) != NULL && count < 64; count++) {
		int at = count;
		for (; at > 0 && strcmp(names[at - 1], entry->d_name) > 0; at--) names[at] = names[at - 1];
		names[at] = strdup(entry->d_name);
	}
	closedir(directory);
	printf("    %s holds", path);
	for (int i = 0; i < count; i++) {
		printf(" %s", names[i]);
		free(names[i]);
	}
	printf("\n");
}

static void reading_and_writing(void) {
	char buffer[16] = "";
	int fd = need("a", O_RDWR | O_CREAT | O_EXCL);
	done("create what exists", open("a", O_RDWR | O_CREAT | O_EXCL, 0644));
	row("write 10 bytes", write(fd, "0123456789", 10));
	row("seek to 4", lseek(fd, 4, SEEK_SET));
	row("read 3 bytes", read(fd, buffer, 3));
	printf("    '%s'\n", buffer);
	row("where is that", lseek(fd, 0, SEEK_CUR));
	row("seek back by 2", lseek(fd, -2, SEEK_CUR));
	row("seek before the begin", lseek(fd, -6, SEEK_CUR));
	row("seek in a wrong way", lseek(fd, 0, 77));
	row("seek 2 beyond the end", lseek(fd, 2, SEEK_END));
	row("read there", read(fd, buffer, 3));
	row("write there", write(fd, "x", 1));
	print_content("a");
	row("pread at 1", pread(fd, buffer, 2, 1));
	row("pwrite at 1", pwrite(fd, "AB", 2, 1));
	row("neither moved", lseek(fd, 0, SEEK_CUR));
	print_content("a");
	done("truncate to 5", ftruncate(fd, 5));
	row("the position is left", lseek(fd, 0, SEEK_CUR));
	done("truncate to 8", ftruncate(fd, 8));
	print_content("a");
	done("truncate to less than nothing", ftruncate(fd, -1));
	close(fd);
	row("read what is closed", read(fd, buffer, 1));
	fd = need("a", O_WRONLY | O_APPEND);
	row("append", write(fd, "end", 3));
	row("read what is open to write", read(fd, buffer, 1));
	close(fd);
	fd = need("a", O_RDONLY);
	row("write what is open to read", write(fd, "x", 1));
	done("truncate what is open to read", ftruncate(fd, 0));
	close(fd);
	print_content("a");
	close(need("a", O_WRONLY | O_TRUNC));
	print_stat("a", 0);
}

static void names(void) {
	done("open what is not there", open("none", O_RDONLY));
	done("open below a file", open("a/b", O_RDONLY));
	done("open a file as a directory", open("a", O_RDONLY | O_DIRECTORY));
	done("open a file with a slash", open("a/", O_RDONLY));
	done("mkdir", mkdir("d", 0755));
	done("mkdir again", mkdir("d", 0755));
	done("mkdir below what is not there", mkdir("none/d", 0755));
	done("mkdir with a slash", mkdir("e/", 0755));
	done("open a directory to write", open("d", O_WRONLY));
	close(need("d/f", O_WRONLY | O_CREAT));
	print_names("d");
	print_names(".");
	done("rmdir what is not empty", rmdir("d"));
	done("rmdir a file", rmdir("a"));
	done("unlink a directory", unlink("d"));
	done("unlink what is not there", unlink("none"));
	done("rename a file", rename("a", "b"));
	done("rename what is not there", rename("a", "c"));
	done("rename into a directory", rename("b", "d/b"));
	done("rename over a file", rename("d/b", "d/f"));
	done("rename over a directory that is not empty", rename("e", "d"));
	done("rename a file over a directory", rename("d/f", "e"));
	done("rename a directory over an empty one", rename("d", "e"));
	done("rename a directory into itself", rename("e", "e/inside"));
	print_names(".");
	print_names("e");
	char name[300];
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	done("a name of 299 letters", open(name, O_WRONLY | O_CREAT, 0644));
	done("no name", open("", O_RDONLY));
}

static void links(void) {
	char buffer[16] = "";
	int fd = need("text", O_WRONLY | O_CREAT);
	row("write a text", write(fd, "text", 4));
	close(fd);
	done("link", link("text", "other"));
	print_stat("other", 0);
	done("link over a file", link("text", "other"));
	done("link a directory", link("e", "e2"));
	done("symlink", symlink("text", "sym"));
	print_stat("sym", 0);
	print_stat("sym", AT_SYMLINK_NOFOLLOW);
	print_content("sym");
	row("readlink", readlink("sym", buffer, sizeof buffer));
	printf("    '%s'\n", buffer);
	row("readlink into 2 bytes", readlink("sym", buffer, 2));
	row("readlink of a file", readlink("text", buffer, sizeof buffer));
	done("open a link without following it", open("sym", O_RDONLY | O_NOFOLLOW));
	done("symlink to itself", symlink("loop", "loop"));
	done("open that", open("loop", O_RDONLY));
	done("symlink to nothing", symlink("none", "dangling"));
	done("open that to create", open("dangling", O_WRONLY | O_CREAT | O_EXCL, 0644));
	done("symlink to a directory", symlink("e", "way"));
	print_stat("way/f", 0);
	done("unlink a symlink", unlink("sym"));
	fd = need("text", O_RDONLY);
	done("unlink an open file", unlink("text"));
	row("which can still be read", read(fd, buffer, sizeof buffer));
	close(fd);
	print_stat("other", 0);
}

static void times(void) {
	struct stat before, after;
	struct timespec both[2] = { { 1000000000, 5000 }, { 1234567890, 987654000 } };
	done("set both times", utimensat(AT_FDCWD, "other", both, 0));
	stat("other", &after);
	printf("    %lld and %lld\n", (long long)after.st_atim.tv_sec, (long long)after.st_mtim.tv_sec);
	struct timespec one[2] = { { 0, UTIME_OMIT }, { 1111111111, 0 } };
	done("set one of them", utimensat(AT_FDCWD, "other", one, 0));
	stat("other", &after);
	printf("    %lld and %lld\n", (long long)after.st_atim.tv_sec, (long long)after.st_mtim.tv_sec);
	before = after;
	int fd = need("other", O_WRONLY | O_APPEND);
	struct timespec now[2] = { { 0, UTIME_OMIT }, { 0, UTIME_NOW } };
	done("set it to now", futimens(fd, now));
	fstat(fd, &after);
	printf("    %s\n", after.st_mtim.tv_sec > before.st_mtim.tv_sec ? "later" : "not later");
	close(fd);
	print_stat("other", 0);
}

static void listing(void) {
	long places[64];
	int count = 0;
	for (int i = 0; i < 40; i++) {
		char path[32];
		snprintf(path, sizeof path, "e/file-with-a-name-%d", i);
		close(need(path, O_WRONLY | O_CREAT));
	}
	DIR *directory = opendir("e");
	for (;;) {
		places[count] = telldir(directory);
		if (readdir(directory) == NULL) break;
		count++;
	}
	printf("a directory of 41 files and itself and its parent: %d\n", count);
	seekdir(directory, places[20]);
	int rest = 0;
	while (readdir(directory) != NULL) rest++;
	printf("from the 20th place: %d\n", rest);
	rewinddir(directory);
	for (rest = 0; readdir(directory) != NULL;) rest++;
	printf("from the begin again: %d\n", rest);
	closedir(directory);
}

static void clean(void) {
	for (int i = 0; i < 40; i++) {
		char path[32];
		snprintf(path, sizeof path, "e/file-with-a-name-%d", i);
		unlink(path);
	}
	unlink("e/f");
	unlink("other");
	unlink("loop");
	unlink("dangling");
	unlink("way");
	done("rmdir", rmdir("e"));
	print_names(".");
}

int main(void) {
	reading_and_writing();
	names();
	links();
	times();
	listing();
	clean();
	return 0;
}
