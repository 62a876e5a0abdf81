/* wire-mutate.c: see wire-mutate.h. A field is the bytes before a NUL; an empty one ends a record. */
#include "wire-mutate.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "wire.h"

static const char *const operations[] = {"overlay",	"bind",	   "remount", "tmpfs", "propagation",
					 "unmount",	"mount",   "OVERLAY", "bin",   "binds"};
static const char *const keys[] = {"target",   "source",       "lower",	  "upper",	"work",	  "userxattr", "volatile",
				   "xino",     "metacopy",     "index",	  "nfs_export", "size",	  "mode",      "readonly",
				   "nosuid",   "redirect_dir", "nodev",	  "noexec",	"detach", "recursive", "targe",
				   "targets",  "noatime",      ""};
static const char *const values[] = {"true", "false",  "on",	   "off",   "auto",   "follow",		    "nofollow", "on|off",
				     "|on|", "shared", "private", "slave", "shared", "slave+shared|private", "unbindable",
				     "0",    "7",      "1777",	  "8",	   "17777",  "-1",		    "0x10",	"",
				     "slave+shared", "999999999999999999", "1000000000000000000"};
static const char *const paths[] = {"/r/a", "/r/b",  "/r/a/b/c", "/r",	     "/rx",	     "/q:,\\/a", "/q:,\\", "/",	   "r/a",
				    "",	    "/r/..", "/r/./a",	 "/r//a",    "/r/a/",	     "/r/a/..",	 "/r/...", "/r/.a", "/r/a/../../q",
				    "/q",   "//r/a", "/r/..a",	 "/r/a=b=c", "/r/\xff\n\t\"", "/R/a"};

/* Replaces `removed` bytes at `at`. Does nothing when the result would not fit. */
static void splice(struct input *input, size_t at, size_t removed, const char *bytes, size_t size) {
	if (input->size - removed + size > REQUEST_ROOM)
		return;
	memmove(input->bytes + at + size, input->bytes + at + removed, input->size - at - removed);
	if (size > 0)
		memcpy(input->bytes + at, bytes, size);
	input->size += size - removed;
}

/* Where some field begins, and its length without the NUL. The last one may have none. */
static size_t some_field(const struct input *input, size_t *length, struct random *random) {
	size_t at = next_random(random, input->size);
	while (at > 0 && input->bytes[at - 1] != '\0')
		at--;
	const char *end = at < input->size ? memchr(input->bytes + at, '\0', input->size - at) : NULL;
	*length = end ? (size_t)(end - input->bytes) - at : input->size - at;
	return at;
}

/* A path of exactly `length` bytes. */
static void long_path(char *path, size_t length, size_t component) {
	memcpy(path, "/r/", 3);
	for (size_t i = 3; i < length; i++)
		path[i] = (i - 2) % (component + 1) == 0 ? '/' : 'p';
	if (path[length - 1] == '/')
		path[length - 1] = 'p';
	path[length] = '\0';
}

static size_t make_field(char field[PATH_MAX + 64], struct random *random) {
	static const size_t lengths[] = {PATH_MAX - 2, PATH_MAX - 1, PATH_MAX, 300};
	static const size_t components[] = {1, 200, NAME_MAX, NAME_MAX + 1};
	char path[PATH_MAX + 1];
	const char *key = PICK(random, keys), *value = PICK(random, values);
	if (next_random(random, 3) > 0) {
		key = keys[next_random(random, 5)];
		value = PICK(random, paths);
	}
	if (next_random(random, 12) == 0) {
		long_path(path, PICK(random, lengths), PICK(random, components));
		value = path;
	}
	return (size_t)snprintf(field, PATH_MAX + 64, "%s=%s", key, value);
}

