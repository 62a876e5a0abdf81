/* cleanup.h: resources that end with their scope, so that no early return can forget one. */
#ifndef ROOTWRIGHT_CLEANUP_H
#define ROOTWRIGHT_CLEANUP_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* errno survives: the caller is usually about to report it. */
static inline void close_at_end(int *fd) {
	if (*fd < 0)
		return;
	int error = errno;
	close(*fd);
	errno = error;
}

static inline void free_at_end(void *pointer) {
	free(*(void **)pointer);
}

#define AUTO_CLOSE __attribute__((cleanup(close_at_end)))
#define AUTO_FREE __attribute__((cleanup(free_at_end)))

#endif
