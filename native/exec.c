/*
 * exec.c: see exec.h.
 *
 * No process is forked: the program takes this one's place, its exit status is ours and signals reach it. The root
 * becomes the only mount tree (pivot_root), so its paths name nothing of the host, as they could after a chroot. That
 * keeps programs apart, not intruders out: there is no pid namespace, and root keeps its capabilities, with which
 * /proc/PID/root leads anywhere. Who runs strangers' programs wants an OCI runtime.
 */
#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "cleanup.h"
#include "kernel.h"
#include "namespace.h"

static const char default_path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/*
 * A /proc of its own, where the image has the directory. In a user namespace without a pid namespace the kernel
 * refuses, and programs that need none still run: so failure is no failure. Done before the host's /proc is gone,
 * which the kernel wants to see.
 */
static void mount_proc(void) {
	char magic[64];
	AUTO_CLOSE int fd = openat(AT_FDCWD, "proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	snprintf(magic, sizeof magic, "/proc/self/fd/%d", fd);
	(void)mount("proc", magic, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

static int change_root(const char *root, struct fault *fault) {
	/* pivot_root wants a mount point: the root is bound onto itself, and entered anew to be on that mount. */
	if (chdir(root) < 0)
		return fault_errno(fault, "Cannot enter %s", root);
	if (mount(".", ".", NULL, MS_BIND | MS_REC, NULL) < 0)
		return fault_errno(fault, "Cannot bind %s", root);
	if (chdir(root) < 0)
		return fault_errno(fault, "Cannot enter %s", root);
	mount_proc();
	if (kernel_pivot_root(".", ".") == 0) {
		/* The old root is now stacked on the new one: one detach uncovers it. */
		if (umount2(".", MNT_DETACH) < 0)
			return fault_errno(fault, "Cannot leave the old root");
	} else if (errno != EINVAL || chroot(".") < 0) {
		/* EINVAL: the host's root is an initramfs, which cannot be pivoted away from. */
		return fault_errno(fault, "Cannot make %s the root", root);
	}
	return chdir("/") < 0 ? fault_errno(fault, "Cannot enter the new root") : 0;
}

static int set_environment(const struct exec *exec) {
	if (clearenv() != 0 || putenv((char *)default_path) != 0)
		return -1;
	for (size_t i = 0; i < exec->env_count; i++)
		if (putenv((char *)exec->env[i]) != 0)
			return -1;
	return 0;
}

static int set_up(const struct exec *exec, struct fault *fault) {
	if (namespace_enter(exec->userns, fault) < 0 || change_root(exec->root, fault) < 0)
		return -1;
	if (exec->cwd && chdir(exec->cwd) < 0)
		return fault_errno(fault, "Cannot change to %s inside the root filesystem", exec->cwd);
	if (set_environment(exec) < 0)
		return fault_errno(fault, "Cannot set the environment");
	return 0;
}

int exec_in_root(const struct exec *exec) {
	struct fault fault;
	if (set_up(exec, &fault) < 0) {
		bool hint = fault.hint != NULL;
		fprintf(stderr, "rootwright-helper: %s%s%s\n", fault.message, hint ? "; " : "", hint ? fault.hint : "");
		return EXIT_SETUP;
	}
	/* The program inherits the standard streams and nothing else. */
	if (kernel_cloexec_from(3) < 0) {
		fprintf(stderr, "rootwright-helper: Cannot close the inherited files: %s\n", strerror(errno));
		return EXIT_SETUP;
	}
	execvp(exec->argv[0], exec->argv);
	bool missing = errno == ENOENT || errno == ENOTDIR;
	fprintf(stderr, "rootwright-helper: Cannot run %s: %s\n", exec->argv[0], strerror(errno));
	return missing ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}
