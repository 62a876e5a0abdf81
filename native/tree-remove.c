/*
 * tree-remove.c: recursive removal that stops at mount points.
 *
 * Every directory is entered with RESOLVE_NO_XDEV, which sees bind mounts of the same file system too; comparing
 * device numbers would not. Nothing below a mount point is touched, and it is reported as EBUSY.
 *
 * A tree can be deeper than a process has descriptors. Below DEPTH levels a subdirectory is moved up to the top and
 * taken from there, so that DEPTH descriptors are always enough.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel.h"
#include "tree.h"

enum { DEPTH = 128 };

struct removal {
	int top;
	unsigned moved;
	uint64_t progress;
	struct failure *failure;
};

static int empty_directory(struct removal *removal, int fd, int depth);

/* The failure happened somewhere below `name`: the path to it grows as the recursion unwinds. */
static int within(struct removal *removal, const char *name) {
	struct failure *failure = removal->failure;
	char path[sizeof failure->detail + 260];
	snprintf(path, sizeof path, failure->detail[0] ? "%s/%s" : "%s%s", name, failure->detail);
	return fail_with(failure, failure->error, failure->call, path);
}

/* A directory of ours without w or x is given them, once: an unprivileged store must be able to remove its layers. */
static int unlink_name(struct removal *removal, int parent, const char *name, int flags) {
	int result = unlinkat(parent, name, flags);
	if (result < 0 && errno == EACCES) {
		result = fchmod(parent, 0700) == 0 ? unlinkat(parent, name, flags) : -1;
		errno = errno == EBADF ? EACCES : errno;
	}
	if (result < 0 && errno != ENOENT)
		return fail(removal->failure, "unlinkat", name);
	removal->progress++;
	return 0;
}

static int enter(struct removal *removal, int parent, const char *name) {
	const uint64_t resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH;
	int fd = kernel_openat2(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, resolve);
	if (fd < 0 && errno == EACCES && chmod_nofollow(parent, name, 0700, removal->failure) == 0)
		fd = kernel_openat2(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, resolve);
	if (fd < 0 && errno == EXDEV)
		errno = EBUSY;
	return fd < 0 ? fail(removal->failure, "openat2", name) : fd;
}

static int move_up(struct removal *removal, int parent, const char *name) {
	chmod_nofollow(parent, name, 0700, removal->failure);
	for (;;) {
		char moved[32];
		snprintf(moved, sizeof moved, ".removed-%u", removal->moved++);
		if (renameat(parent, name, removal->top, moved) == 0)
			break;
		if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR)
			return fail(removal->failure, "renameat", name);
	}
	removal->progress++;
	return 0;
}

static int remove_directory(struct removal *removal, int parent, const char *name, int depth) {
	if (depth >= DEPTH)
		return move_up(removal, parent, name);
	int fd = enter(removal, parent, name);
	if (fd < 0)
		return removal->failure->error == ENOENT ? 0 : -1;
	if (empty_directory(removal, fd, depth + 1) < 0)
		return within(removal, name);
	return unlink_name(removal, parent, name, AT_REMOVEDIR);
}

static bool is_directory(int parent, const struct dirent *entry) {
	struct stat stat;
	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_DIR;
	return fstatat(parent, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(stat.st_mode);
}

/* Takes `fd`. Reads again until a pass finds nothing: removal while reading may hide entries from the reader. */
static int empty_directory(struct removal *removal, int fd, int depth) {
	DIR *stream = fdopendir(fd);
	if (!stream) {
		close(fd);
		return fail_with(removal->failure, ENOMEM, "fdopendir", "");
	}
	int result = 0;
	uint64_t before;
	do {
		before = removal->progress;
		rewinddir(stream);
		for (;;) {
			errno = 0;
			struct dirent *entry = readdir(stream);
			if (!entry && errno != 0)
				result = fail(removal->failure, "readdir", "");
			if (!entry)
				break;
			const char *name = entry->d_name;
			if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
				continue;
			result = is_directory(fd, entry) ? remove_directory(removal, fd, name, depth)
							 : unlink_name(removal, fd, name, 0);
			if (result < 0)
				break;
		}
	} while (result == 0 && removal->progress != before);
	closedir(stream);
	return result;
}

int tree_remove(struct tree *tree, const char *path, struct failure *failure) {
	struct place place;
	struct stat stat;
	struct removal removal = {.failure = failure};
	if (tree_locate(tree, path, &place, failure) < 0)
		return failure->error == ENOENT || failure->error == ENOTDIR ? 0 : -1;
	bool root = place.parent == tree->root && strcmp(place.name, ".") == 0;
	if (!root && strcmp(place.name, ".") == 0)
		return fail_with(failure, EINVAL, "unlinkat", "the last component is . or ..");
	if (fstatat(place.parent, place.name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : fail(failure, "fstatat", "");
	int result;
	if (S_ISDIR(stat.st_mode)) {
		int fd = enter(&removal, place.parent, place.name);
		if (fd < 0)
			return -1;
		removal.top = fd;
		result = empty_directory(&removal, fd, 1);
		if (result == 0 && !root)
			result = unlink_name(&removal, place.parent, place.name, AT_REMOVEDIR);
	} else {
		result = unlink_name(&removal, place.parent, place.name, 0);
	}
	tree_forget(tree);
	return result;
}
