/* json.h: writing JSON lines. Bytes that are not UTF-8 become U+FFFD; control characters are escaped. */
#ifndef ROOTWRIGHT_JSON_H
#define ROOTWRIGHT_JSON_H

#include <stdbool.h>
#include <stdio.h>

/* One object on one line: begin, any number of members, end (which flushes). */
void json_begin(FILE *out);
void json_string(FILE *out, const char *key, const char *value);
void json_number(FILE *out, const char *key, unsigned long long value);
void json_bool(FILE *out, const char *key, bool value);
void json_end(FILE *out);
/* A member that is an object itself; closed by json_close. */
void json_open(FILE *out, const char *key);
void json_close(FILE *out);

#endif
