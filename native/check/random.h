/* random.h: chance that can be had again, and the bounds of a run; for the fuzzers. */
#ifndef ROOTWRIGHT_CHECK_RANDOM_H
#define ROOTWRIGHT_CHECK_RANDOM_H

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

struct random {
	uint64_t state;
};

/* From 0 to `below` - 1 (xorshift64). */
static inline size_t next_random(struct random *random, size_t below) {
	random->state ^= random->state << 13;
	random->state ^= random->state >> 7;
	random->state ^= random->state << 17;
	return below == 0 ? 0 : (size_t)(random->state % below);
}

#define PICK(random, list) ((list)[next_random(random, sizeof(list) / sizeof(list)[0])])

/*
 * A run ends after so many rounds or so many seconds, whichever is first. ROOTWRIGHT_FUZZ_SECONDS lets it go on for that
 * long, from a place that depends on the clock; ROOTWRIGHT_FUZZ_SEED says which one, to see a failure again.
 */
struct bounds {
	uint64_t seed;
	unsigned long rounds;
	time_t end;
};

static inline struct bounds bounds_of(unsigned long rounds, long seconds) {
	struct bounds bounds = {.seed = 0x9e3779b97f4a7c15u, .rounds = rounds};
	const char *longer = getenv("ROOTWRIGHT_FUZZ_SECONDS"), *seed = getenv("ROOTWRIGHT_FUZZ_SEED");
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (longer && atol(longer) > 0) {
		seconds = atol(longer);
		bounds.rounds = -1ul;
		bounds.seed ^= (uint64_t)now.tv_nsec + ((uint64_t)now.tv_sec << 30);
	}
	if (seed && strtoull(seed, NULL, 10) > 0)
		bounds.seed = strtoull(seed, NULL, 10);
	bounds.end = now.tv_sec + seconds;
	return bounds;
}

/* Asked before each round; the clock is looked at now and then. */
static inline int goes_on(const struct bounds *bounds, unsigned long round) {
	struct timespec now;
	if (round >= bounds->rounds)
		return 0;
	if (round % 64 != 0)
		return 1;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec < bounds->end;
}

#endif
