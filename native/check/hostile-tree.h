/*
 * hostile-tree.h: a directory that is a tree's root, full of links that lead out of it, beside a place that nobody may
 * reach. All of it lies in a new directory under /tmp.
 *
 *     BASE/outside/secret      "untouched"
 *     BASE/outside/only-here/
 *     BASE/root/               directories, files, and symlinks to all of the above, to /, to /proc, to each other
 */
#ifndef ROOTWRIGHT_CHECK_HOSTILE_TREE_H
#define ROOTWRIGHT_CHECK_HOSTILE_TREE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

enum { GUARDED = 4 };

struct hostile {
	char base[64], root[128];
	/* BASE, outside, secret, only-here: where they are, and how they were. */
	int fds[GUARDED];
	struct stat stats[GUARDED];
};

/* Makes everything but what is in the root. As root, becomes nobody first: what escapes must not do harm. */
int hostile_open(struct hostile *hostile);
/* Fills the empty root. */
int hostile_fill(const struct hostile *hostile);
/* Whether nothing outside the root was changed in any way: not a byte, a name, a mode or a time. */
bool hostile_untouched(const struct hostile *hostile);
/* Whether this is one of the directories and files outside, or of the machine's. */
bool hostile_is_outside(const struct hostile *hostile, const struct stat *stat);
/* Whether a descriptor's directory is the root or below it, as the kernel's own ".." says. */
bool hostile_is_inside(const struct hostile *hostile, int directory);
/* Takes all of it away; the root must be empty. */
int hostile_close(struct hostile *hostile);

#endif
