/*
 * probe-mounts.c: overlays and binds, tried for real.
 *
 * An overlay works when it mounts and behaves: writing, a whiteout for what is removed, an opaque directory that hides
 * what is below. Some file systems (overlay itself, NFS, old ZFS) mount and then fail at one of these.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cleanup.h"
#include "kernel.h"
#include "mount-flags.h"
#include "namespace.h"
#include "overlay.h"
#include "probe.h"

/* A place below the probed directory; the paths fit, or the directory could not have been made. */
struct paths {
	char base[PATH_MAX], lower[PATH_MAX + 32], upper[PATH_MAX + 32], work[PATH_MAX + 32], merged[PATH_MAX + 32];
};

static int make_file(int at, const char *name) {
	AUTO_CLOSE int fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	return fd < 0 ? -1 : 0;
}

static int make_layers(struct paths *paths, const char *opaque, struct finding *finding) {
	AUTO_CLOSE int base = mkdir(paths->base, 0755) < 0 ? -1 : open(paths->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *const directories[] = {"lower", "lower/opaque", "upper", "upper/opaque", "work", "merged"};
	for (size_t i = 0; base >= 0 && i < sizeof directories / sizeof directories[0]; i++)
		if (mkdirat(base, directories[i], 0755) < 0) {
			found_errno(finding, "Cannot create directories");
			return -1;
		}
	if (base < 0 || make_file(base, "lower/removed") < 0 || make_file(base, "lower/opaque/hidden") < 0) {
		found_errno(finding, "Cannot create files");
		return -1;
	}
	AUTO_CLOSE int marked = openat(base, "upper/opaque", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (marked < 0 || fsetxattr(marked, opaque, "y", 1, 0) < 0) {
		found_errno(finding, "Cannot set %s", opaque);
		return -1;
	}
	return 0;
}

static void behave(const struct paths *paths, struct finding *finding, const char *method) {
	struct stat stat;
	AUTO_CLOSE int merged = open(paths->merged, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int upper = open(paths->upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (merged < 0 || upper < 0 || make_file(merged, "new") < 0 || fstatat(upper, "new", &stat, 0) < 0)
		found_errno(finding, "Cannot write to the overlay");
	else if (unlinkat(merged, "removed", 0) < 0)
		found_errno(finding, "Cannot remove a file of a lower layer");
	else if (fstatat(upper, "removed", &stat, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISCHR(stat.st_mode) || stat.st_rdev != 0)
		found(finding, false, "removing a file of a lower layer left no whiteout");
	else if (fstatat(merged, "opaque/hidden", &stat, 0) == 0)
		found(finding, false, "an opaque directory does not hide what is below it");
	else
		found(finding, true, "mounted with %s", method);
}

void probe_overlay(const char *directory, bool userns, struct findings *findings) {
	struct finding *finding = userns ? &findings->overlay_userns : &findings->overlay;
	struct paths paths;
	struct fault fault;
	struct roots roots = {0};
	const char *method = "";
	snprintf(paths.base, sizeof paths.base, "%s/%s", directory, userns ? "userns" : "overlay");
	snprintf(paths.lower, sizeof paths.lower, "%s/lower", paths.base);
	snprintf(paths.upper, sizeof paths.upper, "%s/upper", paths.base);
	snprintf(paths.work, sizeof paths.work, "%s/work", paths.base);
	snprintf(paths.merged, sizeof paths.merged, "%s/merged", paths.base);
	const char *lowers[] = {paths.lower};
	const struct operation overlay = {.kind = OVERLAY,
					  .target = paths.merged,
					  .lowers = lowers,
					  .lower_count = 1,
					  .upper = paths.upper,
					  .work = paths.work,
					  .userxattr = userns ? FLAG_ON : FLAG_UNNAMED};
	struct operation volatile_overlay = overlay;
	volatile_overlay.is_volatile = FLAG_ON;
	if (namespace_enter(userns, &fault) < 0) {
		found(finding, false, "%s", fault.message);
		return;
	}
	if (make_layers(&paths, userns ? "user.overlay.opaque" : "trusted.overlay.opaque", finding) < 0)
		return;
	roots_add(&roots, directory);
	AUTO_CLOSE int target = open(paths.merged, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (roots_open(&roots, &fault) < 0) {
		found(finding, false, "%s", fault.message);
		return;
	}
	/*
	 * Unmounting an overlay writes out all of the file system that its upper directory is on, which may be seconds' worth of
	 * an image that was just unpacked; a volatile one is spared that. Kernels before 5.10 do not know the option.
	 */
	if (overlay_mount(&volatile_overlay, &roots, target, &method, &fault) < 0 &&
	    overlay_mount(&overlay, &roots, target, &method, &fault) < 0) {
		found(finding, false, "%s", fault.message);
		return;
	}
	behave(&paths, finding, method);
	bool plus = strncmp(method, "layers", 6) == 0;
	found(&findings->lowerdir_plus, plus, "%s", plus ? method : "the kernel is older than 6.8");
}

void probe_bind(const char *directory, bool userns, struct findings *findings) {
	struct finding *finding = userns ? &findings->bind_userns : &findings->bind;
	struct fault fault;
	char target[PATH_MAX + 32];
	snprintf(target, sizeof target, "%s/%s", directory, userns ? "bind-userns" : "bind");
	if (namespace_enter(userns, &fault) < 0) {
		found(finding, false, "%s", fault.message);
		return;
	}
	if (mkdir(target, 0755) < 0 || mount(target, target, NULL, MS_BIND, NULL) < 0) {
		found_errno(finding, "Cannot bind a directory");
		return;
	}
	AUTO_CLOSE int fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flags_apply(fd, MOUNT_ATTR_RDONLY, 0, false, &fault) < 0)
		found(finding, false, "Cannot make a bind read-only");
	else if (make_file(fd, "written") == 0)
		found(finding, false, "a read-only bind can be written to");
	else
		found(finding, true, "%s", "");
}
