/* paths.c: see paths.h. */
#include "paths.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "kernel.h"

const char *path_problem(const char *path) {
	if (path[0] != '/')
		return "the path is not absolute";
	if (path[1] == '\0')
		return "the path is /";
	if (strlen(path) >= PATH_MAX)
		return "the path is longer than 4095 bytes";
	for (const char *next = path; *next;) {
		next++;
		size_t length = strcspn(next, "/");
		if (length == 0)
			return "the path has an empty component or ends with a slash";
		if (length > NAME_MAX)
			return "the path has a component longer than 255 bytes";
		if (next[0] == '.' && (length == 1 || (length == 2 && next[1] == '.')))
			return "the path has a component . or ..";
		next += length;
	}
	return NULL;
}

const char *roots_add(struct roots *roots, const char *path) {
	const char *problem = path_problem(path);
	if (problem)
		return problem;
	if (roots->count == ROOTS_LIMIT)
		return "there are more than 64 allowed roots";
	roots->item[roots->count].path = path;
	roots->item[roots->count++].fd = -1;
	return NULL;
}

int roots_open(struct roots *roots, struct fault *fault) {
	roots_close(roots);
	for (size_t i = 0; i < roots->count; i++) {
		roots->item[i].fd = open(roots->item[i].path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (roots->item[i].fd < 0)
			return fault_errno(fault, "Cannot open the allowed root %s", roots->item[i].path);
	}
	return 0;
}

void roots_close(struct roots *roots) {
	for (size_t i = 0; i < roots->count; i++) {
		if (roots->item[i].fd >= 0)
			close(roots->item[i].fd);
		roots->item[i].fd = -1;
	}
}

/* The part of `path` after the root, "." for the root itself, NULL if the path is elsewhere. */
static const char *relative_to(const char *root, const char *path) {
	size_t length = strlen(root);
	if (strncmp(root, path, length) != 0)
		return NULL;
	if (path[length] == '\0')
		return ".";
	return path[length] == '/' ? path + length + 1 : NULL;
}

bool roots_allow(const struct roots *roots, const char *path, bool itself) {
	for (size_t i = 0; i < roots->count; i++) {
		const char *relative = relative_to(roots->item[i].path, path);
		if (relative && (itself || strcmp(relative, ".") != 0))
			return true;
	}
	return false;
}

int open_beneath(const struct roots *roots, const char *path, int flags) {
	/* Roots may be nested, and one of them may show what another hides behind a symlink: any that works will do. */
	errno = EXDEV;
	for (size_t i = 0; i < roots->count; i++) {
		const char *relative = relative_to(roots->item[i].path, path);
		if (!relative)
			continue;
		int fd = kernel_openat2(roots->item[i].fd, relative, (uint64_t)(O_PATH | flags),
					RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
		if (fd >= 0 || errno != ELOOP)
			return fd;
	}
	return -1;
}

int open_parent_beneath(const struct roots *roots, const char *path, const char **name) {
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX];
	size_t length = (size_t)(slash - path);
	memcpy(parent, path, length);
	parent[length] = '\0';
	*name = slash + 1;
	return open_beneath(roots, parent, O_DIRECTORY);
}
