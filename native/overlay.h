/* overlay.h: mounting an overlay of any number of lower directories. */
#ifndef ROOTWRIGHT_OVERLAY_H
#define ROOTWRIGHT_OVERLAY_H

#include "request.h"

/*
 * Mounts at `target` (a descriptor). `method` becomes how: "layers by descriptor" (Linux 6.13), "layers by name"
 * (lowerdir+, 6.8), "mount(2)" or "mount(2) with names relative to DIR" before. 0 or -1 with `fault`.
 */
int overlay_mount(const struct operation *operation, const struct roots *roots, int target, const char **method,
		  struct fault *fault);

/* overlay-legacy.c: one option string of at most a page; E2BIG if even short names do not fit. Changes directory. */
int overlay_mount_legacy(const struct operation *operation, int target, const char **method, struct fault *fault);
/* Puts a backslash before each backslash, colon and comma. `escaped` has room for twice the name and a NUL. */
void overlay_escape(const char *name, char *escaped);

#endif
