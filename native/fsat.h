/*
 * fsat.h: what the two halves of the addon share: one call from JavaScript, its arguments, its handles.
 *
 * Trees and writers are known to JavaScript as numbers. A forged, stale or closed one is an error, never a bad
 * pointer, and when an environment (a worker thread) ends, everything that it had open is closed.
 */
#ifndef ROOTWRIGHT_FSAT_H
#define ROOTWRIGHT_FSAT_H

#include "napi.h"
#include "tree.h"

/* MOST_XATTRS: Linux lists at most 64 KiB of names of one file, and a program that sets as many is not known. */
enum { ARGUMENTS = 12, PATH_ROOM = 4097, MOST_XATTRS = 1000 };
enum slot_kind { SLOT_FREE, SLOT_TREE, SLOT_WRITER };

struct slot {
	enum slot_kind kind;
	unsigned generation;
	union {
		struct tree tree;
		struct writer writer;
	};
};

/* One for each environment. Slots are allocated one by one: their addresses outlive a growth of the table. */
struct state {
	napi_ref make_error;
	struct slot **slots;
	size_t slot_count;
};

/* One call: what it is about, its arguments, and whether an exception has been thrown. */
struct call {
	napi_env env;
	struct state *state;
	const char *what;
	size_t argc;
	napi_value argv[ARGUMENTS];
	bool thrown;
};

/* A string of bytes; `length` counts them. NUL-terminated, without a NUL inside. */
struct bytes {
	char data[PATH_ROOM];
	size_t length;
};

/* The attributes of a call, and the xattrs that they point to; the names are one block, NUL after each. */
struct attribute_arguments {
	struct attributes attributes;
	struct xattr *xattrs;
	char *names;
};

/* fsat-call.c. Each reader returns whether the call may go on; after false, an exception is pending. */
bool call_begin(struct call *call, napi_env env, napi_callback_info info, const char *what);
bool call_refuse(struct call *call, int error, const char *argument, const char *why);
napi_value call_fail(struct call *call, const struct failure *failure, const char *path);
napi_value call_undefined(struct call *call);
bool read_bytes(struct call *call, size_t index, const char *name, struct bytes *bytes);
bool read_data(struct call *call, napi_value value, const char *name, const void **data, size_t *size);
bool read_integer(struct call *call, size_t index, const char *name, double low, double high, int64_t *value);
bool read_string_value(struct call *call, napi_value value, const char *name, struct bytes *bytes);

/* fsat-handles.c */
bool handle_new(struct call *call, enum slot_kind kind, struct slot **slot, double *handle);
bool read_handle(struct call *call, size_t index, enum slot_kind kind, struct slot **slot);
void slot_close(struct slot *slot);
void state_free(napi_env env, void *data, void *hint);

/*
 * fsat-attributes.c: six arguments from `first` on: mode, uid, gid, seconds, nanoseconds, xattrs as a flat list (or
 * undefined).
 */
bool read_attributes(struct call *call, size_t first, struct attribute_arguments *into);
void attributes_free(struct attribute_arguments *arguments);

#endif