/* Bytes that know nothing. */
static void change_bytes(struct input *input, const char *other, size_t other_size, struct random *random) {
	size_t at = next_random(random, input->size + 1), rest = input->size - at;
	char byte = (char)next_random(random, 256);
	switch (next_random(random, 5)) {
	case 0:
		splice(input, at, rest > 0, &byte, 1);
		break;
	case 1:
		splice(input, at, 0, "", 1);
		break;
	case 2:
		splice(input, at, next_random(random, rest + 1), NULL, 0);
		break;
	case 3:
		if (rest > 0)
			input->bytes[at] ^= (char)(1 << next_random(random, 8));
		break;
	default: {
		size_t from = next_random(random, other_size);
		splice(input, at, rest, other + from, other_size - from);
	}
	}
}

static void change_field(struct input *input, struct random *random) {
	char field[PATH_MAX + 64];
	size_t length, at = some_field(input, &length, random);
	size_t made = make_field(field, random);
	const char *equals = memchr(input->bytes + at, '=', length);
	switch (next_random(random, 6)) {
	case 0: /* one more */
		splice(input, at, 0, field, made + 1);
		break;
	case 1: /* one less */
		splice(input, at, length < input->size - at ? length + 1 : length, NULL, 0);
		break;
	case 2: /* twice */
		if (length < sizeof field) {
			memcpy(field, input->bytes + at, length);
			field[length] = '\0';
			splice(input, at, 0, field, length + 1);
		}
		break;
	case 3: { /* another value */
		if (!equals)
			break;
		const char *value = next_random(random, 2) ? PICK(random, values) : PICK(random, paths);
		size_t from = (size_t)(equals + 1 - input->bytes);
		splice(input, from, at + length - from, value, strlen(value));
		break;
	}
	case 4: /* another operation or key */
		if (equals) {
			const char *key = PICK(random, keys);
			splice(input, at, (size_t)(equals - input->bytes) - at, key, strlen(key));
		} else {
			const char *name = PICK(random, operations);
			splice(input, at, length, name, strlen(name));
		}
		break;
	default: /* a longer path */
		if (equals && length + 1 < sizeof field && equals[1] == '/') {
			const char *more = PICK(random, paths);
			splice(input, at + length, 0, more, strlen(more));
		}
	}
}

void mutate(struct input *input, const char *other, size_t other_size, struct random *random) {
	char record[512];
	if (next_random(random, 3) == 0) {
		change_bytes(input, other, other_size, random);
		return;
	}
	if (next_random(random, 8) > 0) {
		change_field(input, random);
		return;
	}
	/* a whole operation more */
	size_t end = input->size;
	int length = snprintf(record, sizeof record, "%s%ctarget=%s%cmode=%s%c", PICK(random, operations), 0,
			      PICK(random, paths), 0, PICK(random, values), 0);
	splice(input, end, 0, record, (size_t)length + 1);
}

void fill_up(struct input *input, struct random *random) {
	size_t wanted = WIRE_LIMIT - 1 + next_random(random, 3), piece = input->size;
	if (piece == 0 || piece > wanted)
		return;
	switch (next_random(random, 3)) {
	case 0: /* as many of these operations as fit */
		while (input->size + piece <= wanted)
			splice(input, input->size, 0, input->bytes, piece);
		break;
	case 1: { /* one operation with as many layers as fit */
		static const char layer[] = "lower=/r/a";
		size_t name = strnlen(input->bytes, input->size);
		if (name == input->size)
			return;
		size_t fitting = (wanted - input->size) / sizeof layer, at = name + 1, added = fitting * sizeof layer;
		memmove(input->bytes + at + added, input->bytes + at, input->size - at);
		for (size_t i = 0; i < fitting; i++)
			memcpy(input->bytes + at + i * sizeof layer, layer, sizeof layer);
		input->size += added;
		break;
	}
	default: /* a value that is as long as the request */
		break;
	}
	/* what is left over goes into the last field that there is */
	size_t at = input->size;
	while (at > 0 && input->bytes[at - 1] == '\0')
		at--;
	size_t missing = wanted - input->size;
	memmove(input->bytes + at + missing, input->bytes + at, input->size - at);
	memset(input->bytes + at, 'p', missing);
	input->size = wanted;
}
