/*
 * overlay.c: overlays through fsopen/fsconfig, where each layer is a call of its own and there is no page to fill.
 *
 * Three generations of kernels: layers as descriptors; `lowerdir+` with names, which may not exceed 255 bytes; and
 * one option string for mount(2). The first that the kernel takes is used.
 */
#include "overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cleanup.h"
#include "kernel.h"
#include "mount-flags.h"

enum { STRING_LIMIT = 255 };

struct layers {
	int fs;
	bool by_name;
	const struct roots *roots;
	struct fault *fault;
};

/* The kernel's own words about the last failure, if it left any: "e overlay: <words>". */
static int failed(struct layers *layers, const char *what, const char *path) {
	char words[512];
	fault_errno(layers->fault, "Cannot use %s%s%s", what, path ? " " : "", path ? path : "");
	ssize_t length = read(layers->fs, words, sizeof words - 1);
	if (length > 0) {
		words[length] = '\0';
		words[strcspn(words, "\n")] = '\0';
		fault_add(layers->fault, ": %s", words[1] == ' ' ? words + 2 : words);
	}
	errno = layers->fault->error;
	return -1;
}

/* A name that is short enough: the path (escaped where the kernel unescapes it), or its descriptor's in /proc. */
static void name_of(const char *key, const char *path, int fd, char name[STRING_LIMIT + 1]) {
	char escaped[2 * PATH_MAX];
	const char *full = path;
	if (strcmp(key, "lowerdir+") != 0) {
		overlay_escape(path, escaped);
		full = escaped;
	}
	if (strlen(full) <= STRING_LIMIT)
		strcpy(name, full);
	else
		snprintf(name, STRING_LIMIT + 1, "/proc/self/fd/%d", fd);
}

static int add_layer(struct layers *layers, const char *key, const char *path, int *kept) {
	int fd = open_beneath(layers->roots, path, O_DIRECTORY);
	*kept = fd;
	if (fd < 0)
		return failed(layers, key, path);
	if (!layers->by_name) {
		if (kernel_fsconfig(layers->fs, CONFIG_SET_FD, key, NULL, fd) == 0)
			return 0;
		/* Old kernels know descriptors here for no key at all: the first layer tells. */
		if (errno != EINVAL && errno != EBADF)
			return failed(layers, key, path);
		layers->by_name = true;
	}
	char name[STRING_LIMIT + 1];
	name_of(key, path, fd, name);
	if (kernel_fsconfig(layers->fs, CONFIG_SET_STRING, key, name, 0) < 0)
		return failed(layers, key, path);
	return 0;
}

static int add_options(struct layers *layers, const struct operation *operation) {
	const struct {
		const char *key, *value;
	} choices[] = {{"xino", operation->xino},
		       {"metacopy", operation->metacopy},
		       {"redirect_dir", operation->redirect_dir},
		       {"index", operation->index},
		       {"nfs_export", operation->nfs_export}};
	const struct {
		const char *key;
		unsigned char state;
	} switches[] = {{"ro", operation->flags.readonly},
			{"userxattr", operation->userxattr},
			{"volatile", operation->is_volatile}};
	for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++)
		if (choices[i].value &&
		    kernel_fsconfig(layers->fs, CONFIG_SET_STRING, choices[i].key, choices[i].value, 0) < 0)
			return failed(layers, choices[i].key, choices[i].value);
	for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++)
		if (switches[i].state == FLAG_ON &&
		    kernel_fsconfig(layers->fs, CONFIG_SET_FLAG, switches[i].key, NULL, 0) < 0)
			return failed(layers, switches[i].key, NULL);
	return 0;
}

static int attach(struct layers *layers, const struct operation *operation, int target) {
	if (kernel_fsconfig(layers->fs, CONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return failed(layers, "these directories as an overlay", NULL);
	AUTO_CLOSE int mount = kernel_fsmount(layers->fs, flags_in_state(&operation->flags, FLAG_ON));
	if (mount < 0)
		return failed(layers, "fsmount", NULL);
	if (kernel_move_mount(mount, target) < 0)
		return fault_errno(layers->fault, "Cannot mount at the target");
	return 0;
}

/* Descriptors must stay open while names in /proc may refer to them. */
static void close_all(int *descriptors, size_t count) {
	int error = errno;
	for (size_t i = 0; i < count; i++)
		if (descriptors[i] >= 0)
			close(descriptors[i]);
	free(descriptors);
	errno = error;
}

/* 0 done, -1 failed, 1 the kernel has no lowerdir+. */
static int mount_by_layers(struct layers *layers, const struct operation *operation, int target, int *kept) {
	for (size_t i = 0; i < operation->lower_count; i++)
		if (add_layer(layers, "lowerdir+", operation->lowers[i], &kept[i]) < 0)
			return i == 0 && layers->by_name && errno == EINVAL ? 1 : -1;
	size_t next = operation->lower_count;
	if (operation->upper && (add_layer(layers, "upperdir", operation->upper, &kept[next]) < 0 ||
				 add_layer(layers, "workdir", operation->work, &kept[next + 1]) < 0))
		return -1;
	if (add_options(layers, operation) < 0)
		return -1;
	/* Without a source, mountinfo would say "none". */
	kernel_fsconfig(layers->fs, CONFIG_SET_STRING, "source", "overlay", 0);
	return attach(layers, operation, target);
}

/* mount(2) resolves names by itself; that they are real and allowed is seen here. */
static int check_layers(const struct operation *operation, const struct roots *roots, struct fault *fault) {
	for (size_t i = 0; i < operation->lower_count + 2; i++) {
		const char *rest[] = {operation->upper, operation->work};
		const char *path = i < operation->lower_count ? operation->lowers[i] : rest[i - operation->lower_count];
		AUTO_CLOSE int fd = path ? open_beneath(roots, path, O_DIRECTORY) : -1;
		if (path && fd < 0)
			return fault_errno(fault, "Cannot use %s", path);
	}
	return 0;
}

static void raise_descriptor_limit(void) {
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int overlay_mount(const struct operation *operation, const struct roots *roots, int target, const char **method,
		  struct fault *fault) {
	raise_descriptor_limit();
	size_t count = operation->lower_count + 2;
	int *kept = malloc(count * sizeof *kept);
	if (!kept) {
		errno = ENOMEM;
		return fault_errno(fault, "Cannot list the layers");
	}
	for (size_t i = 0; i < count; i++)
		kept[i] = -1;
	AUTO_CLOSE int fs = kernel_fsopen("overlay");
	struct layers layers = {.fs = fs, .roots = roots, .fault = fault};
	int result = 1;
	if (fs >= 0)
		result = mount_by_layers(&layers, operation, target, kept);
	else if (errno != ENOSYS)
		result = fault_errno(fault, "Cannot open the file system overlay");
	close_all(kept, count);
	if (result == 1 && check_layers(operation, roots, fault) < 0)
		return -1;
	if (result == 1)
		return overlay_mount_legacy(operation, target, method, fault);
	*method = layers.by_name ? "layers by name" : "layers by descriptor";
	return result;
}
