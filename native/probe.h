/* probe.h: the verb `probe`: what works for a store in a directory, found out by trying. */
#ifndef ROOTWRIGHT_PROBE_H
#define ROOTWRIGHT_PROBE_H

#include <stdbool.h>

#include "paths.h"

/* One answer. `reason` says why not, or how. */
struct finding {
	bool ok;
	char reason[1100];
};

/* Shared with the children that try things in namespaces. */
struct findings {
	struct finding overlay, overlay_userns, bind, bind_userns, lowerdir_plus;
	struct finding d_type, reflink, mknod, trusted_xattrs, user_xattrs;
};

__attribute__((format(printf, 3, 4))) void found(struct finding *finding, bool ok, const char *format, ...);
/* ok = false, with errno after the reason. */
__attribute__((format(printf, 2, 3))) void found_errno(struct finding *finding, const char *format, ...);

/* The exit status; one JSON object on stdout. `directory` is in one of the roots or is one. */
int probe_directory(struct roots *roots, const char *directory);

/* probe-files.c: in the directory `fd`, without mounts. */
void probe_files(int fd, struct findings *findings);
/* "ext4"; NULL for a magic number that has no name here. */
const char *filesystem_name(unsigned long magic);

/* probe-mounts.c: below the path `directory`, in a namespace of the caller's that nobody else sees. */
void probe_overlay(const char *directory, bool userns, struct findings *findings);
void probe_bind(const char *directory, bool userns, struct findings *findings);

#endif
