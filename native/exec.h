/* exec.h: the verb `exec`: running a program inside a root filesystem. */
#ifndef ROOTWRIGHT_EXEC_H
#define ROOTWRIGHT_EXEC_H

#include <stdbool.h>
#include <stddef.h>

/* As shells and env(1) have it. */
enum { EXIT_SETUP = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

struct exec {
	const char *root;
	/* Inside the root; NULL for "/". */
	const char *cwd;
	bool userns;
	/* K=V strings; PATH is added if missing. */
	const char **env;
	size_t env_count;
	char **argv;
};

/* Becomes the program; returns only on failure, with the exit status. */
int exec_in_root(const struct exec *exec);

#endif
