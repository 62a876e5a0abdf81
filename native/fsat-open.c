/* fsat-open.c: the functions of the addon that open and close: trees, and large files in pieces. */
#include "fsat-functions.h"

napi_value js_open(napi_env env, napi_callback_info info) {
	struct call call;
	struct slot *slot;
	struct bytes path;
	double handle;
	napi_value result;
	if (!call_begin(&call, env, info, "open tree") || !read_bytes(&call, 0, "path", &path) ||
	    !handle_new(&call, SLOT_TREE, &slot, &handle))
		return NULL;
	struct failure failure;
	if (tree_open(&slot->tree, path.data, &failure) < 0) {
		slot_close(slot);
		return call_fail(&call, &failure, path.data);
	}
	return napi_create_double(env, handle, &result) == napi_ok ? result : NULL;
}

static napi_value close_handle(napi_env env, napi_callback_info info, enum slot_kind kind) {
	struct call call;
	struct slot *slot;
	if (!call_begin(&call, env, info, "close") || !read_handle(&call, 0, kind, &slot))
		return NULL;
	slot_close(slot);
	return call_undefined(&call);
}

napi_value js_close(napi_env env, napi_callback_info info) {
	return close_handle(env, info, SLOT_TREE);
}

napi_value js_close_file(napi_env env, napi_callback_info info) {
	return close_handle(env, info, SLOT_WRITER);
}

napi_value js_open_file(napi_env env, napi_callback_info info) {
	struct call call;
	struct slot *tree, *slot;
	struct bytes path;
	double handle;
	napi_value result;
	if (!call_begin(&call, env, info, "create file") || !read_bytes(&call, 1, "path", &path) ||
	    !read_handle(&call, 0, SLOT_TREE, &tree) || !handle_new(&call, SLOT_WRITER, &slot, &handle))
		return NULL;
	struct failure failure;
	if (writer_open(&slot->writer, &tree->tree, path.data, &failure) < 0) {
		slot_close(slot);
		return call_fail(&call, &failure, path.data);
	}
	return napi_create_double(env, handle, &result) == napi_ok ? result : NULL;
}

napi_value js_append(napi_env env, napi_callback_info info) {
	struct call call;
	struct slot *slot;
	const void *data;
	size_t size;
	if (!call_begin(&call, env, info, "write file") || !read_data(&call, call.argv[1], "data", &data, &size) ||
	    !read_handle(&call, 0, SLOT_WRITER, &slot))
		return NULL;
	struct failure failure;
	if (writer_append(&slot->writer, data, size, &failure) < 0)
		return call_fail(&call, &failure, slot->writer.path);
	return call_undefined(&call);
}

napi_value js_seek(napi_env env, napi_callback_info info) {
	struct call call;
	struct slot *slot;
	int64_t offset;
	if (!call_begin(&call, env, info, "write file") ||
	    !read_integer(&call, 1, "offset", 0, 9007199254740991.0, &offset) ||
	    !read_handle(&call, 0, SLOT_WRITER, &slot))
		return NULL;
	struct failure failure;
	if (writer_seek(&slot->writer, offset, &failure) < 0)
		return call_fail(&call, &failure, slot->writer.path);
	return call_undefined(&call);
}

/* A writer that finished is closed; one that failed to is not, so that the caller closes it as on any other failure. */
napi_value js_finish(napi_env env, napi_callback_info info) {
	struct call call;
	struct slot *slot;
	int64_t size;
	__attribute__((cleanup(attributes_free))) struct attribute_arguments given = {0};
	if (!call_begin(&call, env, info, "finish file") ||
	    !read_integer(&call, 1, "size", 0, 9007199254740991.0, &size) || !read_attributes(&call, 2, &given) ||
	    !read_handle(&call, 0, SLOT_WRITER, &slot))
		return NULL;
	struct failure failure;
	if (writer_finish(&slot->writer, size, &given.attributes, &failure) < 0)
		return call_fail(&call, &failure, slot->writer.path);
	slot_close(slot);
	return call_undefined(&call);
}
