/*
 * wire-fuzz.c: the parser and the validation of requests, under kept seeds and what becomes of them when they are changed.
 *
 *     wire-fuzz SEEDS-DIRECTORY
 *
 * Run under AddressSanitizer; each request is a block of exactly its size, so that reading past it is seen. A seed's name
 * says whether it is taken: ok-… or refused-…. What is taken must keep what operations rely on, which is said here in
 * other words than the program's; each kind of operation has to be met often enough for that to mean something.
 */
#include <dirent.h>
#include <limits.h>
#include <sanitizer/common_interface_defs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "json.h"
#include "request.h"
#include "wire-mutate.h"

enum { ROUNDS = 150000, SECONDS = 6, SEEDS = 256, SEED_ROOM = 8192, MET_OFTEN = 200 };

/* A change to a request of the largest size takes a thousand times as long as one to a seed. */
enum { LARGE_EVERY = 400 };

static struct seed {
	char name[NAME_MAX + 1];
	char bytes[SEED_ROOM];
	size_t size;
} seeds[SEEDS];
static size_t seed_count;

static struct {
	unsigned long round;
	uint64_t seed;
	const char *bytes;
	size_t size;
} now;

static unsigned long taken[OPERATION_KINDS], taken_requests, large_taken;

/* What was running, for whoever finds this in a log. */
static void tell_input(void) {
	fprintf(stderr, "wire-fuzz: round %lu of ROOTWRIGHT_FUZZ_SEED=%llu, %zu bytes: ", now.round,
		(unsigned long long)now.seed, now.size);
	for (size_t i = 0; i < now.size && i < 4096; i++)
		fprintf(stderr, now.bytes[i] > ' ' && now.bytes[i] < 0x7f && now.bytes[i] != '\\' ? "%c" : "\\%03o",
			(unsigned char)now.bytes[i]);
	fprintf(stderr, "\n");
}

#define REQUIRE(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "wire-fuzz: broken: %s\n", #condition); \
			tell_input(); \
			_Exit(1); \
		} \
	} while (0)

/* Absolute, normal, of a length that the kernel takes, and in /r or the other root. */
static int is_fit_path(const char *path, int may_be_root) {
	char copy[PATH_MAX], *rest = copy, *name;
	if (path[0] != '/' || strlen(path) >= PATH_MAX)
		return 0;
	strcpy(copy, path + 1);
	unsigned depth = 0;
	while ((name = strsep(&rest, "/"))) {
		if (!name[0] || !strcmp(name, ".") || !strcmp(name, "..") || strlen(name) > NAME_MAX)
			return 0;
		if (depth++ == 0 && strcmp(name, "r") && strcmp(name, "q:,\\"))
			return 0;
	}
	return depth > 1 || may_be_root;
}

static int is_one_of(const char *value, const char *const *choices) {
	for (; value && *choices; choices++)
		if (!strcmp(value, *choices))
			return 1;
	return !value;
}

/* Every string is one of the request's own, so that it lives as long. */
static int lies_in(const char *value, const char *bytes, size_t size) {
	return !value || (value > bytes && value < bytes + size);
}

static void check_overlay(const struct operation *o) {
	static const char *const on_off[] = {"on", "off", NULL}, *const xino[] = {"on", "off", "auto", NULL};
	static const char *const redirect[] = {"on", "off", "follow", "nofollow", NULL};
	REQUIRE(o->lower_count >= (o->upper ? 1 : 2));
	for (size_t i = 0; i < o->lower_count; i++)
		REQUIRE(is_fit_path(o->lowers[i], 1) && lies_in(o->lowers[i], now.bytes, now.size));
	REQUIRE(!o->upper == !o->work);
	REQUIRE(!o->upper || (is_fit_path(o->upper, 0) && is_fit_path(o->work, 0)));
	REQUIRE(is_one_of(o->xino, xino) && is_one_of(o->metacopy, on_off) && is_one_of(o->redirect_dir, redirect));
	REQUIRE(is_one_of(o->index, on_off) && is_one_of(o->nfs_export, on_off));
	REQUIRE(o->upper || o->is_volatile != FLAG_ON);
}

static void check_operation(const struct operation *o) {
	static const char *const modes[] = {"private", "slave", "shared", "unbindable", "slave+shared", NULL};
	const unsigned char switches[] = {o->flags.readonly, o->flags.nosuid, o->flags.nodev, o->flags.noexec,
					  o->recursive,	     o->detach,	      o->userxattr,   o->is_volatile};
	for (size_t i = 0; i < sizeof switches; i++)
		REQUIRE(switches[i] <= FLAG_ON);
	REQUIRE(is_fit_path(o->target, 0) && lies_in(o->target, now.bytes, now.size));
	REQUIRE((o->kind == BIND) == (o->source != NULL) && (!o->source || is_fit_path(o->source, 1)));
	REQUIRE((o->kind == OVERLAY) == (o->lower_count > 0));
	REQUIRE((o->kind == PROPAGATION) == (o->propagation != NULL) && is_one_of(o->propagation, modes));
	REQUIRE(o->kind == TMPFS || (!o->size && !o->mode));
	REQUIRE(!o->size || (strlen(o->size) <= 18 && strspn(o->size, "0123456789") == strlen(o->size) && o->size[0]));
	REQUIRE(!o->mode || (strlen(o->mode) <= 4 && strspn(o->mode, "01234567") == strlen(o->mode) && o->mode[0]));
	REQUIRE(o->kind == OVERLAY || (!o->upper && !o->work && !o->xino && !o->metacopy && !o->redirect_dir));
	REQUIRE(o->kind == UNMOUNT || !o->detach);
	REQUIRE(o->kind == BIND || !o->recursive);
	if (o->kind == OVERLAY)
		check_overlay(o);
}

