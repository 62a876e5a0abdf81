/* fsat-write.c: the functions of the addon that make or change something in a tree. */
#include <errno.h>
#include <sys/stat.h>

#include "fsat-functions.h"

#define FREED __attribute__((cleanup(attributes_free)))

napi_value js_create_file(napi_env env, napi_callback_info info) {
	struct call call;
	struct slot *slot;
	struct bytes path;
	const void *data;
	size_t size;
	FREED struct attribute_arguments given = {0};
	if (!call_begin(&call, env, info, "create file") || !read_bytes(&call, 1, "path", &path) ||
	    !read_data(&call, call.argv[2], "data", &data, &size) || !read_attributes(&call, 3, &given) ||
	    !read_handle(&call, 0, SLOT_TREE, &slot))
		return NULL;
	struct failure failure;
	if (tree_create_file(&slot->tree, path.data, data, size, &given.attributes, &failure) < 0)
		return call_fail(&call, &failure, path.data);
	return call_undefined(&call);
}

napi_value js_mkdir(napi_env env, napi_callback_info info) {
	struct call call;
	struct slot *slot;
	struct bytes path;
	FREED struct attribute_arguments given = {0};
	if (!call_begin(&call, env, info, "create directory") || !read_bytes(&call, 1, "path", &path))
		return NULL;
	const struct attributes *attributes = call.argc > 2 ? &given.attributes : NULL;
	if ((attributes && !read_attributes(&call, 2, &given)) || !read_handle(&call, 0, SLOT_TREE, &slot))
		return NULL;
	struct failure failure;
	if (tree_mkdir(&slot->tree, path.data, attributes, &failure) < 0)
		return call_fail(&call, &failure, path.data);
	return call_undefined(&call);
}

napi_value js_symlink(napi_env env, napi_callback_info info) {
	struct call call;
	struct slot *slot;
	struct bytes path, target;
	FREED struct attribute_arguments given = {0};
	if (!call_begin(&call, env, info, "create symlink") || !read_bytes(&call, 1, "path", &path) ||
	    !read_bytes(&call, 2, "target", &target) || !read_attributes(&call, 3, &given) ||
	    !read_handle(&call, 0, SLOT_TREE, &slot))
		return NULL;
	struct failure failure;
	if (tree_symlink(&slot->tree, path.data, target.data, &given.attributes, &failure) < 0)
		return call_fail(&call, &failure, path.data);
	return call_undefined(&call);
}

napi_value js_link(napi_env env, napi_callback_info info) {
	struct call call;
	struct slot *slot;
	struct bytes path, existing;
	if (!call_begin(&call, env, info, "create hard link") || !read_bytes(&call, 1, "path", &path) ||
	    !read_bytes(&call, 2, "existing", &existing) || !read_handle(&call, 0, SLOT_TREE, &slot))
		return NULL;
	struct failure failure;
	if (tree_link(&slot->tree, path.data, existing.data, &failure) < 0)
		return call_fail(&call, &failure, path.data);
	return call_undefined(&call);
}

napi_value js_mknod(napi_env env, napi_callback_info info) {
	static const mode_t types[] = {S_IFCHR, S_IFBLK, S_IFIFO};
	struct call call;
	struct slot *slot;
	struct bytes path;
	int64_t kind, major, minor;
	FREED struct attribute_arguments given = {0};
	/* The kernel packs a device into 32 bits: 12 for the major number, 20 for the minor. */
	if (!call_begin(&call, env, info, "create node") || !read_bytes(&call, 1, "path", &path) ||
	    !read_integer(&call, 2, "kind", 0, 2, &kind) || !read_integer(&call, 3, "major", 0, 0xfff, &major) ||
	    !read_integer(&call, 4, "minor", 0, 0xfffff, &minor) || !read_attributes(&call, 5, &given) ||
	    !read_handle(&call, 0, SLOT_TREE, &slot))
		return NULL;
	struct failure failure;
	if (tree_mknod(&slot->tree, path.data, types[kind], (unsigned)major, (unsigned)minor, &given.attributes,
		       &failure) < 0)
		return call_fail(&call, &failure, path.data);
	return call_undefined(&call);
}

