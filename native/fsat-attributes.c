/* fsat-attributes.c: attributes arrive as six plain arguments, because properties are slow to read from here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fsat.h"

static bool push_name(struct attribute_arguments *into, size_t *used, const struct bytes *name) {
	char *grown = realloc(into->names, *used + name->length + 1);
	if (!grown)
		return false;
	memcpy(grown + *used, name->data, name->length + 1);
	into->names = grown;
	*used += name->length + 1;
	return true;
}

static bool read_xattrs(struct call *call, napi_value list, struct attribute_arguments *into) {
	bool is_array = false;
	uint32_t length = 0;
	napi_valuetype type;
	if (napi_typeof(call->env, list, &type) == napi_ok && type == napi_undefined)
		return true;
	if (napi_is_array(call->env, list, &is_array) != napi_ok || !is_array ||
	    napi_get_array_length(call->env, list, &length) != napi_ok || length % 2 != 0)
		return call_refuse(call, EINVAL, "xattrs", "must be pairs of name and value");
	size_t count = length / 2;
	if (count == 0)
		return true;
	if (count > MOST_XATTRS)
		return call_refuse(call, E2BIG, "xattrs", "are more than 1000");
	into->xattrs = calloc(count, sizeof *into->xattrs);
	if (!into->xattrs)
		return call_refuse(call, ENOMEM, "xattrs", "");
	size_t used = 0;
	for (uint32_t i = 0; i < count; i++) {
		napi_value name, value;
		struct bytes bytes;
		if (napi_get_element(call->env, list, i * 2, &name) != napi_ok ||
		    napi_get_element(call->env, list, i * 2 + 1, &value) != napi_ok)
			return call_refuse(call, EINVAL, "xattrs", "must be pairs of name and value");
		if (!read_string_value(call, name, "xattr name", &bytes) ||
		    !read_data(call, value, "xattr value", &into->xattrs[i].value, &into->xattrs[i].size))
			return false;
		if (!push_name(into, &used, &bytes))
			return call_refuse(call, ENOMEM, "xattrs", "");
	}
	/* Only now: a block that grows may move. */
	const char *next = into->names;
	for (size_t i = 0; i < count; i++, next += strlen(next) + 1)
		into->xattrs[i].name = next;
	into->attributes.xattrs = into->xattrs;
	into->attributes.xattr_count = count;
	return true;
}

bool read_attributes(struct call *call, size_t first, struct attribute_arguments *into) {
	const double furthest = 9007199254740991.0;
	int64_t mode, seconds, nanoseconds;
	*into = (struct attribute_arguments){0};
	struct attributes *attributes = &into->attributes;
	if (!read_integer(call, first, "mode", 0, 07777, &mode) ||
	    !read_integer(call, first + 1, "uid", -1, 4294967294.0, &attributes->uid) ||
	    !read_integer(call, first + 2, "gid", -1, 4294967294.0, &attributes->gid) ||
	    !read_integer(call, first + 3, "mtimeSec", -furthest, furthest, &seconds) ||
	    !read_integer(call, first + 4, "mtimeNsec", 0, 999999999, &nanoseconds))
		return false;
	attributes->mode = (mode_t)mode;
	attributes->mtime = (struct timespec){.tv_sec = seconds, .tv_nsec = (long)nanoseconds};
	return read_xattrs(call, call->argv[first + 5], into);
}

void attributes_free(struct attribute_arguments *arguments) {
	free(arguments->xattrs);
	free(arguments->names);
}
