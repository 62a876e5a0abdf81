/*
 * kernel.h: system calls and constants that may be younger than the headers we are built with.
 *
 * Everything has a name of its own, so that a libc that learns one of them later does not clash. The numbers are the
 * same on every architecture that Linux got since 2019 (alpha, which adds 110, is not supported).
 *
 * PRETEND_KERNEL (for tests only) makes a build behave as on an older kernel: 612 has no layers by descriptor,
 * 506 has neither `lowerdir+`, mount_setattr nor fchmodat2.
 */
#ifndef ROOTWRIGHT_KERNEL_H
#define ROOTWRIGHT_KERNEL_H

#include <fcntl.h>
#include <stdint.h>
#include <sys/types.h>

#ifndef PRETEND_KERNEL
#define PRETEND_KERNEL 9999
#endif

#ifndef RESOLVE_NO_XDEV
#define RESOLVE_NO_XDEV 0x01
#define RESOLVE_NO_MAGICLINKS 0x02
#define RESOLVE_NO_SYMLINKS 0x04
#define RESOLVE_BENEATH 0x08
#define RESOLVE_IN_ROOT 0x10
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY 0x01
#define MOUNT_ATTR_NOSUID 0x02
#define MOUNT_ATTR_NODEV 0x04
#define MOUNT_ATTR_NOEXEC 0x08
#endif

enum { CONFIG_SET_FLAG = 0, CONFIG_SET_STRING = 1, CONFIG_SET_FD = 5, CONFIG_CMD_CREATE = 6 };

/* openat2(2). Resolves again when the kernel says EAGAIN (a rename elsewhere raced with a "..") or EINTR. */
int kernel_openat2(int dirfd, const char *path, uint64_t flags, uint64_t resolve);

/* fchmodat2(2) with AT_SYMLINK_NOFOLLOW; ENOSYS before Linux 6.6. */
int kernel_fchmod_nofollow(int dirfd, const char *name, mode_t mode);

int kernel_fsopen(const char *type);
int kernel_fsconfig(int fs, unsigned command, const char *key, const void *value, int aux);
int kernel_fsmount(int fs, unsigned attributes);
/* Attaches the detached mount `mount` where `target` points. */
int kernel_move_mount(int mount, int target);
/* A detached copy of the mount at dirfd/name, with everything mounted in it. */
int kernel_clone_mount(int dirfd, const char *name);
/* Sets and clears MOUNT_ATTR_* bits of the mount that `fd` is in; others, locked ones too, stay. */
int kernel_mount_setattr(int fd, int recursive, uint64_t set, uint64_t clear);
int kernel_pivot_root(const char *new_root, const char *put_old);
/* Marks every descriptor from `first` on close-on-exec. */
int kernel_cloexec_from(unsigned first);

#endif
