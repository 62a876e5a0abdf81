/* fsat-call.c: arguments in, exceptions out. No JavaScript runs while arguments are read. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "error-name.h"
#include "fsat.h"

bool call_begin(struct call *call, napi_env env, napi_callback_info info, const char *what) {
	*call = (struct call){.env = env, .what = what, .argc = ARGUMENTS};
	/* Missing arguments arrive as undefined. */
	return napi_get_cb_info(env, info, &call->argc, call->argv, NULL, NULL) == napi_ok &&
	       napi_get_instance_data(env, (void **)&call->state) == napi_ok && call->state;
}

napi_value call_undefined(struct call *call) {
	napi_value undefined = NULL;
	napi_get_undefined(call->env, &undefined);
	return undefined;
}

/* Lets JavaScript make the error, so that it is of the class that the door exports. */
napi_value call_fail(struct call *call, const struct failure *failure, const char *path) {
	napi_env env = call->env;
	napi_value maker = NULL, error = NULL, arguments[7];
	const char *texts[] = {error_name(failure->error), strerror(failure->error), call->what, failure->call};
	bool made = call->state->make_error &&
		    napi_get_reference_value(env, call->state->make_error, &maker) == napi_ok && maker;
	for (size_t i = 0; made && i < 4; i++)
		made = napi_create_string_utf8(env, texts[i], NAPI_AUTO_LENGTH, &arguments[i]) == napi_ok;
	made = made && napi_create_double(env, failure->error, &arguments[4]) == napi_ok &&
	       napi_create_string_latin1(env, path, NAPI_AUTO_LENGTH, &arguments[5]) == napi_ok &&
	       napi_create_string_latin1(env, failure->detail, NAPI_AUTO_LENGTH, &arguments[6]) == napi_ok &&
	       napi_call_function(env, call_undefined(call), maker, 7, arguments, &error) == napi_ok;
	call->thrown = true;
	bool pending = false;
	napi_is_exception_pending(env, &pending);
	if (made)
		napi_throw(env, error);
	else if (!pending)
		napi_throw_error(env, error_name(failure->error), strerror(failure->error));
	return NULL;
}

bool call_refuse(struct call *call, int error, const char *argument, const char *why) {
	struct failure failure;
	fail_with(&failure, error, argument, why);
	call_fail(call, &failure, "");
	return false;
}

bool read_string_value(struct call *call, napi_value value, const char *name, struct bytes *bytes) {
	uint16_t wide[PATH_ROOM];
	if (napi_get_value_string_utf16(call->env, value, wide, PATH_ROOM, &bytes->length) != napi_ok)
		return call_refuse(call, EINVAL, name, "must be a string of bytes");
	if (bytes->length == 0)
		return call_refuse(call, EINVAL, name, "must not be empty");
	if (bytes->length == PATH_ROOM - 1)
		return call_refuse(call, ENAMETOOLONG, name, "is longer than 4095 bytes");
	for (size_t i = 0; i < bytes->length; i++) {
		if (wide[i] == 0 || wide[i] > 0xff)
			return call_refuse(call, EINVAL, name, "must be bytes: characters 1 to 255");
		bytes->data[i] = (char)wide[i];
	}
	bytes->data[bytes->length] = '\0';
	return true;
}

bool read_bytes(struct call *call, size_t index, const char *name, struct bytes *bytes) {
	return read_string_value(call, call->argv[index], name, bytes);
}

/* A detached array has no bytes and looks empty: only then is its buffer asked. */
bool read_data(struct call *call, napi_value value, const char *name, const void **data, size_t *size) {
	napi_typedarray_type type;
	void *start = NULL;
	bool is_array = false;
	if (napi_is_typedarray(call->env, value, &is_array) != napi_ok || !is_array ||
	    napi_get_typedarray_info(call->env, value, &type, size, &start, NULL, NULL) != napi_ok ||
	    type != napi_uint8_array)
		return call_refuse(call, EINVAL, name, "must be a Uint8Array");
	if (*size == 0) {
		napi_value buffer = NULL;
		bool detached = false;
		napi_get_typedarray_info(call->env, value, NULL, NULL, NULL, &buffer, NULL);
		if (buffer)
			napi_is_detached_arraybuffer(call->env, buffer, &detached);
		if (detached)
			return call_refuse(call, EINVAL, name, "is a view of a detached buffer");
		start = "";
	}
	*data = start;
	return true;
}

bool read_integer(struct call *call, size_t index, const char *name, double low, double high, int64_t *value) {
	double number;
	if (napi_get_value_double(call->env, call->argv[index], &number) != napi_ok || !(number >= low) ||
	    !(number <= high) || number != floor(number))
		return call_refuse(call, EINVAL, name, "must be a whole number in its range");
	*value = (int64_t)number;
	return true;
}
