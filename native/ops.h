/* ops.h: doing one operation, and undoing one that was done. */
#ifndef ROOTWRIGHT_OPS_H
#define ROOTWRIGHT_OPS_H

#include "request.h"

/* An operation that was done, and what undoing it needs. */
struct done {
	const struct operation *operation;
	/* How it was done, where there is more than one way; else NULL. */
	const char *method;
	/* remount: the flags before. propagation: the type before, NULL if an earlier operation made the mount. */
	unsigned flags;
	const char *propagation;
	/* unmount: a detached copy of the mount, -1 if none could be made. */
	int copy;
};

struct progress {
	const struct roots *roots;
	const struct operation *operations;
	size_t index, count;
};

/* Does operations[index]. 0 and `done`, or -1 and `fault`, nothing done. */
int operation_run(const struct progress *progress, struct done *done, struct fault *fault);
int operation_undo(const struct roots *roots, struct done *done, struct fault *fault);
/* Lets go of what undoing would have needed. */
void done_release(struct done *done);

#endif
