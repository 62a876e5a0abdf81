/* namespace.c: see namespace.h. */
#include "namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "cleanup.h"

static int write_file(const char *path, const char *text) {
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

/* Without privilege one's own id is all that may be mapped, and only after giving up setgroups. */
static int map_caller_to_root(uid_t uid, gid_t gid) {
	char uid_map[64], gid_map[64];
	snprintf(uid_map, sizeof uid_map, "0 %u 1\n", (unsigned)uid);
	snprintf(gid_map, sizeof gid_map, "0 %u 1\n", (unsigned)gid);
	if (write_file("/proc/self/setgroups", "deny") < 0 && errno != ENOENT)
		return -1;
	return write_file("/proc/self/uid_map", uid_map) < 0 || write_file("/proc/self/gid_map", gid_map) < 0 ? -1 : 0;
}

int namespace_enter(bool userns, struct fault *fault) {
	uid_t uid = geteuid();
	gid_t gid = getegid();
	if (unshare(CLONE_NEWNS | (userns ? CLONE_NEWUSER : 0)) < 0) {
		fault_errno(fault, "Cannot enter a new %s namespace", userns ? "user" : "mount");
		if (userns)
			fault->hint = "user namespaces may be switched off: see the sysctls user.max_user_namespaces and "
				      "kernel.unprivileged_userns_clone, and AppArmor";
		return -1;
	}
	if (userns && map_caller_to_root(uid, gid) < 0)
		return fault_errno(fault, "Cannot map uid %u to root", (unsigned)uid);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return fault_errno(fault, "Cannot make the mounts of the namespace private");
	return 0;
}
