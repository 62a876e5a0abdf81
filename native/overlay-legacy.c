/*
 * overlay-legacy.c: overlays through mount(2), for kernels before 6.8.
 *
 * All options are one string of at most a page. When full paths do not fit, the process changes to the directory that
 * all lower ones are in, and names them from there: with short ids that is room for some hundred.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "cleanup.h"
#include "mount-flags.h"
#include "overlay.h"

void overlay_escape(const char *name, char *escaped) {
	for (; *name; name++) {
		if (strchr("\\:,", *name))
			*escaped++ = '\\';
		*escaped++ = *name;
	}
	*escaped = '\0';
}

static void put(FILE *options, const char *key, const char *value) {
	fprintf(options, "%s%s%s%s", ftell(options) > 0 ? "," : "", key, value ? "=" : "", value ? value : "");
}

static void put_path(FILE *options, const char *key, const char *path) {
	char escaped[2 * PATH_MAX];
	overlay_escape(path, escaped);
	put(options, key, escaped);
}

/* `skip`: how much of each lower path the current directory stands for. The caller frees the string. */
static char *format_options(const struct operation *operation, size_t skip) {
	char *text = NULL, escaped[2 * PATH_MAX];
	size_t size;
	FILE *options = open_memstream(&text, &size);
	if (!options)
		return NULL;
	for (size_t i = 0; i < operation->lower_count; i++) {
		const char *name = operation->lowers[i];
		name = strlen(name) < skip ? "." : name + skip;
		overlay_escape(name, escaped);
		fprintf(options, "%s%s", i == 0 ? "lowerdir=" : ":", escaped);
	}
	if (operation->upper) {
		put_path(options, "upperdir", operation->upper);
		put_path(options, "workdir", operation->work);
	}
	if (operation->xino)
		put(options, "xino", operation->xino);
	if (operation->metacopy)
		put(options, "metacopy", operation->metacopy);
	if (operation->redirect_dir)
		put(options, "redirect_dir", operation->redirect_dir);
	if (operation->index)
		put(options, "index", operation->index);
	if (operation->nfs_export)
		put(options, "nfs_export", operation->nfs_export);
	if (operation->userxattr == FLAG_ON)
		put(options, "userxattr", NULL);
	if (operation->is_volatile == FLAG_ON)
		put(options, "volatile", NULL);
	return fclose(options) == 0 ? text : NULL;
}

/* Length of the directory that all lower directories are in, its slash included. */
static size_t common_directory(const struct operation *operation) {
	const char *first = operation->lowers[0];
	size_t length = (size_t)(strrchr(first, '/') - first) + 1;
	for (size_t i = 1; i < operation->lower_count; i++) {
		const char *path = operation->lowers[i];
		size_t same = 0;
		while (same < length && path[same] == first[same])
			same++;
		/* A path that ends where the directory's slash would be is that directory itself. */
		if (same == length - 1 && path[same] == '\0')
			same = length;
		length = same;
		while (length > 0 && first[length - 1] != '/')
			length--;
	}
	return length;
}

int overlay_mount_legacy(const struct operation *operation, int target, const char **method, struct fault *fault) {
	static char relative[PATH_MAX + 64];
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char magic[64], directory[PATH_MAX];
	*method = "mount(2)";
	AUTO_FREE char *options = format_options(operation, 0);
	if (options && strlen(options) >= page) {
		size_t length = common_directory(operation);
		memcpy(directory, operation->lowers[0], length);
		directory[length] = '\0';
		free(options);
		options = format_options(operation, length);
		if (chdir(directory) < 0)
			return fault_errno(fault, "Cannot change to %s", directory);
		snprintf(relative, sizeof relative, "mount(2) with names relative to %s", directory);
		*method = relative;
	}
	errno = !options ? ENOMEM : strlen(options) >= page ? E2BIG : 0;
	if (errno != 0)
		return fault_errno(fault, "Cannot name %zu lower directories in one page", operation->lower_count);
	snprintf(magic, sizeof magic, "/proc/self/fd/%d", target);
	unsigned long flags = flags_for_mount(flags_in_state(&operation->flags, FLAG_ON));
	int result = mount("overlay", magic, "overlay", flags, options);
	if (result < 0)
		fault_errno(fault, "Cannot mount the overlay");
	/* Nobody's mount stays busy because of us. */
	return chdir("/") < 0 && result == 0 ? fault_errno(fault, "Cannot change to /") : result;
}
