/* tree-write.c: making things in a tree. O_EXCL everywhere: what exists is never written through. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cleanup.h"
#include "tree.h"

/* Takes back what could not be completed; the first failure is the one that is reported. */
static int discard(const struct place *place, int flags) {
	int error = errno;
	unlinkat(place->parent, place->name, flags);
	errno = error;
	return -1;
}

/* What the file shall have in the end, where nobody could use it before it has its owner. */
mode_t creation_mode(const struct tree *tree, const struct attributes *attributes) {
	bool own = (attributes->uid < 0 || (uid_t)attributes->uid == tree->uid) &&
		   (attributes->gid < 0 || (gid_t)attributes->gid == tree->gid);
	return own ? attributes->mode & 0777 : 0600;
}

int tree_create_file(struct tree *tree, const char *path, const void *data, size_t size,
		     const struct attributes *attributes, struct failure *failure) {
	struct place place;
	if (tree_locate(tree, path, &place, failure) < 0)
		return -1;
	int fd = openat(place.parent, place.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			creation_mode(tree, attributes));
	if (fd < 0)
		return fail(failure, "openat", "");
	if (write_all(fd, data, size, failure) < 0 || apply_to_file(fd, attributes, failure) < 0) {
		close(fd);
		return discard(&place, 0);
	}
	if (close(fd) < 0 && errno != EINTR) {
		fail(failure, "close", "");
		return discard(&place, 0);
	}
	return 0;
}

int tree_mkdir(struct tree *tree, const char *path, const struct attributes *attributes, struct failure *failure) {
	struct place place;
	if (tree_locate(tree, path, &place, failure) < 0)
		return -1;
	if (mkdirat(place.parent, place.name, 0700) < 0)
		return fail(failure, "mkdirat", "");
	if (attributes && apply_to_name(place.parent, place.name, attributes, failure) < 0)
		return discard(&place, AT_REMOVEDIR);
	return 0;
}

int tree_symlink(struct tree *tree, const char *path, const char *target, const struct attributes *attributes,
		 struct failure *failure) {
	struct place place;
	if (tree_locate(tree, path, &place, failure) < 0)
		return -1;
	if (symlinkat(target, place.parent, place.name) < 0)
		return fail(failure, "symlinkat", "");
	int result = apply_to_name(place.parent, place.name, attributes, failure);
	if (result < 0)
		discard(&place, 0);
	tree_forget(tree);
	return result;
}

int tree_link(struct tree *tree, const char *path, const char *existing, struct failure *failure) {
	struct place to, from;
	if (tree_locate(tree, existing, &from, failure) < 0 || tree_locate(tree, path, &to, failure) < 0)
		return -1;
	/* Flags 0: a symlink is linked itself, not what it points at. */
	if (linkat(from.parent, from.name, to.parent, to.name, 0) < 0)
		return fail(failure, "linkat", existing);
	return 0;
}

int tree_mknod(struct tree *tree, const char *path, mode_t type, unsigned major, unsigned minor,
	       const struct attributes *attributes, struct failure *failure) {
	struct place place;
	if (tree_locate(tree, path, &place, failure) < 0)
		return -1;
	if (mknodat(place.parent, place.name, type | 0600, makedev(major, minor)) < 0)
		return fail(failure, "mknodat", "");
	if (apply_to_name(place.parent, place.name, attributes, failure) < 0)
		return discard(&place, 0);
	return 0;
}

int tree_sync(struct tree *tree, struct failure *failure) {
	/* syncfs wants a real descriptor; the root's is O_PATH. */
	AUTO_CLOSE int fd = openat(tree->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail(failure, "openat", "");
	return syncfs(fd) < 0 ? fail(failure, "syncfs", "") : 0;
}