/* What would be printed of it is one line, whatever was in the request. */
static void check_refusal(const struct refusal *refusal, size_t records) {
	char *line;
	size_t length;
	REQUIRE(refusal->index < records);
	REQUIRE(memchr(refusal->reason, '\0', sizeof refusal->reason) && refusal->reason[0]);
	FILE *out = open_memstream(&line, &length);
	json_begin(out);
	json_string(out, "op", refusal->operation);
	json_string(out, "field", refusal->field);
	json_string(out, "message", refusal->reason);
	json_end(out);
	fclose(out);
	REQUIRE(length > 2 && line[0] == '{' && line[length - 2] == '}' && strchr(line, '\n') == line + length - 1);
	free(line);
}

/* Whether the request was taken. */
static int try_request(const char *bytes, size_t size) {
	struct roots roots = {0};
	struct request request;
	struct refusal refusal = {0};
	struct operation *operations;
	char *exact = malloc(size + (size == 0));
	memcpy(exact, bytes, size);
	now.bytes = exact;
	now.size = size;
	roots_add(&roots, "/r");
	roots_add(&roots, "/q:,\\");
	int accepted = 0;
	const char *problem = wire_parse(exact, size, &request, &refusal.index);
	if (!problem) {
		REQUIRE(size <= WIRE_LIMIT && size > 2 && !exact[size - 1] && !exact[size - 2]);
		REQUIRE(request.record_count > 0);
		accepted = request_validate(&request, &roots, &operations, &refusal) == 0;
		if (!accepted)
			check_refusal(&refusal, request.record_count);
		for (size_t i = 0; accepted && i < request.record_count; i++) {
			check_operation(&operations[i]);
			taken[operations[i].kind]++;
		}
		if (accepted)
			operations_free(operations, request.record_count);
		wire_free(&request);
	}
	free(exact);
	now.size = 0;
	return accepted;
}

static int load_seeds(const char *directory) {
	struct dirent **list;
	int count = scandir(directory, &list, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		char path[PATH_MAX];
		struct seed *seed = &seeds[seed_count];
		snprintf(path, sizeof path, "%s/%s", directory, list[i]->d_name);
		snprintf(seed->name, sizeof seed->name, "%s", list[i]->d_name);
		free(list[i]);
		FILE *file = seed->name[0] == '.' || seed_count == SEEDS ? NULL : fopen(path, "r");
		if (!file)
			continue;
		seed->size = fread(seed->bytes, 1, SEED_ROOM, file);
		fclose(file);
		seed_count++;
	}
	if (count >= 0)
		free(list);
	return seed_count > 0 ? 0 : -1;
}

static int check_seeds(void) {
	for (size_t i = 0; i < seed_count; i++) {
		int expected = strncmp(seeds[i].name, "ok-", 3) == 0;
		if (try_request(seeds[i].bytes, seeds[i].size) == expected)
			continue;
		fprintf(stderr, "wire-fuzz: the seed %s is %s\n", seeds[i].name, expected ? "refused" : "taken");
		return -1;
	}
	return 0;
}

int main(int argc, char **argv) {
	static struct input input;
	struct bounds bounds = bounds_of(ROUNDS, SECONDS);
	struct random random = {bounds.seed};
	__sanitizer_set_death_callback(tell_input);
	now.seed = bounds.seed;
	if (argc != 2 || load_seeds(argv[1]) < 0 || check_seeds() < 0)
		return 1;
	for (; goes_on(&bounds, now.round); now.round++) {
		const struct seed *seed = &seeds[next_random(&random, seed_count)];
		input.size = seed->size;
		memcpy(input.bytes, seed->bytes, seed->size);
		int large = next_random(&random, LARGE_EVERY) == 0;
		/* few of the large ones would be taken after changes */
		size_t changes = large && next_random(&random, 2) ? 0 : next_random(&random, 4);
		for (; changes > 0; changes--) {
			const struct seed *other = &seeds[next_random(&random, seed_count)];
			mutate(&input, other->bytes, other->size, &random);
		}
		if (large)
			fill_up(&input, &random);
		int accepted = try_request(input.bytes, input.size);
		taken_requests += (unsigned)accepted;
		large_taken += (unsigned)(accepted && large);
	}
	printf("wire-fuzz: %zu seeds, %lu requests, %lu taken (%lu of them large):", seed_count, now.round, taken_requests,
	       large_taken);
	int enough = large_taken > 0;
	for (int kind = 0; kind < OPERATION_KINDS; kind++) {
		printf(" %s %lu", operation_name((enum operation_kind)kind), taken[kind]);
		enough = enough && taken[kind] > MET_OFTEN;
	}
	printf("\n");
	/* A fuzzer that never gets past the parser, or always does, tests nothing. */
	return enough && taken_requests < now.round ? 0 : 1;
}
