/* fsat-functions.h: the functions that the addon exports; fsat.c gives them their names. */
#ifndef ROOTWRIGHT_FSAT_FUNCTIONS_H
#define ROOTWRIGHT_FSAT_FUNCTIONS_H

#include "fsat.h"

/* fsat-open.c */
napi_value js_open(napi_env env, napi_callback_info info);
napi_value js_close(napi_env env, napi_callback_info info);
napi_value js_open_file(napi_env env, napi_callback_info info);
napi_value js_append(napi_env env, napi_callback_info info);
napi_value js_seek(napi_env env, napi_callback_info info);
napi_value js_finish(napi_env env, napi_callback_info info);
napi_value js_close_file(napi_env env, napi_callback_info info);

/* fsat-write.c */
napi_value js_create_file(napi_env env, napi_callback_info info);
napi_value js_mkdir(napi_env env, napi_callback_info info);
napi_value js_symlink(napi_env env, napi_callback_info info);
napi_value js_link(napi_env env, napi_callback_info info);
napi_value js_mknod(napi_env env, napi_callback_info info);
napi_value js_set_attributes(napi_env env, napi_callback_info info);
napi_value js_set_xattr(napi_env env, napi_callback_info info);
napi_value js_drop_acls(napi_env env, napi_callback_info info);
napi_value js_remove_tree(napi_env env, napi_callback_info info);
napi_value js_clone(napi_env env, napi_callback_info info);
napi_value js_sync(napi_env env, napi_callback_info info);

/* fsat-read.c */
napi_value js_lstat(napi_env env, napi_callback_info info);
napi_value js_readlink(napi_env env, napi_callback_info info);
napi_value js_read_file(napi_env env, napi_callback_info info);
napi_value js_list(napi_env env, napi_callback_info info);
napi_value js_xattrs(napi_env env, napi_callback_info info);
bool read_scratch(struct call *call, size_t index, size_t room, double **numbers);

#endif
