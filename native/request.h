/*
 * request.h: from records to operations that are known to be well-formed and within the allowed roots.
 *
 * Everything is checked before anything is done: an operation that exists here may only fail for reasons that the
 * kernel knows.
 */
#ifndef ROOTWRIGHT_REQUEST_H
#define ROOTWRIGHT_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "paths.h"
#include "wire.h"

enum operation_kind { OVERLAY, BIND, REMOUNT, TMPFS, PROPAGATION, UNMOUNT, OPERATION_KINDS };

/* A flag that was not named keeps what is there (remount), or is off. */
enum { FLAG_UNNAMED, FLAG_OFF, FLAG_ON };

struct mount_flags {
	unsigned char readonly, nosuid, nodev, noexec;
};

/* Strings point into the request; NULL where a key was not given. */
struct operation {
	enum operation_kind kind;
	const char *target, *source;
	struct mount_flags flags;
	unsigned char recursive, detach;
	/* overlay: lowers are top first, as the kernel wants them */
	const char **lowers;
	size_t lower_count;
	const char *upper, *work;
	unsigned char userxattr, is_volatile;
	const char *xino, *metacopy, *redirect_dir, *index, *nfs_export;
	/* tmpfs: bytes, octal */
	const char *size, *mode;
	/* propagation: private, slave, shared, unbindable, slave+shared */
	const char *propagation;
};

/* Why a request is refused: the operation's index, and the field, as far as they are known. */
struct refusal {
	size_t index;
	char operation[64];
	char field[64];
	char reason[1024];
};

const char *operation_name(enum operation_kind kind);
/* 0 with `operations` to be freed by operations_free, or -1 with `refusal`. */
int request_validate(const struct request *request, const struct roots *roots, struct operation **operations,
		     struct refusal *refusal);
void operations_free(struct operation *operations, size_t count);

#endif
