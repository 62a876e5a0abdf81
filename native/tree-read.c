/* tree-read.c: looking into a tree. Nothing is opened for reading before it is known to be a regular file. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cleanup.h"
#include "kernel.h"
#include "tree.h"

int tree_lstat(struct tree *tree, const char *path, struct stat *stat, struct failure *failure) {
	struct place place;
	if (tree_locate(tree, path, &place, failure) < 0)
		return -1;
	return fstatat(place.parent, place.name, stat, AT_SYMLINK_NOFOLLOW) < 0 ? fail(failure, "fstatat", "") : 0;
}

int tree_readlink(struct tree *tree, const char *path, char target[4097], size_t *length, struct failure *failure) {
	struct place place;
	if (tree_locate(tree, path, &place, failure) < 0)
		return -1;
	ssize_t got = readlinkat(place.parent, place.name, target, 4097);
	if (got < 0)
		return fail(failure, "readlinkat", "");
	*length = (size_t)got;
	return 0;
}

static int expect_regular(mode_t mode, struct failure *failure) {
	if (S_ISDIR(mode))
		return fail_with(failure, EISDIR, "open", "");
	if (S_ISLNK(mode))
		return fail_with(failure, ELOOP, "open", "a symlink is not followed here");
	return S_ISREG(mode) ? 0 : fail_with(failure, EINVAL, "open", "not a regular file");
}

/* Follows a final symlink: the inode is pinned with O_PATH, looked at, and only then opened, through /proc. */
static int open_followed(struct tree *tree, const char *path, struct stat *stat, struct failure *failure) {
	AUTO_CLOSE int pinned = kernel_openat2(tree->root, path, O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
	if (pinned < 0)
		return fail(failure, "open", "");
	if (fstat(pinned, stat) < 0)
		return fail(failure, "fstat", "");
	if (expect_regular(stat->st_mode, failure) < 0)
		return -1;
	char magic[64];
	snprintf(magic, sizeof magic, "/proc/self/fd/%d", pinned);
	int fd = open(magic, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? fail(failure, "open", "") : fd;
}

/*
 * Opens a regular file for reading. Opening a FIFO would wait for a writer and opening a device may start something, so it
 * is looked at before; what was put in its place since then is not waited for, and told from it.
 */
int tree_open_regular(struct tree *tree, const char *path, bool follow, struct stat *stat, struct failure *failure) {
	struct place place;
	struct stat opened;
	if (follow)
		return open_followed(tree, path, stat, failure);
	if (tree_locate(tree, path, &place, failure) < 0)
		return -1;
	if (fstatat(place.parent, place.name, stat, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(failure, "open", "");
	if (expect_regular(stat->st_mode, failure) < 0)
		return -1;
	AUTO_CLOSE int fd = openat(place.parent, place.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return fail(failure, "open", "");
	if (fstat(fd, &opened) < 0)
		return fail(failure, "fstat", "");
	if (opened.st_dev != stat->st_dev || opened.st_ino != stat->st_ino)
		return fail_with(failure, ESTALE, "open", "it was replaced meanwhile");
	int result = fd;
	fd = -1;
	return result;
}

int tree_read_file(struct tree *tree, const char *path, size_t limit, bool follow, void **data, size_t *size,
		   struct failure *failure) {
	struct stat stat;
	AUTO_CLOSE int fd = tree_open_regular(tree, path, follow, &stat, failure);
	if (fd < 0)
		return -1;
	if ((uint64_t)stat.st_size > limit)
		return fail_with(failure, EFBIG, "read", "the file is larger than the limit");
	AUTO_FREE char *bytes = malloc((size_t)stat.st_size + 1);
	if (!bytes)
		return fail_with(failure, ENOMEM, "malloc", "");
	size_t length = 0;
	while (length < (size_t)stat.st_size) {
		ssize_t got = read(fd, bytes + length, (size_t)stat.st_size - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail(failure, "read", "");
		if (got == 0)
			break;
		length += (size_t)got;
	}
	*data = bytes;
	*size = length;
	bytes = NULL;
	return 0;
}

static int by_bytes(const void *left, const void *right) {
	return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Appends the NUL-terminated `name` to a growing block. */
static int push_name(char **block, size_t *size, size_t *room, const char *name) {
	size_t length = strlen(name) + 1;
	if (*size + length > *room) {
		size_t more = (*size + length) * 2;
		char *grown = realloc(*block, more);
		if (!grown)
			return -1;
		*block = grown;
		*room = more;
	}
	memcpy(*block + *size, name, length);
	*size += length;
	return 0;
}

static int sort_names(char **block, size_t size, size_t count) {
	AUTO_FREE char **order = malloc((count + 1) * sizeof *order);
	char *sorted = malloc(size + 1);
	if (!order || !sorted) {
		free(sorted);
		return -1;
	}
	char *next = *block;
	for (size_t i = 0; i < count; i++, next += strlen(next) + 1)
		order[i] = next;
	qsort(order, count, sizeof *order, by_bytes);
	size_t at = 0;
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(order[i]) + 1;
		memcpy(sorted + at, order[i], length);
		at += length;
	}
	free(*block);
	*block = sorted;
	return 0;
}

int tree_list(struct tree *tree, const char *path, char **names, size_t *size, struct failure *failure) {
	struct place place;
	if (tree_locate(tree, path, &place, failure) < 0)
		return -1;
	int fd = openat(place.parent, place.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail(failure, "openat", "");
	DIR *stream = fdopendir(fd);
	if (!stream) {
		close(fd);
		return fail_with(failure, ENOMEM, "fdopendir", "");
	}
	AUTO_FREE char *block = NULL;
	size_t room = 0, count = 0;
	*size = 0;
	int broken = 0;
	errno = 0;
	for (struct dirent *entry; !broken && (entry = readdir(stream));) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		broken = push_name(&block, size, &room, entry->d_name) < 0;
		count++;
		errno = broken ? ENOMEM : 0;
	}
	int error = errno;
	closedir(stream);
	if (error || sort_names(&block, *size, count) < 0)
		return fail_with(failure, error ? error : ENOMEM, "readdir", "");
	*names = block;
	block = NULL;
	return 0;
}

/* One value, appended to the list as tree.h describes. 0: it vanished meanwhile, or was added. */
static int push_xattr(const char *path, const char *name, char **list, size_t *size, struct failure *failure) {
	for (;;) {
		ssize_t needed = lgetxattr(path, name, NULL, 0);
		if (needed < 0)
			return errno == ENODATA ? 0 : fail(failure, "lgetxattr", name);
		size_t length = strlen(name) + 1;
		char *grown = realloc(*list, *size + length + sizeof(size_t) + (size_t)needed + 1);
		if (!grown)
			return fail_with(failure, ENOMEM, "realloc", "");
		*list = grown;
		char *value = grown + *size + length + sizeof(size_t);
		/* An empty value must not be asked with size 0, which asks for the size again. */
		ssize_t got = lgetxattr(path, name, value, (size_t)needed + 1);
		if (got < 0 && errno == ERANGE)
			continue;
		if (got < 0)
			return errno == ENODATA ? 0 : fail(failure, "lgetxattr", name);
		if (got > needed)
			continue;
		size_t stored = (size_t)got;
		memcpy(grown + *size, name, length);
		memcpy(grown + *size + length, &stored, sizeof stored);
		*size += length + sizeof stored + stored;
		return 0;
	}
}

int tree_xattrs(struct tree *tree, const char *path, char **list, size_t *size, struct failure *failure) {
	struct place place;
	if (tree_locate(tree, path, &place, failure) < 0)
		return -1;
	char magic[PATH_MAX + 64];
	snprintf(magic, sizeof magic, "/proc/self/fd/%d/%s", place.parent, place.name);
	AUTO_FREE char *names = NULL;
	ssize_t length;
	for (;;) {
		length = llistxattr(magic, NULL, 0);
		if (length < 0)
			break;
		free(names);
		names = malloc((size_t)length + 1);
		if (!names)
			return fail_with(failure, ENOMEM, "malloc", "");
		length = llistxattr(magic, names, (size_t)length + 1);
		if (length >= 0 || errno != ERANGE)
			break;
	}
	*list = NULL;
	*size = 0;
	/* A file system without xattrs has none to list. */
	if (length < 0)
		return errno == ENOTSUP ? 0 : fail(failure, "llistxattr", "");
	for (const char *name = names; name < names + length; name += strlen(name) + 1)
		if (push_xattr(magic, name, list, size, failure) < 0) {
			free(*list);
			*list = NULL;
			return -1;
		}
	return 0;
}
