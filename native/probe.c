/*
 * probe.c: see probe.h.
 *
 * Everything happens in a temporary directory in the probed one. Mounts are tried in children, each in a mount
 * namespace that ends with it: nothing can be left mounted, whatever goes wrong.
 */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "error-name.h"
#include "json.h"
#include "tree.h"

void found(struct finding *finding, bool ok, const char *format, ...) {
	va_list arguments;
	finding->ok = ok;
	va_start(arguments, format);
	vsnprintf(finding->reason, sizeof finding->reason, format, arguments);
	va_end(arguments);
}

void found_errno(struct finding *finding, const char *format, ...) {
	char reason[512];
	int error = errno;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(reason, sizeof reason, format, arguments);
	va_end(arguments);
	found(finding, false, "%s: %s (%s)", reason, strerror(error), error_name(error));
}

static bool has_sys_admin(void) {
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};
	return syscall(SYS_capget, &header, data) == 0 && data[0].effective & (1u << CAP_SYS_ADMIN);
}

typedef void try_function(const char *directory, bool userns, struct findings *findings);

static void try_in_child(try_function *try, const char *directory, bool userns, struct findings *findings) {
	pid_t child = fork();
	if (child == 0) {
		try(directory, userns, findings);
		_exit(0);
	}
	while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) {
	}
}

static void try_all(const char *directory, struct findings *findings) {
	char name[] = ".rootwright-probe-XXXXXX";
	char path[PATH_MAX];
	struct tree tree;
	struct failure failure;
	if ((size_t)snprintf(path, sizeof path, "%s/%s", directory, name) >= sizeof path || !mkdtemp(path)) {
		struct finding *each = (struct finding *)findings;
		for (size_t i = 0; i < sizeof *findings / sizeof *each; i++)
			found_errno(&each[i], "Cannot create a directory in %.400s", directory);
		return;
	}
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		probe_files(fd, findings);
	try_in_child(probe_overlay, path, false, findings);
	try_in_child(probe_overlay, path, true, findings);
	try_in_child(probe_bind, path, false, findings);
	try_in_child(probe_bind, path, true, findings);
	if (tree_open(&tree, path, &failure) == 0) {
		tree_remove(&tree, ".", &failure);
		tree_close(&tree);
	}
	rmdir(path);
}

static void put(const char *key, const struct finding *finding) {
	json_open(stdout, key);
	json_bool(stdout, "ok", finding->ok);
	json_string(stdout, "reason", finding->reason);
	json_close(stdout);
}

static void put_filesystem(int fd) {
	struct statfs file_system;
	char reason[128] = "";
	bool ok = fstatfs(fd, &file_system) == 0;
	const char *name = ok ? filesystem_name((unsigned long)file_system.f_type) : NULL;
	if (!ok)
		snprintf(reason, sizeof reason, "statfs: %s", strerror(errno));
	else if (!name)
		snprintf(reason, sizeof reason, "magic number 0x%lx", (unsigned long)file_system.f_type);
	json_open(stdout, "filesystem");
	json_bool(stdout, "ok", ok);
	json_string(stdout, "type", name ? name : "unknown");
	json_string(stdout, "reason", reason);
	json_close(stdout);
}

int probe_directory(struct roots *roots, const char *directory) {
	struct fault fault;
	struct utsname kernel;
	AUTO_CLOSE int fd = roots_open(roots, &fault) < 0 ? -1 : open_beneath(roots, directory, O_DIRECTORY);
	if (fd < 0) {
		fault_errno(&fault, "Cannot open %s", directory);
		json_begin(stdout);
		json_bool(stdout, "ok", false);
		json_string(stdout, "errno", error_name(fault.error));
		json_string(stdout, "message", fault.message);
		if (fault.hint)
			json_string(stdout, "hint", fault.hint);
		json_end(stdout);
		return 1;
	}
	struct findings *findings =
		mmap(NULL, sizeof *findings, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (findings == MAP_FAILED)
		return 1;
	struct finding *each = (struct finding *)findings;
	for (size_t i = 0; i < sizeof *findings / sizeof *each; i++)
		found(&each[i], false, "the check did not finish");
	/* An interruption waits until the directory of the attempts is gone again: it takes milliseconds. */
	sigset_t interruptions, before;
	sigemptyset(&interruptions);
	sigaddset(&interruptions, SIGINT);
	sigaddset(&interruptions, SIGTERM);
	sigaddset(&interruptions, SIGHUP);
	sigprocmask(SIG_BLOCK, &interruptions, &before);
	try_all(directory, findings);
	sigprocmask(SIG_SETMASK, &before, NULL);
	uname(&kernel);
	json_begin(stdout);
	json_bool(stdout, "ok", true);
	json_string(stdout, "directory", directory);
	json_string(stdout, "kernel", kernel.release);
	json_number(stdout, "euid", geteuid());
	json_bool(stdout, "capSysAdmin", has_sys_admin());
	put_filesystem(fd);
	put("overlay", &findings->overlay);
	put("overlayUserns", &findings->overlay_userns);
	put("lowerdirPlus", &findings->lowerdir_plus);
	put("bind", &findings->bind);
	put("bindUserns", &findings->bind_userns);
	put("dType", &findings->d_type);
	put("reflink", &findings->reflink);
	put("mknod", &findings->mknod);
	put("trustedXattrs", &findings->trusted_xattrs);
	put("userXattrs", &findings->user_xattrs);
	json_end(stdout);
	munmap(findings, sizeof *findings);
	return 0;
}
