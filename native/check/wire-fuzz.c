/*
 * wire-fuzz.c: the parser and the validation under mutated requests, with a fixed seed and a fixed number of rounds.
 *
 * Run under AddressSanitizer. Each request is a block of exactly its size, so that reading past it is seen. What
 * passes validation must keep what operations rely on: normal paths, beneath the root.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "request.h"

enum { ROUNDS = 60000, ROOM = 4096 };

#define SEED(text) {text, sizeof text}

static const struct {
	const char *bytes;
	size_t size;
} seeds[] = {
	SEED("overlay\0target=/r/t\0lower=/r/b\0lower=/r/a\0upper=/r/u\0work=/r/w\0xino=off\0volatile=true\0"),
	SEED("bind\0source=/r/s\0target=/r/t\0readonly=true\0recursive=false\0"),
	SEED("tmpfs\0target=/r/t\0size=1048576\0mode=1777\0\0propagation\0target=/r/t\0mode=slave+shared\0"),
	SEED("unmount\0target=/r/a/b/c\0detach=true\0\0remount\0target=/r/x\0noexec=false\0"),
};

/* Pieces that are more likely than random bytes to reach new code. */
static const char *const tokens[] = {"target=", "lower=/r/", "mode=", "=", "/", "/../",
				     "/./",	"//",	      "true",  "on|off", "7"};

static uint64_t state = 0x9e3779b97f4a7c15u;

static uint64_t next_random(uint64_t below) {
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

static size_t mutate(char *bytes, size_t size) {
	for (uint64_t changes = 1 + next_random(4); changes > 0; changes--) {
		size_t at = next_random(size + 1);
		switch (next_random(5)) {
		case 0:
			if (at < size)
				bytes[at] = (char)next_random(256);
			break;
		case 1:
			if (at < size)
				bytes[at] = '\0';
			break;
		case 2: {
			size_t cut = next_random(size - at + 1);
			memmove(bytes + at, bytes + at + cut, size - at - cut);
			size -= cut;
			break;
		}
		case 3: {
			const char *token = tokens[next_random(sizeof tokens / sizeof tokens[0])];
			size_t length = strlen(token);
			if (size + length > ROOM)
				break;
			memmove(bytes + at + length, bytes + at, size - at);
			memcpy(bytes + at, token, length);
			size += length;
			break;
		}
		default: {
			size_t length = next_random(size - at + 1);
			if (size + length > ROOM)
				break;
			memmove(bytes + at + length, bytes + at, size - at);
			size += length;
		}
		}
	}
	return size;
}

static void require_allowed(const char *path) {
	if (path && (strncmp(path, "/r", 2) != 0 || strstr(path, "//") || strstr(path, "/../") || strstr(path, "/./"))) {
		fprintf(stderr, "wire-fuzz: accepted the path %s\n", path);
		abort();
	}
}

/* Whether the request was accepted. */
static int try_request(const char *bytes, size_t size) {
	struct roots roots = {0};
	struct request request;
	struct refusal refusal = {0};
	struct operation *operations;
	roots_add(&roots, "/r");
	if (wire_parse(bytes, size, &request, &refusal.index))
		return 0;
	int accepted = request_validate(&request, &roots, &operations, &refusal) == 0;
	for (size_t i = 0; accepted && i < request.record_count; i++) {
		const struct operation *operation = &operations[i];
		require_allowed(operation->target);
		require_allowed(operation->source);
		require_allowed(operation->upper);
		require_allowed(operation->work);
		for (size_t l = 0; l < operation->lower_count; l++)
			require_allowed(operation->lowers[l]);
	}
	if (accepted)
		operations_free(operations, request.record_count);
	wire_free(&request);
	return accepted;
}

int main(void) {
	unsigned accepted = 0;
	for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++)
		if (!try_request(seeds[i].bytes, seeds[i].size)) {
			fprintf(stderr, "wire-fuzz: seed %zu is refused\n", i);
			return 1;
		}
	for (int round = 0; round < ROUNDS; round++) {
		char bytes[ROOM];
		size_t seed = next_random(sizeof seeds / sizeof seeds[0]);
		memcpy(bytes, seeds[seed].bytes, seeds[seed].size);
		size_t size = mutate(bytes, seeds[seed].size);
		char *exact = malloc(size + (size == 0));
		memcpy(exact, bytes, size);
		accepted += (unsigned)try_request(exact, size);
		free(exact);
	}
	printf("wire-fuzz: %d requests, %u accepted\n", ROUNDS, accepted);
	/* A fuzzer that never gets past the parser, or always does, tests nothing. */
	return accepted > ROUNDS / 100 && accepted < ROUNDS ? 0 : 1;
}
