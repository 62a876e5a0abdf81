/* run.h: the verb `run`: a whole request in, one JSON line an operation out. */
#ifndef ROOTWRIGHT_RUN_H
#define ROOTWRIGHT_RUN_H

#include "paths.h"

/* sysexits: what the program was told makes no sense. */
enum { EXIT_REFUSED = 64 };

/* The exit status: 0 all done, 1 an operation failed and what was done before is undone, 64 refused, nothing done. */
int run_request(struct roots *roots);

#endif
