/*
 * ops.c: see ops.h.
 *
 * Targets are descriptors, opened beneath their allowed root without following a symlink; a mount goes where the
 * descriptor points, whatever the path has become since.
 */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "cleanup.h"
#include "kernel.h"
#include "mount-flags.h"
#include "mount-state.h"
#include "overlay.h"

static int open_target(const struct roots *roots, const struct operation *operation, struct fault *fault) {
	int fd = open_beneath(roots, operation->target, 0);
	return fd < 0 ? fault_errno(fault, "Cannot open %s", operation->target) : fd;
}

/* umount2 must not hold what it unmounts: it gets the name from the parent's descriptor, and does not follow it. */
static int unmount(const struct roots *roots, const char *target, int flags, int *copy, struct fault *fault) {
	const char *name;
	char magic[512];
	AUTO_CLOSE int parent = open_parent_beneath(roots, target, &name);
	if (parent < 0)
		return fault_errno(fault, "Cannot open the directory of %s", target);
	snprintf(magic, sizeof magic, "/proc/self/fd/%d/%s", parent, name);
	if (copy)
		*copy = kernel_clone_mount(parent, name);
	if (umount2(magic, flags | UMOUNT_NOFOLLOW) == 0)
		return 0;
	fault_errno(fault, "Cannot unmount %s", target);
	if (fault->error == EINVAL)
		fault->hint = "nothing is mounted there, or the mount came from another namespace";
	if (fault->error == EBUSY)
		fault->hint = "a process is inside; detach=true unmounts now and frees it when the process leaves";
	return -1;
}

static int run_overlay(const struct progress *progress, const struct operation *operation, struct done *done,
		       struct fault *fault) {
	AUTO_CLOSE int target = open_target(progress->roots, operation, fault);
	return target < 0 ? -1 : overlay_mount(operation, progress->roots, target, &done->method, fault);
}

static int run_bind(const struct progress *progress, const struct operation *operation, struct fault *fault) {
	const struct roots *roots = progress->roots;
	char from[64], to[64];
	AUTO_CLOSE int source = open_beneath(roots, operation->source, 0);
	if (source < 0)
		return fault_errno(fault, "Cannot open %s", operation->source);
	AUTO_CLOSE int target = open_target(roots, operation, fault);
	if (target < 0)
		return -1;
	bool recursive = operation->recursive == FLAG_ON;
	snprintf(from, sizeof from, "/proc/self/fd/%d", source);
	snprintf(to, sizeof to, "/proc/self/fd/%d", target);
	if (mount(from, to, NULL, MS_BIND | (recursive ? MS_REC : 0), NULL) < 0)
		return fault_errno(fault, "Cannot bind %s", operation->source);
	/* MS_BIND ignores all other flags: they are set in a second step, on the mount that is now there. */
	AUTO_CLOSE int mounted = open_target(roots, operation, fault);
	unsigned set = flags_in_state(&operation->flags, FLAG_ON), clear = flags_in_state(&operation->flags, FLAG_OFF);
	if (mounted >= 0 && flags_apply(mounted, set, clear, recursive, fault) == 0)
		return 0;
	struct fault ignored;
	unmount(roots, operation->target, MNT_DETACH, NULL, &ignored);
	return -1;
}

static int run_tmpfs(const struct progress *progress, const struct operation *operation, struct fault *fault) {
	char to[64], options[64];
	AUTO_CLOSE int target = open_target(progress->roots, operation, fault);
	if (target < 0)
		return -1;
	snprintf(to, sizeof to, "/proc/self/fd/%d", target);
	/* Without a size the kernel's default holds: half of the memory. */
	snprintf(options, sizeof options, "mode=%s%s%s", operation->mode ? operation->mode : "755",
		 operation->size ? ",size=" : "", operation->size ? operation->size : "");
	unsigned long flags = flags_for_mount(flags_in_state(&operation->flags, FLAG_ON));
	return mount("tmpfs", to, "tmpfs", flags, options) < 0 ? fault_errno(fault, "Cannot mount a tmpfs") : 0;
}