napi_value js_set_attributes(napi_env env, napi_callback_info info) {
	struct call call;
	struct slot *slot;
	struct bytes path;
	FREED struct attribute_arguments given = {0};
	if (!call_begin(&call, env, info, "set attributes of") || !read_bytes(&call, 1, "path", &path) ||
	    !read_attributes(&call, 2, &given) || !read_handle(&call, 0, SLOT_TREE, &slot))
		return NULL;
	struct failure failure;
	if (tree_set_attributes(&slot->tree, path.data, &given.attributes, &failure) < 0)
		return call_fail(&call, &failure, path.data);
	return call_undefined(&call);
}

napi_value js_set_xattr(napi_env env, napi_callback_info info) {
	struct call call;
	struct slot *slot;
	struct bytes path, name;
	struct xattr xattr;
	if (!call_begin(&call, env, info, "set xattr of") || !read_bytes(&call, 1, "path", &path) ||
	    !read_bytes(&call, 2, "xattr name", &name) ||
	    !read_data(&call, call.argv[3], "xattr value", &xattr.value, &xattr.size) ||
	    !read_handle(&call, 0, SLOT_TREE, &slot))
		return NULL;
	xattr.name = name.data;
	struct failure failure;
	if (tree_set_xattr(&slot->tree, path.data, &xattr, &failure) < 0)
		return call_fail(&call, &failure, path.data);
	return call_undefined(&call);
}

napi_value js_drop_acls(napi_env env, napi_callback_info info) {
	struct call call;
	struct slot *slot;
	if (!call_begin(&call, env, info, "drop the ACLs of the root") || !read_handle(&call, 0, SLOT_TREE, &slot))
		return NULL;
	struct failure failure;
	return tree_drop_acls(&slot->tree, &failure) < 0 ? call_fail(&call, &failure, "") : call_undefined(&call);
}

napi_value js_remove_tree(napi_env env, napi_callback_info info) {
	struct call call;
	struct slot *slot;
	struct bytes path;
	if (!call_begin(&call, env, info, "remove") || !read_bytes(&call, 1, "path", &path) ||
	    !read_handle(&call, 0, SLOT_TREE, &slot))
		return NULL;
	struct failure failure;
	if (tree_remove(&slot->tree, path.data, &failure) < 0)
		return call_fail(&call, &failure, path.data);
	return call_undefined(&call);
}

/* Leaves what happened in a Float64Array: the method's number and the bytes that were copied. */
napi_value js_clone(napi_env env, napi_callback_info info) {
	struct call call;
	struct slot *slot, *from;
	struct bytes path, from_path;
	double *outcome;
	FREED struct attribute_arguments given = {0};
	if (!call_begin(&call, env, info, "clone file to") || !read_bytes(&call, 1, "path", &path) ||
	    !read_bytes(&call, 3, "fromPath", &from_path) || !read_attributes(&call, 4, &given) ||
	    !read_scratch(&call, 10, 2, &outcome) || !read_handle(&call, 0, SLOT_TREE, &slot) ||
	    !read_handle(&call, 2, SLOT_TREE, &from))
		return NULL;
	struct failure failure;
	enum clone_method method;
	uint64_t bytes;
	if (tree_clone(&slot->tree, path.data, &from->tree, from_path.data, &given.attributes, &method, &bytes,
		       &failure) < 0)
		return call_fail(&call, &failure, path.data);
	outcome[0] = (double)method;
	outcome[1] = (double)bytes;
	return call_undefined(&call);
}

napi_value js_sync(napi_env env, napi_callback_info info) {
	struct call call;
	struct slot *slot;
	if (!call_begin(&call, env, info, "sync the file system") || !read_handle(&call, 0, SLOT_TREE, &slot))
		return NULL;
	struct failure failure;
	return tree_sync(&slot->tree, &failure) < 0 ? call_fail(&call, &failure, "") : call_undefined(&call);
}
