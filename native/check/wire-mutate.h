/* wire-mutate.h: changes to requests, most of which know what a request is made of. */
#ifndef ROOTWRIGHT_CHECK_WIRE_MUTATE_H
#define ROOTWRIGHT_CHECK_WIRE_MUTATE_H

#include <stddef.h>

#include "random.h"

/* More than a request may have, so that too much can be tried. */
enum { REQUEST_ROOM = 1024 * 1024 + 16 * 1024 };

struct input {
	size_t size;
	char bytes[REQUEST_ROOM];
};

/* One change. `other` is another seed, for pieces of it. */
void mutate(struct input *input, const char *other, size_t other_size, struct random *random);
/* Fills it up to the limit of a request, one byte less, or one more. */
void fill_up(struct input *input, struct random *random);

#endif
