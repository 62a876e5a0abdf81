/* wire.c: see wire.h. Two passes: one counts, one fills, so that hostile input costs no more than its own size. */
#include "wire.h"

#include <stdlib.h>
#include <string.h>

static const char *check(const char *bytes, size_t size, size_t *fields, size_t *records) {
	size_t in_record = 0;
	*fields = *records = 0;
	if (size == 0)
		return "the request is empty";
	if (size > WIRE_LIMIT)
		return "the request is larger than 1 MiB";
	if (bytes[size - 1] != '\0')
		return "the last field does not end with NUL";
	for (const char *next = bytes; next < bytes + size; next += strlen(next) + 1) {
		if (*next != '\0') {
			in_record++;
			(*fields)++;
			continue;
		}
		if (in_record == 0)
			return "a record without an operation";
		in_record = 0;
		(*records)++;
	}
	return in_record > 0 ? "the last record does not end with an empty field" : NULL;
}

const char *wire_parse(const char *bytes, size_t size, struct request *request, size_t *record) {
	size_t field_count, record_count;
	*request = (struct request){0};
	const char *problem = check(bytes, size, &field_count, &record_count);
	*record = record_count;
	if (problem)
		return problem;
	request->fields = calloc(field_count, sizeof *request->fields);
	request->records = calloc(record_count, sizeof *request->records);
	if (!request->fields || !request->records) {
		wire_free(request);
		return "out of memory";
	}
	const char **field = request->fields;
	struct record *current = request->records;
	current->fields = field;
	for (const char *next = bytes; next < bytes + size; next += strlen(next) + 1) {
		if (*next != '\0') {
			*field++ = next;
			current->field_count++;
		} else if (++current < request->records + record_count) {
			current->fields = field;
		}
	}
	request->record_count = record_count;
	return NULL;
}

void wire_free(struct request *request) {
	free(request->fields);
	free(request->records);
	*request = (struct request){0};
}
