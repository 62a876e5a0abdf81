/*
 * fsat.c: the addon as Node sees it: registration, for the main thread and every worker alike.
 *
 * Node finds the two functions by name in the shared object and calls the second once for each environment; there is
 * no state outside the environment's own.
 */
#include <stdlib.h>

#include "fsat-functions.h"

NAPI_EXPORT int32_t node_api_module_get_api_version_v1(void);
NAPI_EXPORT napi_value napi_register_module_v1(napi_env env, napi_value exports);

static const struct {
	const char *name;
	napi_callback function;
} functions[] = {
	{"open", js_open},
	{"close", js_close},
	{"openFile", js_open_file},
	{"append", js_append},
	{"seek", js_seek},
	{"finish", js_finish},
	{"closeFile", js_close_file},
	{"createFile", js_create_file},
	{"mkdir", js_mkdir},
	{"symlink", js_symlink},
	{"link", js_link},
	{"mknod", js_mknod},
	{"setAttributes", js_set_attributes},
	{"setXattr", js_set_xattr},
	{"dropAcls", js_drop_acls},
	{"removeTree", js_remove_tree},
	{"clone", js_clone},
	{"sync", js_sync},
	{"lstat", js_lstat},
	{"readlink", js_readlink},
	{"readFile", js_read_file},
	{"list", js_list},
	{"xattrs", js_xattrs},
};

/* errorMaker(f): f(name, text, what, call, errno, path, detail) makes the errors that the other functions throw. */
static napi_value js_error_maker(napi_env env, napi_callback_info info) {
	struct call call;
	if (!call_begin(&call, env, info, "set the error maker"))
		return NULL;
	napi_ref reference;
	if (napi_create_reference(env, call.argv[0], 1, &reference) != napi_ok) {
		napi_throw_error(env, "EINVAL", "The error maker must be a function");
		return NULL;
	}
	if (call.state->make_error)
		napi_delete_reference(env, call.state->make_error);
	call.state->make_error = reference;
	return call_undefined(&call);
}

static bool add(napi_env env, napi_value exports, const char *name, napi_callback callback) {
	napi_value function;
	return napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, NULL, &function) == napi_ok &&
	       napi_set_named_property(env, exports, name, function) == napi_ok;
}

int32_t node_api_module_get_api_version_v1(void) {
	return 8;
}

napi_value napi_register_module_v1(napi_env env, napi_value exports) {
	struct state *state = NULL;
	/* Loading again into the same environment must not lose what the first load has open. */
	if (napi_get_instance_data(env, (void **)&state) != napi_ok)
		return NULL;
	if (!state) {
		state = calloc(1, sizeof *state);
		if (!state || napi_set_instance_data(env, state, state_free, NULL) != napi_ok) {
			free(state);
			return NULL;
		}
	}
	for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
		if (!add(env, exports, functions[i].name, functions[i].function))
			return NULL;
	return add(env, exports, "errorMaker", js_error_maker) ? exports : NULL;
}
