/* kernel.c: see kernel.h. One function a system call, nothing else. */
#include "kernel.h"

#include <sys/resource.h>
#include <fcntl.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_open_tree
#define SYS_open_tree 428
#endif
#ifndef SYS_move_mount
#define SYS_move_mount 429
#endif
#ifndef SYS_fsopen
#define SYS_fsopen 430
#endif
#ifndef SYS_fsconfig
#define SYS_fsconfig 431
#endif
#ifndef SYS_fsmount
#define SYS_fsmount 432
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

enum {
	FSOPEN_CLOSE_ON_EXEC = 1,
	FSMOUNT_CLOSE_ON_EXEC = 1,
	CLONE_TREE = 1,
	MOVE_FROM_EMPTY = 0x04,
	MOVE_TO_EMPTY = 0x40,
	RANGE_CLOEXEC = 4,
	ATTEMPTS = 128,
};

struct how {
	uint64_t flags, mode, resolve;
};

struct mount_attributes {
	uint64_t set, clear, propagation, userns_fd;
};

int kernel_openat2(int dirfd, const char *path, uint64_t flags, uint64_t resolve) {
	struct how how = {.flags = flags | O_CLOEXEC, .resolve = resolve};
	for (int attempt = 0;; attempt++) {
		int fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof how);
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR) || attempt == ATTEMPTS)
			return fd;
	}
}

int kernel_fchmod_nofollow(int dirfd, const char *name, mode_t mode) {
	if (PRETEND_KERNEL < 606) {
		errno = ENOSYS;
		return -1;
	}
	return (int)syscall(SYS_fchmodat2, dirfd, name, mode, AT_SYMLINK_NOFOLLOW);
}

int kernel_fsopen(const char *type) {
	return (int)syscall(SYS_fsopen, type, FSOPEN_CLOSE_ON_EXEC);
}

int kernel_fsconfig(int fs, unsigned command, const char *key, const void *value, int aux) {
	if ((PRETEND_KERNEL < 613 && command == CONFIG_SET_FD) ||
	    (PRETEND_KERNEL < 608 && key && strcmp(key, "lowerdir+") == 0)) {
		errno = EINVAL;
		return -1;
	}
	return (int)syscall(SYS_fsconfig, fs, command, key, value, aux);
}

int kernel_fsmount(int fs, unsigned attributes) {
	return (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOSE_ON_EXEC, attributes);
}

int kernel_move_mount(int mount, int target) {
	return (int)syscall(SYS_move_mount, mount, "", target, "", MOVE_FROM_EMPTY | MOVE_TO_EMPTY);
}

int kernel_clone_mount(int dirfd, const char *name) {
	return (int)syscall(SYS_open_tree, dirfd, name, CLONE_TREE | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW | O_CLOEXEC);
}

int kernel_mount_setattr(int fd, int recursive, uint64_t set, uint64_t clear) {
	if (PRETEND_KERNEL < 512) {
		errno = ENOSYS;
		return -1;
	}
	struct mount_attributes attributes = {.set = set, .clear = clear};
	unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0u);
	return (int)syscall(SYS_mount_setattr, fd, "", flags, &attributes, sizeof attributes);
}

int kernel_pivot_root(const char *new_root, const char *put_old) {
	return (int)syscall(SYS_pivot_root, new_root, put_old);
}

int kernel_cloexec_from(unsigned first) {
	if (syscall(SYS_close_range, first, ~0u, RANGE_CLOEXEC) == 0)
		return 0;
	/* Before 5.11 one by one, up to what this process may have open. */
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -1;
	rlim_t end = limit.rlim_cur < (1u << 20) ? limit.rlim_cur : (1u << 20);
	for (rlim_t fd = first; fd < end; fd++)
		if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0 && errno != EBADF)
			return -1;
	return 0;
}