static int run_remount(const struct progress *progress, const struct operation *operation, struct done *done,
		       struct fault *fault) {
	AUTO_CLOSE int target = open_target(progress->roots, operation, fault);
	if (target < 0)
		return -1;
	if (flags_of(target, &done->flags) < 0)
		return fault_errno(fault, "Cannot read the flags of %s", operation->target);
	return flags_apply(target, flags_in_state(&operation->flags, FLAG_ON),
			   flags_in_state(&operation->flags, FLAG_OFF), false, fault);
}

/* Undoing the mount undoes its propagation; mountinfo, which is long where there are many mounts, is not read then. */
static bool mounted_earlier(const struct progress *progress, const char *target) {
	for (size_t i = 0; i < progress->index; i++) {
		const struct operation *earlier = &progress->operations[i];
		bool mounts = earlier->kind == OVERLAY || earlier->kind == BIND || earlier->kind == TMPFS;
		if (mounts && strcmp(earlier->target, target) == 0)
			return true;
	}
	return false;
}

static int run_propagation(const struct progress *progress, const struct operation *operation, struct done *done,
			   struct fault *fault) {
	AUTO_CLOSE int target = open_target(progress->roots, operation, fault);
	if (target < 0)
		return -1;
	done->propagation = mounted_earlier(progress, operation->target) ? NULL : propagation_of(target);
	if (propagation_set(target, operation->propagation, fault) == 0)
		return 0;
	/* slave+shared is two steps; the first may have been taken. */
	struct fault ignored;
	if (done->propagation)
		propagation_set(target, done->propagation, &ignored);
	return -1;
}

int operation_run(const struct progress *progress, struct done *done, struct fault *fault) {
	const struct operation *operation = &progress->operations[progress->index];
	*done = (struct done){.operation = operation, .copy = -1};
	switch (operation->kind) {
	case OVERLAY:
		return run_overlay(progress, operation, done, fault);
	case BIND:
		return run_bind(progress, operation, fault);
	case REMOUNT:
		return run_remount(progress, operation, done, fault);
	case TMPFS:
		return run_tmpfs(progress, operation, fault);
	case PROPAGATION:
		return run_propagation(progress, operation, done, fault);
	default: {
		/* Nothing can fail after the last operation, so it is never undone. */
		int flags = operation->detach == FLAG_ON ? MNT_DETACH : 0;
		int *copy = progress->index + 1 < progress->count ? &done->copy : NULL;
		return unmount(progress->roots, operation->target, flags, copy, fault);
	}
	}
}

int operation_undo(const struct roots *roots, struct done *done, struct fault *fault) {
	const struct operation *operation = done->operation;
	unsigned set = flags_in_state(&operation->flags, FLAG_ON), clear = flags_in_state(&operation->flags, FLAG_OFF);
	if (operation->kind == OVERLAY || operation->kind == BIND || operation->kind == TMPFS)
		return unmount(roots, operation->target, MNT_DETACH, NULL, fault);
	AUTO_CLOSE int target = open_target(roots, operation, fault);
	if (target < 0)
		return -1;
	switch (operation->kind) {
	case REMOUNT:
		return flags_apply(target, clear & done->flags, set & ~done->flags, false, fault);
	case PROPAGATION:
		return done->propagation ? propagation_set(target, done->propagation, fault) : 0;
	default:
		if (done->copy >= 0 && kernel_move_mount(done->copy, target) == 0)
			return 0;
		errno = done->copy < 0 ? ENOSYS : errno;
		return fault_errno(fault, "Cannot mount %s again", operation->target);
	}
}

void done_release(struct done *done) {
	if (done->copy >= 0)
		close(done->copy);
	done->copy = -1;
}
