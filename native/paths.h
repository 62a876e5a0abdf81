/*
 * paths.h: host paths of a request: their form, the roots that they must be beneath, and opening them.
 *
 * A path is absolute and normal: no empty, "." or ".." component, no trailing slash. It is opened from its root's
 * descriptor with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, so what the form promises is what the kernel does.
 */
#ifndef ROOTWRIGHT_PATHS_H
#define ROOTWRIGHT_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#include "fault.h"

enum { ROOTS_LIMIT = 64 };

struct roots {
	size_t count;
	struct {
		const char *path;
		int fd;
	} item[ROOTS_LIMIT];
};

/* NULL, or what is wrong with the form. */
const char *path_problem(const char *path);
/* Adds an allowed root: NULL, or why not. "/" is none: it would allow everything. */
const char *roots_add(struct roots *roots, const char *path);
/* Opens the roots (symlinks on the way to a root are its owner's business). Again after entering a namespace. */
int roots_open(struct roots *roots, struct fault *fault);
void roots_close(struct roots *roots);
/* Is the path in one of the roots, or (if `itself`) a root? */
bool roots_allow(const struct roots *roots, const char *path, bool itself);
/* An O_PATH descriptor of an allowed path; `flags` may add O_DIRECTORY. -1 with errno. */
int open_beneath(const struct roots *roots, const char *path, int flags);
/* The same for the directory of a path; `name` becomes the last component. */
int open_parent_beneath(const struct roots *roots, const char *path, const char **name);

#endif
