/*
 * tree-attributes.c: owner, mode, xattrs, times, in the only order that keeps them all.
 *
 * chown clears set-id bits and file capabilities, so it is first; writing moves the times, so they are last. What a new
 * file has already is not set again: looking costs a tenth of a change, which the file system writes to its journal.
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

static bool has_owner(const struct stat *stat, const struct attributes *attributes) {
	return (attributes->uid < 0 || (uid_t)attributes->uid == stat->st_uid) &&
	       (attributes->gid < 0 || (gid_t)attributes->gid == stat->st_gid);
}

/* `owned`: whether the owner was right without a chown, which would have cleared set-id bits. */
static bool has_mode(const struct stat *stat, bool owned, const struct attributes *attributes) {
	return (stat->st_mode & 07777) == attributes->mode && (owned || !(attributes->mode & (S_ISUID | S_ISGID)));
}

int apply_to_file(int fd, const struct attributes *attributes, struct failure *failure) {
	struct stat stat;
	if (fstat(fd, &stat) < 0)
		return fail(failure, "fstat", "");
	bool owned = has_owner(&stat, attributes);
	if (!owned && fchown(fd, (uid_t)attributes->uid, (gid_t)attributes->gid) < 0)
		return fail(failure, "fchown", "");
	if (!has_mode(&stat, owned, attributes) && fchmod(fd, attributes->mode) < 0)
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

int apply_to_name(int parent, const char *name, const struct attributes *attributes, struct failure *failure) {
	struct stat stat;
	if (fstatat(parent, name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(failure, "fstatat", "");
	/* A file that was there before may have capabilities, which only chown clears. */
	bool owned = has_owner(&stat, attributes) && !S_ISREG(stat.st_mode);
	if (!owned &&
	    fchownat(parent, name, (uid_t)attributes->uid, (gid_t)attributes->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(failure, "fchownat", "");
	if (!S_ISLNK(stat.st_mode) && !has_mode(&stat, owned, attributes) &&
	    chmod_nofollow(parent, name, attributes->mode, failure) < 0)
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
	if (tree_locate(tree, path, &place, failure) < 0)
		return -1;
	return apply_to_name(place.parent, place.name, attributes, failure);
}

int tree_set_xattr(struct tree *tree, const char *path, const struct xattr *xattr, struct failure *failure) {
	struct place place;
	if (tree_locate(tree, path, &place, failure) < 0)
		return -1;
	return set_xattr(place.parent, place.name, xattr, failure);
}

/*
 * The root loses both ACLs. A default ACL is inherited by whatever is created in a directory, so a root that got one from
 * the directory it was made in would pass it on to all that is put into it. Looking first, since removing what is not
 * there is refused by some file systems (EPERM) and is a change to others.
 */
int tree_drop_acls(struct tree *tree, struct failure *failure) {
	static const char *const names[] = {"system.posix_acl_default", "system.posix_acl_access"};
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d/.", tree->root);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		ssize_t size = lgetxattr(path, names[i], NULL, 0);
		if (size < 0 && (errno == ENODATA || errno == ENOTSUP))
			continue;
		if (size < 0)
			return fail(failure, "lgetxattr", names[i]);
		if (lremovexattr(path, names[i]) < 0 && errno != ENODATA)
			return fail(failure, "lremovexattr", names[i]);
	}
	return 0;
}
