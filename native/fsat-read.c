/* fsat-read.c: the functions of the addon that only look. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cleanup.h"
#include "fsat-functions.h"

enum { STAT_NUMBERS = 16 };

/* Numbers leave through a Float64Array of the caller's: an object with as many properties costs ten times as much. */
bool read_scratch(struct call *call, size_t index, size_t room, double **numbers) {
	napi_typedarray_type type;
	size_t length;
	void *data = NULL;
	bool is_array = false;
	if (napi_is_typedarray(call->env, call->argv[index], &is_array) != napi_ok || !is_array ||
	    napi_get_typedarray_info(call->env, call->argv[index], &type, &length, &data, NULL, NULL) != napi_ok ||
	    type != napi_float64_array || length < room)
		return call_refuse(call, EINVAL, "scratch", "must be a Float64Array that is long enough");
	*numbers = data;
	return true;
}

/* true, or false where there is nothing of that name. The order of the numbers is known to addon.ts. */
napi_value js_lstat(napi_env env, napi_callback_info info) {
	struct call call;
	struct slot *slot;
	struct bytes path;
	double *out;
	napi_value result;
	if (!call_begin(&call, env, info, "stat") || !read_bytes(&call, 1, "path", &path) ||
	    !read_scratch(&call, 2, STAT_NUMBERS, &out) || !read_handle(&call, 0, SLOT_TREE, &slot))
		return NULL;
	struct failure failure;
	struct stat stat;
	bool found = tree_lstat(&slot->tree, path.data, &stat, &failure) == 0;
	if (!found && failure.error != ENOENT && failure.error != ENOTDIR)
		return call_fail(&call, &failure, path.data);
	if (found) {
		uint64_t inode = stat.st_ino;
		const double numbers[STAT_NUMBERS] = {
			(double)((stat.st_mode & S_IFMT) >> 12), (double)(stat.st_mode & 07777), (double)stat.st_uid,
			(double)stat.st_gid, (double)stat.st_size, (double)stat.st_mtim.tv_sec,
			(double)stat.st_mtim.tv_nsec, (double)stat.st_nlink, (double)(inode >> 32),
			(double)(inode & 0xffffffff), (double)major(stat.st_dev), (double)minor(stat.st_dev),
			(double)major(stat.st_rdev), (double)minor(stat.st_rdev), (double)stat.st_blocks, 0};
		memcpy(out, numbers, sizeof numbers);
	}
	return napi_get_boolean(env, found, &result) == napi_ok ? result : NULL;
}

napi_value js_readlink(napi_env env, napi_callback_info info) {
	struct call call;
	struct slot *slot;
	struct bytes path;
	char target[4097];
	size_t length;
	napi_value result;
	if (!call_begin(&call, env, info, "read symlink") || !read_bytes(&call, 1, "path", &path) ||
	    !read_handle(&call, 0, SLOT_TREE, &slot))
		return NULL;
	struct failure failure;
	if (tree_readlink(&slot->tree, path.data, target, &length, &failure) < 0)
		return call_fail(&call, &failure, path.data);
	return napi_create_string_latin1(env, target, length, &result) == napi_ok ? result : NULL;
}

napi_value js_read_file(napi_env env, napi_callback_info info) {
	struct call call;
	struct slot *slot;
	struct bytes path;
	int64_t limit;
	bool follow;
	napi_value result;
	if (!call_begin(&call, env, info, "read file") || !read_bytes(&call, 1, "path", &path) ||
	    !read_integer(&call, 2, "maxBytes", 0, 0x7fffffff, &limit))
		return NULL;
	if (napi_get_value_bool(env, call.argv[3], &follow) != napi_ok) {
		call_refuse(&call, EINVAL, "followFinal", "must be a boolean");
		return NULL;
	}
	if (!read_handle(&call, 0, SLOT_TREE, &slot))
		return NULL;
	struct failure failure;
	AUTO_FREE void *data = NULL;
	size_t size;
	if (tree_read_file(&slot->tree, path.data, (size_t)limit, follow, &data, &size, &failure) < 0)
		return call_fail(&call, &failure, path.data);
	return napi_create_buffer_copy(env, size, data, NULL, &result) == napi_ok ? result : NULL;
}

napi_value js_list(napi_env env, napi_callback_info info) {
	struct call call;
	struct slot *slot;
	struct bytes path;
	napi_value result, name;
	if (!call_begin(&call, env, info, "list") || !read_bytes(&call, 1, "path", &path) ||
	    !read_handle(&call, 0, SLOT_TREE, &slot))
		return NULL;
	struct failure failure;
	AUTO_FREE char *names = NULL;
	size_t size;
	if (tree_list(&slot->tree, path.data, &names, &size, &failure) < 0)
		return call_fail(&call, &failure, path.data);
	if (napi_create_array(env, &result) != napi_ok)
		return NULL;
	uint32_t count = 0;
	for (const char *next = names; next < names + size; next += strlen(next) + 1)
		if (napi_create_string_latin1(env, next, NAPI_AUTO_LENGTH, &name) != napi_ok ||
		    napi_set_element(env, result, count++, name) != napi_ok)
			return NULL;
	return result;
}

/* A flat list: name, value, name, value. */
napi_value js_xattrs(napi_env env, napi_callback_info info) {
	struct call call;
	struct slot *slot;
	struct bytes path;
	napi_value result, item;
	if (!call_begin(&call, env, info, "list xattrs of") || !read_bytes(&call, 1, "path", &path) ||
	    !read_handle(&call, 0, SLOT_TREE, &slot))
		return NULL;
	struct failure failure;
	AUTO_FREE char *list = NULL;
	size_t size;
	if (tree_xattrs(&slot->tree, path.data, &list, &size, &failure) < 0)
		return call_fail(&call, &failure, path.data);
	if (napi_create_array(env, &result) != napi_ok)
		return NULL;
	uint32_t count = 0;
	for (size_t at = 0; at < size;) {
		size_t name_length = strlen(list + at), value_length;
		if (napi_create_string_latin1(env, list + at, name_length, &item) != napi_ok ||
		    napi_set_element(env, result, count++, item) != napi_ok)
			return NULL;
		at += name_length + 1;
		memcpy(&value_length, list + at, sizeof value_length);
		at += sizeof value_length;
		if (napi_create_buffer_copy(env, value_length, list + at, NULL, &item) != napi_ok ||
		    napi_set_element(env, result, count++, item) != napi_ok)
			return NULL;
		at += value_length;
	}
	return result;
}
