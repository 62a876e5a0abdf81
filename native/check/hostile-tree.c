/* hostile-tree.c: see hostile-tree.h. */
#include "hostile-tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const guarded[GUARDED] = {".", "outside", "outside/secret", "outside/only-here"};
static const char *const machine[] = {"/", "/etc", "/proc", "/proc/self", "/tmp", "/etc/passwd"};
static const char content[] = "untouched";

/* name, target: `%s` is BASE */
static const char *const links[][2] = {
	{"up", ".."},
	{"up2", "../outside"},
	{"far", "../../../../../../../../../../.."},
	{"secret", "../outside/secret"},
	{"absolute", "%s/outside"},
	{"absolute-file", "%s/outside/secret"},
	{"slash", "/"},
	{"etc", "/etc"},
	{"proc", "/proc/self/root"},
	{"magic", "/proc/self/cwd"},
	{"magic-fd", "/proc/self/fd/3"},
	{"loop", "loop"},
	{"ring1", "ring2"},
	{"ring2", "a/../ring1"},
	{"dangling", "nowhere/at/all"},
	{"in", "a/b"},
	{"dot", "."},
	{"chain1", "chain2/outside"},
	{"chain2", "a/climb"},
	{"a/climb", "../.."},
	{"a/b/climb", "../../../outside/only-here"},
};

static int make_outside(const struct hostile *hostile) {
	if (mkdirat(hostile->fds[0], "outside", 0755) < 0 || mkdirat(hostile->fds[0], "outside/only-here", 0755) < 0 ||
	    mkdirat(hostile->fds[0], "root", 0755) < 0)
		return -1;
	int fd = openat(hostile->fds[0], "outside/secret", O_WRONLY | O_CREAT | O_EXCL, 0644);
	if (fd < 0)
		return -1;
	ssize_t written = write(fd, content, sizeof content);
	return close(fd) == 0 && written == sizeof content ? 0 : -1;
}

/* A change shows by its time only if the clock has moved on since: file systems take a coarse one. */
static void pass_a_moment(void) {
	struct timespec start, now;
	clock_gettime(CLOCK_REALTIME_COARSE, &start);
	do
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
	while (now.tv_sec == start.tv_sec && now.tv_nsec < start.tv_nsec + 20000000);
}

int hostile_open(struct hostile *hostile) {
	if (geteuid() == 0 && (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0))
		return -1;
	snprintf(hostile->base, sizeof hostile->base, "/tmp/tree-fuzz-XXXXXX");
	if (!mkdtemp(hostile->base))
		return -1;
	snprintf(hostile->root, sizeof hostile->root, "%s/root", hostile->base);
	hostile->fds[0] = open(hostile->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (hostile->fds[0] < 0 || make_outside(hostile) < 0)
		return -1;
	for (int i = 1; i < GUARDED; i++)
		hostile->fds[i] = openat(hostile->fds[0], guarded[i], O_RDONLY | O_CLOEXEC);
	pass_a_moment();
	for (int i = 0; i < GUARDED; i++)
		if (fstat(hostile->fds[i], &hostile->stats[i]) < 0)
			return -1;
	return 0;
}

int hostile_fill(const struct hostile *hostile) {
	int root = open(hostile->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = mkdirat(root, "a", 0755) | mkdirat(root, "a/b", 0755) | mkdirat(root, "c", 0755);
	for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
		char target[256];
		/* The only conversion is %s. */
		const char *at = strstr(links[i][1], "%s");
		snprintf(target, sizeof target, "%s%s", at ? hostile->base : links[i][1], at ? at + 2 : "");
		result |= symlinkat(target, root, links[i][0]);
	}
	int file = openat(root, "a/file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	result |= file < 0 ? -1 : close(file);
	result |= mkfifoat(root, "a/fifo", 0644);
	close(root);
	return result;
}

bool hostile_untouched(const struct hostile *hostile) {
	for (int i = 0; i < GUARDED; i++) {
		struct stat now;
		const struct stat *then = &hostile->stats[i];
		if (fstatat(hostile->fds[0], guarded[i], &now, AT_SYMLINK_NOFOLLOW) < 0 || now.st_ino != then->st_ino ||
		    now.st_nlink != then->st_nlink || now.st_mode != then->st_mode || now.st_size != then->st_size ||
		    memcmp(&now.st_mtim, &then->st_mtim, sizeof now.st_mtim) != 0 ||
		    memcmp(&now.st_ctim, &then->st_ctim, sizeof now.st_ctim) != 0)
			return false;
	}
	return true;
}

bool hostile_is_outside(const struct hostile *hostile, const struct stat *stat) {
	for (int i = 0; i < GUARDED; i++)
		if (stat->st_ino == hostile->stats[i].st_ino && stat->st_dev == hostile->stats[i].st_dev)
			return true;
	for (size_t i = 0; i < sizeof machine / sizeof machine[0]; i++) {
		struct stat other;
		if (lstat(machine[i], &other) == 0 && stat->st_ino == other.st_ino && stat->st_dev == other.st_dev)
			return true;
	}
	return false;
}

bool hostile_is_inside(const struct hostile *hostile, int directory) {
	char path[PATH_MAX] = "";
	struct stat root, at;
	if (stat(hostile->root, &root) < 0)
		return false;
	for (size_t length = 0; length + 4 < sizeof path; length += 3) {
		if (fstatat(directory, path[0] ? path : ".", &at, 0) < 0)
			return false;
		if (at.st_ino == root.st_ino && at.st_dev == root.st_dev)
			return true;
		struct stat above;
		memcpy(path + length, "../", 4);
		if (fstatat(directory, path, &above, 0) < 0 || (above.st_ino == at.st_ino && above.st_dev == at.st_dev))
			return false;
	}
	return false;
}

int hostile_close(struct hostile *hostile) {
	for (int i = 0; i < GUARDED; i++)
		close(hostile->fds[i]);
	char path[160];
	int result = rmdir(hostile->root);
	for (int i = GUARDED - 1; i > 0; i--) {
		snprintf(path, sizeof path, "%s/%s", hostile->base, guarded[i]);
		result |= remove(path);
	}
	return result | rmdir(hostile->base);
}
