/* mount-state.h: what a mount was before an operation changed it, so that it can be undone. */
#ifndef ROOTWRIGHT_MOUNT_STATE_H
#define ROOTWRIGHT_MOUNT_STATE_H

#include "fault.h"

/* private, slave, shared, slave+shared or unbindable, from mountinfo; NULL if that cannot be told. */
const char *propagation_of(int fd);
int propagation_set(int fd, const char *propagation, struct fault *fault);

#endif
