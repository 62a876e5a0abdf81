/* tree.c: opening a tree, and finding places in it. Everything that keeps paths inside the root is here. */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel.h"

int fail_with(struct failure *failure, int error, const char *call, const char *detail) {
	failure->error = error;
	failure->call = call;
	size_t length = strnlen(detail, sizeof failure->detail - 1);
	memcpy(failure->detail, detail, length);
	failure->detail[length] = '\0';
	return -1;
}

int fail(struct failure *failure, const char *call, const char *detail) {
	return fail_with(failure, errno, call, detail);
}

int tree_open(struct tree *tree, const char *host_path, struct failure *failure) {
	*tree = (struct tree){
	    .root = open(host_path, O_PATH | O_DIRECTORY | O_CLOEXEC),
	    .uid = geteuid(),
	    .gid = getegid(),
	};
	for (int i = 0; i < TREE_PARENTS; i++)
		tree->parents[i].fd = -1;
	return tree->root < 0 ? fail(failure, "open", "") : 0;
}

void tree_forget(struct tree *tree) {
	for (int i = 0; i < TREE_PARENTS; i++) {
		if (tree->parents[i].fd < 0)
			continue;
		close(tree->parents[i].fd);
		free(tree->parents[i].path);
		tree->parents[i].fd = -1;
		tree->parents[i].path = NULL;
		tree->parents[i].used = 0;
	}
}

void tree_close(struct tree *tree) {
	tree_forget(tree);
	if (tree->root >= 0)
		close(tree->root);
	tree->root = -1;
}

/* The descriptor of a directory inside the root, from the cache or the kernel. */
static int parent_of(struct tree *tree, const char *path, struct failure *failure) {
	int oldest = 0;
	for (int i = 0; i < TREE_PARENTS; i++) {
		if (tree->parents[i].fd >= 0 && strcmp(tree->parents[i].path, path) == 0) {
			tree->parents[i].used = ++tree->clock;
			return tree->parents[i].fd;
		}
		if (tree->parents[i].used < tree->parents[oldest].used)
			oldest = i;
	}
	int fd = kernel_openat2(tree->root, path, O_PATH | O_DIRECTORY, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
	if (fd < 0)
		return fail(failure, "openat2", "");
	char *copy = strdup(path);
	if (!copy) {
		close(fd);
		return fail_with(failure, ENOMEM, "strdup", "");
	}
	if (tree->parents[oldest].fd >= 0) {
		close(tree->parents[oldest].fd);
		free(tree->parents[oldest].path);
	}
	tree->parents[oldest].path = copy;
	tree->parents[oldest].fd = fd;
	tree->parents[oldest].used = ++tree->clock;
	return fd;
}

/* Drops what means nothing: leading "/" and "./", trailing "/". The root itself becomes "". */
static int trim(const char *path, char buffer[PATH_MAX], struct failure *failure) {
	for (;;) {
		if (path[0] == '/')
			path++;
		else if (path[0] == '.' && (path[1] == '/' || path[1] == '\0'))
			path++;
		else
			break;
	}
	size_t length = strlen(path);
	while (length > 0 && path[length - 1] == '/')
		length--;
	if (length >= PATH_MAX)
		return fail_with(failure, ENAMETOOLONG, "openat2", "");
	memcpy(buffer, path, length);
	buffer[length] = '\0';
	return 0;
}

/*
 * Splits a path into a directory inside the root and a name in it.
 *
 * The name never leaves the directory: it has no slash, and a last component ".." (which the *at calls would resolve
 * from the directory, out of the root if that is the root) is resolved by openat2 with the rest, leaving the name ".".
 */
int tree_locate(struct tree *tree, const char *path, struct place *place, struct failure *failure) {
	_Static_assert(sizeof place->buffer == PATH_MAX, "a place holds a path");
	if (path[0] == '\0')
		return fail_with(failure, ENOENT, "openat2", "");
	if (trim(path, place->buffer, failure) < 0)
		return -1;
	char *slash = strrchr(place->buffer, '/');
	char *last = slash ? slash + 1 : place->buffer;
	if (last[0] == '\0') {
		place->parent = tree->root;
		place->name = ".";
		return 0;
	}
	if (strcmp(last, "..") == 0) {
		place->parent = parent_of(tree, place->buffer, failure);
		place->name = ".";
		return place->parent < 0 ? -1 : 0;
	}
	place->name = last;
	if (!slash) {
		place->parent = tree->root;
		return 0;
	}
	*slash = '\0';
	place->parent = parent_of(tree, place->buffer, failure);
	return place->parent < 0 ? -1 : 0;
}
