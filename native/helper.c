/* helper.c: the command line of rootwright-helper. Each verb is a file of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "exec.h"
#include "paths.h"
#include "probe.h"
#include "run.h"

static const char usage[] =
	"usage: rootwright-helper run --allow ROOT [--allow ROOT]...     operations on fd 0, results on fd 1\n"
	"       rootwright-helper probe --allow ROOT DIR\n"
	"       rootwright-helper exec --root DIR [--userns] [--cwd DIR] [--env K=V]... -- ARGV...\n"
	"       rootwright-helper --version\n";

static int misused(const char *what, const char *why) {
	fprintf(stderr, "rootwright-helper: %s%s%s\n%s", what, why[0] ? ": " : "", why, usage);
	return EXIT_REFUSED;
}

/* Takes --allow ROOT pairs from the front; `rest` is where they end. 0, or an exit status. */
static int take_roots(int argc, char **argv, struct roots *roots, int *rest) {
	int next = 2;
	for (; next + 1 < argc && strcmp(argv[next], "--allow") == 0; next += 2) {
		const char *problem = roots_add(roots, argv[next + 1]);
		if (problem)
			return misused(argv[next + 1], problem);
	}
	*rest = next;
	return roots->count == 0 ? misused("--allow is missing", "") : 0;
}

static int verb_run(int argc, char **argv) {
	struct roots roots = {0};
	int rest, status = take_roots(argc, argv, &roots, &rest);
	if (status != 0)
		return status;
	return rest == argc ? run_request(&roots) : misused(argv[rest], "unexpected");
}

static int verb_probe(int argc, char **argv) {
	struct roots roots = {0};
	int rest, status = take_roots(argc, argv, &roots, &rest);
	if (status != 0)
		return status;
	if (rest + 1 != argc)
		return misused("probe takes one directory", "");
	const char *problem = path_problem(argv[rest]);
	if (!problem && !roots_allow(&roots, argv[rest], true))
		problem = "the directory is not in an allowed root";
	return problem ? misused(argv[rest], problem) : probe_directory(&roots, argv[rest]);
}

static int verb_exec(int argc, char **argv) {
	struct exec exec = {0};
	int next = 2;
	AUTO_FREE const char **env = calloc((size_t)argc, sizeof *env);
	if (!env)
		return EXIT_SETUP;
	exec.env = env;
	for (; next < argc && strcmp(argv[next], "--") != 0; next++) {
		const char *option = argv[next];
		if (strcmp(option, "--userns") == 0) {
			exec.userns = true;
			continue;
		}
		if (next + 1 == argc)
			return misused(option, "unknown option, or its value is missing");
		const char *value = argv[++next];
		if (strcmp(option, "--root") == 0)
			exec.root = value;
		else if (strcmp(option, "--cwd") == 0)
			exec.cwd = value;
		else if (strcmp(option, "--env") == 0 && value[0] != '=' && strchr(value, '='))
			exec.env[exec.env_count++] = value;
		else
			return misused(option, "unknown option, or a value that is not K=V");
	}
	if (next + 1 >= argc)
		return misused("exec needs -- and a program", "");
	const char *problem = exec.root ? path_problem(exec.root) : "--root is missing";
	if (problem)
		return misused(exec.root ? exec.root : "exec", problem);
	if (exec.cwd && exec.cwd[0] != '/')
		return misused(exec.cwd, "the working directory is not absolute");
	exec.argv = argv + next + 1;
	return exec_in_root(&exec);
}

int main(int argc, char **argv) {
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return printf("rootwright-helper %s\n", VERSION) < 0;
	if (argc > 1 && strcmp(argv[1], "run") == 0)
		return verb_run(argc, argv);
	if (argc > 1 && strcmp(argv[1], "probe") == 0)
		return verb_probe(argc, argv);
	if (argc > 1 && strcmp(argv[1], "exec") == 0)
		return verb_exec(argc, argv);
	return misused(argc > 1 ? argv[1] : "a verb is missing", argc > 1 ? "unknown verb" : "");
}
