/* mount-flags.h: per-mount flags, with the new mount API where the kernel has it and remounts elsewhere. */
#ifndef ROOTWRIGHT_MOUNT_FLAGS_H
#define ROOTWRIGHT_MOUNT_FLAGS_H

#include "request.h"

/* MOUNT_ATTR_* bits of the flags that have the state FLAG_ON or FLAG_OFF. */
unsigned flags_in_state(const struct mount_flags *flags, unsigned char state);
/* MS_* bits of a set of MOUNT_ATTR_* bits. */
unsigned long flags_for_mount(unsigned attributes);
/* The MOUNT_ATTR_* bits (of the four that we know) that the mount of `fd` has. 0 or -1 with errno. */
int flags_of(int fd, unsigned *attributes);
/* Changes the mount that `fd` is the root of; all other flags, locked ones too, stay as they are. */
int flags_apply(int fd, unsigned set, unsigned clear, bool recursive, struct fault *fault);

#endif
