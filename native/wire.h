/*
 * wire.h: the request format: records of NUL-terminated fields, ended by an empty field.
 *
 *     overlay\0target=/s/rootfs/1/fs\0lower=/s/layers/b\0lower=/s/layers/a\0\0
 *     propagation\0target=/s/rootfs/1/fs\0mode=slave+shared\0\0
 *
 * Parsing knows nothing of operations: it only splits, and refuses what is not whole records. Nothing is copied; the
 * records point into the request.
 */
#ifndef ROOTWRIGHT_WIRE_H
#define ROOTWRIGHT_WIRE_H

#include <stddef.h>

enum { WIRE_LIMIT = 1024 * 1024 };

/* fields[0] is the name of the operation, the others are key=value. */
struct record {
	const char *const *fields;
	size_t field_count;
};

struct request {
	struct record *records;
	size_t record_count;
	const char **fields;
};

/* NULL, or why the bytes are no request; `record` is then the index of the record that it is about. */
const char *wire_parse(const char *bytes, size_t size, struct request *request, size_t *record);
void wire_free(struct request *request);

#endif
