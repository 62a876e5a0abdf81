/* mount-flags.c: see mount-flags.h. */
#include "mount-flags.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "kernel.h"

static const struct {
	unsigned attribute;
	unsigned long mount, statvfs;
} known[] = {
	{MOUNT_ATTR_RDONLY, MS_RDONLY, ST_RDONLY},
	{MOUNT_ATTR_NOSUID, MS_NOSUID, ST_NOSUID},
	{MOUNT_ATTR_NODEV, MS_NODEV, ST_NODEV},
	{MOUNT_ATTR_NOEXEC, MS_NOEXEC, ST_NOEXEC},
};

enum { KNOWN = sizeof known / sizeof known[0] };

unsigned flags_in_state(const struct mount_flags *flags, unsigned char state) {
	return (flags->readonly == state ? MOUNT_ATTR_RDONLY : 0u) | (flags->nosuid == state ? MOUNT_ATTR_NOSUID : 0u) |
	       (flags->nodev == state ? MOUNT_ATTR_NODEV : 0u) | (flags->noexec == state ? MOUNT_ATTR_NOEXEC : 0u);
}

unsigned long flags_for_mount(unsigned attributes) {
	unsigned long flags = 0;
	for (int i = 0; i < KNOWN; i++)
		if (attributes & known[i].attribute)
			flags |= known[i].mount;
	return flags;
}

int flags_of(int fd, unsigned *attributes) {
	struct statvfs now;
	if (fstatvfs(fd, &now) < 0)
		return -1;
	*attributes = 0;
	for (int i = 0; i < KNOWN; i++)
		if (now.f_flag & known[i].statvfs)
			*attributes |= known[i].attribute;
	return 0;
}

/*
 * A remount states all flags anew. In a user namespace those that came from outside are locked, the access-time mode
 * among them, and leaving one out is EPERM: so they are read first and said again.
 */
static int remount(int fd, unsigned set, unsigned clear, struct fault *fault) {
	struct statvfs now;
	unsigned attributes;
	char magic[64];
	if (fstatvfs(fd, &now) < 0 || flags_of(fd, &attributes) < 0)
		return fault_errno(fault, "Cannot read the flags of the mount");
	unsigned long flags = flags_for_mount((attributes | set) & ~clear);
	flags |= (now.f_flag & ST_NOATIME ? MS_NOATIME : 0u) | (now.f_flag & ST_NODIRATIME ? MS_NODIRATIME : 0u) |
		 (now.f_flag & ST_RELATIME ? MS_RELATIME : 0u);
	snprintf(magic, sizeof magic, "/proc/self/fd/%d", fd);
	if (mount(NULL, magic, NULL, MS_REMOUNT | MS_BIND | flags, NULL) < 0)
		return fault_errno(fault, "Cannot remount with other flags");
	return 0;
}

int flags_apply(int fd, unsigned set, unsigned clear, bool recursive, struct fault *fault) {
	if (set == 0 && clear == 0)
		return 0;
	if (kernel_mount_setattr(fd, recursive, set, clear) == 0)
		return 0;
	if (errno != ENOSYS)
		return fault_errno(fault, "Cannot set the flags of the mount");
	/* A remount reaches one mount; promising more about those below it would be a lie. */
	if (recursive)
		return fault_errno(fault, "Cannot set flags of the mounts below (mount_setattr is missing)");
	return remount(fd, set, clear, fault);
}
