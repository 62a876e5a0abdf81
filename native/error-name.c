/* error-name.c: a table, because strerrorname_np is in glibc alone. Of two names for one number, Node's is used. */
#include "error-name.h"

#include <errno.h>
#include <stddef.h>

#define NAMED(name) {name, #name}

static const struct {
	int number;
	const char *name;
} names[] = {
	NAMED(EPERM), NAMED(ENOENT), NAMED(EINTR), NAMED(EIO), NAMED(ENXIO), NAMED(E2BIG), NAMED(ENOEXEC), NAMED(EBADF),
	NAMED(ECHILD), NAMED(EAGAIN), NAMED(ENOMEM), NAMED(EACCES), NAMED(EFAULT), NAMED(ENOTBLK), NAMED(EBUSY),
	NAMED(EEXIST), NAMED(EXDEV), NAMED(ENODEV), NAMED(ENOTDIR), NAMED(EISDIR), NAMED(EINVAL), NAMED(ENFILE),
	NAMED(EMFILE), NAMED(ENOTTY), NAMED(ETXTBSY), NAMED(EFBIG), NAMED(ENOSPC), NAMED(ESPIPE), NAMED(EROFS),
	NAMED(EMLINK), NAMED(EPIPE), NAMED(EDOM), NAMED(ERANGE), NAMED(EDEADLK), NAMED(ENAMETOOLONG), NAMED(ENOLCK),
	NAMED(ENOSYS), NAMED(ENOTEMPTY), NAMED(ELOOP), NAMED(ENODATA), NAMED(ETIME), NAMED(EREMOTE), NAMED(EPROTO),
	NAMED(EBADMSG), NAMED(EOVERFLOW), NAMED(EUSERS), NAMED(ENOTSUP), NAMED(ETIMEDOUT), NAMED(EALREADY),
	NAMED(EINPROGRESS), NAMED(ESTALE), NAMED(EUCLEAN), NAMED(EREMOTEIO), NAMED(EDQUOT), NAMED(ENOMEDIUM),
	NAMED(ECANCELED), NAMED(ENOKEY), NAMED(EKEYREJECTED),
};

const char *error_name(int number) {
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (names[i].number == number)
			return names[i].name;
	return "EUNKNOWN";
}
