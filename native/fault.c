/* fault.c: see fault.h. mount(2) has few errnos for many reasons; the hints say which is likely. */
#include "fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "error-name.h"

static const char *usual_hint(int error) {
	switch (error) {
	case EPERM:
		return "mounting needs root (CAP_SYS_ADMIN), or a user and mount namespace of one's own";
	case EACCES:
		return "a directory on the way cannot be searched or written by this user";
	case ENOSPC:
		return "for a mount this is the limit of mounts in a namespace (/proc/sys/fs/mount-max), not the disk";
	case ENODEV:
		return "the kernel does not have this file system: try `modprobe overlay`";
	case ELOOP:
		return "a component is a symlink; paths must be real, as realpath prints them";
	case EXDEV:
		return "the path leads out of its allowed root";
	case EBUSY:
		return "it is in use: another overlay has this upper or work directory, or a process is inside the mount";
	case ESTALE:
		return "the upper directory belongs to an overlay with other lower directories; start with an empty one";
	case E2BIG:
		return "too many or too long lower directories for this kernel: shorten their paths, or use Linux 6.8";
	case EROFS:
		return "the file system is mounted read-only";
	case EMFILE:
	case ENFILE:
		return "raise the limit of open files (ulimit -n): every lower directory needs a descriptor";
	case ENOSYS:
		return "a newer kernel is needed";
	case EINVAL:
		return "the kernel log (dmesg) may say more; upper and work must be on one writable file system";
	default:
		return NULL;
	}
}

__attribute__((format(printf, 2, 0))) static void append(struct fault *fault, const char *format, va_list arguments) {
	size_t used = strlen(fault->message);
	vsnprintf(fault->message + used, sizeof fault->message - used, format, arguments);
}

int fault_errno(struct fault *fault, const char *format, ...) {
	fault->error = errno;
	fault->hint = usual_hint(errno);
	fault->message[0] = '\0';
	va_list arguments;
	va_start(arguments, format);
	append(fault, format, arguments);
	va_end(arguments);
	fault_add(fault, ": %s (%s)", strerror(fault->error), error_name(fault->error));
	errno = fault->error;
	return -1;
}

void fault_add(struct fault *fault, const char *format, ...) {
	va_list arguments;
	va_start(arguments, format);
	append(fault, format, arguments);
	va_end(arguments);
}
