/*
 * run.c: read everything, validate everything, then act; undo in reverse when something fails.
 *
 * SIGTERM, SIGINT and SIGHUP are looked at between two operations and count as a failure there, so that a caller can
 * give up without leaving half of a root filesystem mounted.
 */
#include "run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "error-name.h"
#include "json.h"
#include "ops.h"

static const int heeded[] = {SIGTERM, SIGINT, SIGHUP};

static void hold_signals(void) {
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof heeded / sizeof heeded[0]; i++)
		sigaddset(&set, heeded[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* A reader that has gone away must not stop an undo half-way. */
	signal(SIGPIPE, SIG_IGN);
}

static bool interrupted(void) {
	sigset_t pending;
	sigpending(&pending);
	for (size_t i = 0; i < sizeof heeded / sizeof heeded[0]; i++)
		if (sigismember(&pending, heeded[i]))
			return true;
	return false;
}

/* One byte more than the limit is read, so that a request that is too large is told from one that just fits. */
static ssize_t read_request(char *bytes) {
	size_t size = 0;
	while (size < WIRE_LIMIT + 1) {
		ssize_t got = read(STDIN_FILENO, bytes + size, WIRE_LIMIT + 1 - size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		size += (size_t)got;
	}
	return (ssize_t)size;
}

static int refused(const struct refusal *refusal, bool known) {
	json_begin(stdout);
	json_bool(stdout, "ok", false);
	json_bool(stdout, "refused", true);
	if (known)
		json_number(stdout, "index", refusal->index);
	if (refusal->operation[0])
		json_string(stdout, "op", refusal->operation);
	if (refusal->field[0])
		json_string(stdout, "field", refusal->field);
	json_string(stdout, "message", refusal->reason);
	json_string(stdout, "hint", "nothing was done; native/README.md tells what a request looks like");
	json_end(stdout);
	return EXIT_REFUSED;
}

static int refused_because(const char *reason) {
	struct refusal refusal = {0};
	snprintf(refusal.reason, sizeof refusal.reason, "%s", reason);
	return refused(&refusal, false);
}

static void report(size_t index, const struct operation *operation, bool undo, const char *method,
		   const struct fault *fault) {
	json_begin(stdout);
	json_number(stdout, "index", index);
	json_string(stdout, "op", operation_name(operation->kind));
	json_string(stdout, "target", operation->target);
	if (undo)
		json_bool(stdout, "undo", true);
	json_bool(stdout, "ok", !fault);
	if (method)
		json_string(stdout, "method", method);
	if (fault) {
		json_string(stdout, "errno", error_name(fault->error));
		json_string(stdout, "message", fault->message);
		if (fault->hint)
			json_string(stdout, "hint", fault->hint);
	}
	json_end(stdout);
}

static void roll_back(const struct roots *roots, struct done *done, size_t count) {
	while (count-- > 0) {
		struct fault fault;
		int result = operation_undo(roots, &done[count], &fault);
		report(count, done[count].operation, true, NULL, result < 0 ? &fault : NULL);
	}
}

static int run_all(const struct roots *roots, const struct operation *operations, size_t count) {
	AUTO_FREE struct done *done = calloc(count, sizeof *done);
	if (!done)
		return refused_because("out of memory");
	struct progress progress = {.roots = roots, .operations = operations, .count = count};
	struct fault fault;
	int result = 0;
	for (; progress.index < count; progress.index++) {
		size_t index = progress.index;
		errno = ECANCELED;
		result = interrupted() ? fault_errno(&fault, "Interrupted") : operation_run(&progress, &done[index], &fault);
		report(index, &operations[index], false, result < 0 ? NULL : done[index].method, result < 0 ? &fault : NULL);
		if (result < 0)
			break;
	}
	if (result < 0)
		roll_back(roots, done, progress.index);
	/* Closed here, not by the exit: what was unmounted is then gone before the caller knows that we are. */
	for (size_t i = 0; i < progress.index; i++)
		done_release(&done[i]);
	return result < 0 ? 1 : 0;
}

int run_request(struct roots *roots) {
	hold_signals();
	AUTO_FREE char *bytes = malloc(WIRE_LIMIT + 1);
	ssize_t size = bytes ? read_request(bytes) : -1;
	if (size < 0)
		return refused_because("the request cannot be read from fd 0");
	struct request request;
	struct refusal refusal = {0};
	struct fault fault;
	const char *problem = wire_parse(bytes, (size_t)size, &request, &refusal.index);
	if (problem) {
		snprintf(refusal.reason, sizeof refusal.reason, "%s", problem);
		return refused(&refusal, true);
	}
	struct operation *operations;
	int status;
	if (request_validate(&request, roots, &operations, &refusal) < 0) {
		status = refused(&refusal, true);
	} else {
		status = roots_open(roots, &fault) < 0 ? refused_because(fault.message)
						       : run_all(roots, operations, request.record_count);
		operations_free(operations, request.record_count);
	}
	wire_free(&request);
	roots_close(roots);
	return status;
}
