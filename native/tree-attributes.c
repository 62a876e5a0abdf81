/*
 * tree-attributes.c: owner, mode, xattrs, times, in the only order that keeps them all.
 *
 * chown clears set-id bits and file capabilities, so it is first; writing moves the times, so they are last.
 */
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

static bool keeps_owner(const struct attributes *attributes) {
	return attributes->uid < 0 && attributes->gid < 0;
}

int apply_to_file(int fd, const struct attributes *attributes, struct failure *failure) {
	if (!keeps_owner(attributes) && fchown(fd, (uid_t)attributes->uid, (gid_t)attributes->gid) < 0)
		return fail(failure, "fchown", "");
	if (fchmod(fd, attributes->mode) < 0)
		return fail(failure, "fchmod", "");
	for (size_t i = 0; i < attributes->xattr_count; i++) {
		const struct xattr *xattr = &attributes->xattrs[i];
		if (fsetxattr(fd, xattr->name, xattr->value, xattr->size, 0) < 0)
			return fail(failure, "fsetxattr", xattr->name);
	}
	const struct timespec times[2] = {attributes->mtime, attributes->mtime};
	return futimens(fd, times) < 0 ? fail(failure, "futimens", "") : 0;
}

/* chmod that cannot follow a symlink: before fchmodat2 existed, through a descriptor of the very inode. */
int chmod_nofollow(int parent, const char *name, mode_t mode, struct failure *failure) {
	if (kernel_fchmod_nofollow(parent, name, mode) == 0)
		return 0;
	if (errno != ENOSYS && errno != EPERM)
		return fail(failure, "fchmodat2", "");
	AUTO_CLOSE int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat stat;
	if (fd < 0 || fstat(fd, &stat) < 0)
		return fail(failure, "openat", "");
	if (S_ISLNK(stat.st_mode))
		return fail_with(failure, ELOOP, "chmod", "");
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return chmod(path, mode) < 0 ? fail(failure, "chmod", "") : 0;
}

/*
 * Symlinks and devices have no descriptor that xattrs could be set on; a path through the parent's descriptor, whose
 * last component the l-calls do not follow, names them.
 */
static int set_xattr(int parent, const char *name, const struct xattr *xattr, struct failure *failure) {
	char path[PATH_MAX + 64];
	snprintf(path, sizeof path, "/proc/self/fd/%d/%s", parent, name);
	if (lsetxattr(path, xattr->name, xattr->value, xattr->size, 0) < 0)
		return fail(failure, "lsetxattr", xattr->name);
	return 0;
}

int apply_to_name(int parent, const char *name, bool symlink, const struct attributes *attributes,
		  struct failure *failure) {
	if (!keeps_owner(attributes) &&
	    fchownat(parent, name, (uid_t)attributes->uid, (gid_t)attributes->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(failure, "fchownat", "");
	if (!symlink && chmod_nofollow(parent, name, attributes->mode, failure) < 0)
		return -1;
	for (size_t i = 0; i < attributes->xattr_count; i++)
		if (set_xattr(parent, name, &attributes->xattrs[i], failure) < 0)
			return -1;
	const struct timespec times[2] = {attributes->mtime, attributes->mtime};
	if (utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(failure, "utimensat", "");
	return 0;
}

int tree_set_attributes(struct tree *tree, const char *path, const struct attributes *attributes,
			struct failure *failure) {
	struct place place;
	struct stat stat;
	if (tree_locate(tree, path, &place, failure) < 0)
		return -1;
	if (fstatat(place.parent, place.name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(failure, "fstatat", "");
	return apply_to_name(place.parent, place.name, S_ISLNK(stat.st_mode), attributes, failure);
}

int tree_set_xattr(struct tree *tree, const char *path, const struct xattr *xattr, struct failure *failure) {
	struct place place;
	if (tree_locate(tree, path, &place, failure) < 0)
		return -1;
	return set_xattr(place.parent, place.name, xattr, failure);
}
