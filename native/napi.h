/*
 * napi.h: the part of Node-API that we use, declared here because the Node that runs may come without headers.
 *
 * Node-API is a stable ABI: these names, types and numbers hold for every Node since 12 (nodejs.org/api/n-api.html).
 */
#ifndef ROOTWRIGHT_NAPI_H
#define ROOTWRIGHT_NAPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct napi_env__ *napi_env;
typedef struct napi_value__ *napi_value;
typedef struct napi_ref__ *napi_ref;
typedef struct napi_callback_info__ *napi_callback_info;
typedef napi_value (*napi_callback)(napi_env env, napi_callback_info info);
typedef void (*napi_finalize)(napi_env env, void *data, void *hint);

/* An enum in the ABI; only success is told apart here. */
typedef int napi_status;
enum { napi_ok = 0 };
typedef enum { napi_undefined, napi_null, napi_boolean, napi_number, napi_string } napi_valuetype;
typedef enum { napi_uint8_array = 1, napi_float64_array = 8 } napi_typedarray_type;

#define NAPI_AUTO_LENGTH SIZE_MAX
#define NAPI_EXPORT __attribute__((visibility("default")))

napi_status napi_get_cb_info(napi_env, napi_callback_info, size_t *argc, napi_value *argv, napi_value *self,
			     void **data);
napi_status napi_create_function(napi_env, const char *name, size_t length, napi_callback, void *data, napi_value *);
napi_status napi_set_named_property(napi_env, napi_value object, const char *name, napi_value);
napi_status napi_set_instance_data(napi_env, void *data, napi_finalize, void *hint);
napi_status napi_get_instance_data(napi_env, void **data);
napi_status napi_create_reference(napi_env, napi_value, uint32_t count, napi_ref *);
napi_status napi_delete_reference(napi_env, napi_ref);
napi_status napi_get_reference_value(napi_env, napi_ref, napi_value *);
napi_status napi_call_function(napi_env, napi_value self, napi_value function, size_t argc, const napi_value *argv,
			       napi_value *result);
napi_status napi_throw(napi_env, napi_value error);
napi_status napi_throw_error(napi_env, const char *code, const char *message);
napi_status napi_is_exception_pending(napi_env, bool *result);
napi_status napi_get_undefined(napi_env, napi_value *);
napi_status napi_get_boolean(napi_env, bool, napi_value *);
napi_status napi_typeof(napi_env, napi_value, napi_valuetype *);
napi_status napi_get_value_double(napi_env, napi_value, double *);
napi_status napi_get_value_bool(napi_env, napi_value, bool *);
napi_status napi_get_value_string_utf16(napi_env, napi_value, uint16_t *buffer, size_t room, size_t *length);
napi_status napi_create_double(napi_env, double, napi_value *);
napi_status napi_create_string_latin1(napi_env, const char *, size_t length, napi_value *);
napi_status napi_create_string_utf8(napi_env, const char *, size_t length, napi_value *);
napi_status napi_create_buffer_copy(napi_env, size_t size, const void *data, void **copy, napi_value *);
napi_status napi_create_array(napi_env, napi_value *);
napi_status napi_is_array(napi_env, napi_value, bool *);
napi_status napi_get_array_length(napi_env, napi_value, uint32_t *);
napi_status napi_get_element(napi_env, napi_value array, uint32_t index, napi_value *);
napi_status napi_set_element(napi_env, napi_value array, uint32_t index, napi_value);
napi_status napi_is_typedarray(napi_env, napi_value, bool *);
napi_status napi_get_typedarray_info(napi_env, napi_value, napi_typedarray_type *, size_t *length, void **data,
				     napi_value *arraybuffer, size_t *offset);
napi_status napi_is_detached_arraybuffer(napi_env, napi_value, bool *);

#endif
