/* json.c: see json.h. */
#include "json.h"

/* A comma is needed unless the object was just opened; one writer a process, so one flag. */
static bool first;

/* Length of the UTF-8 sequence at `text`, 0 if there is none. Overlong forms, surrogates and > U+10FFFF are none. */
static int sequence(const unsigned char *text) {
	int length = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
	if (text[0] < 0x80)
		return 1;
	if (text[0] < 0xc2 || text[0] > 0xf4)
		return 0;
	for (int i = 1; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
	    (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
		return 0;
	return length;
}

static void quoted(FILE *out, const char *value) {
	const unsigned char *text = (const unsigned char *)value;
	fputc('"', out);
	while (*text) {
		int length = sequence(text);
		if (length == 0) {
			fputs("\\ufffd", out);
			length = 1;
		} else if (*text == '"' || *text == '\\') {
			fprintf(out, "\\%c", *text);
		} else if (*text < 0x20 || *text == 0x7f) {
			fprintf(out, "\\u%04x", *text);
		} else {
			fwrite(text, 1, (size_t)length, out);
		}
		text += length;
	}
	fputc('"', out);
}

static void member(FILE *out, const char *key) {
	if (!first)
		fputc(',', out);
	first = false;
	quoted(out, key);
	fputc(':', out);
}

void json_begin(FILE *out) {
	fputc('{', out);
	first = true;
}

void json_string(FILE *out, const char *key, const char *value) {
	member(out, key);
	quoted(out, value);
}

void json_number(FILE *out, const char *key, unsigned long long value) {
	member(out, key);
	fprintf(out, "%llu", value);
}

void json_bool(FILE *out, const char *key, bool value) {
	member(out, key);
	fputs(value ? "true" : "false", out);
}

void json_open(FILE *out, const char *key) {
	member(out, key);
	json_begin(out);
}

void json_close(FILE *out) {
	fputc('}', out);
	first = false;
}

void json_end(FILE *out) {
	fputs("}\n", out);
	fflush(out);
}
