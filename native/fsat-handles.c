/* fsat-handles.c: numbers for trees and writers. A handle is slot + generation, so a closed one is never another's. */
#include <errno.h>
#include <stdlib.h>

#include "fsat.h"

enum { SLOT_BITS = 20, GENERATIONS = 1 << 30 };

bool handle_new(struct call *call, enum slot_kind kind, struct slot **slot, double *handle) {
	struct state *state = call->state;
	size_t index = 0;
	while (index < state->slot_count && state->slots[index]->kind != SLOT_FREE)
		index++;
	if (index == state->slot_count) {
		if (index >> SLOT_BITS)
			return call_refuse(call, EMFILE, "open", "too many trees and files are open");
		struct slot **grown = realloc(state->slots, (index + 1) * sizeof(struct slot *));
		if (grown)
			state->slots = grown;
		struct slot *fresh = calloc(1, sizeof *fresh);
		if (!grown || !fresh) {
			free(fresh);
			return call_refuse(call, ENOMEM, "open", "");
		}
		state->slots[index] = fresh;
		state->slot_count++;
	}
	*slot = state->slots[index];
	(*slot)->generation = ((*slot)->generation + 1) % GENERATIONS;
	(*slot)->kind = kind;
	*handle = (double)(((uint64_t)(*slot)->generation << SLOT_BITS) | index);
	return true;
}

bool read_handle(struct call *call, size_t index, enum slot_kind kind, struct slot **slot) {
	int64_t handle;
	if (!read_integer(call, index, "handle", 0, 9007199254740991.0, &handle))
		return false;
	size_t at = (size_t)handle & ((1u << SLOT_BITS) - 1);
	*slot = at < call->state->slot_count ? call->state->slots[at] : NULL;
	if (!*slot || (*slot)->kind != kind || (*slot)->generation != (uint64_t)handle >> SLOT_BITS)
		return call_refuse(call, EBADF, "handle", kind == SLOT_TREE ? "the tree is closed" : "the file is closed");
	return true;
}

void slot_close(struct slot *slot) {
	if (slot->kind == SLOT_TREE)
		tree_close(&slot->tree);
	else if (slot->kind == SLOT_WRITER)
		writer_close(&slot->writer);
	slot->kind = SLOT_FREE;
}

void state_free(napi_env env, void *data, void *hint) {
	(void)hint;
	struct state *state = data;
	for (size_t i = 0; i < state->slot_count; i++) {
		slot_close(state->slots[i]);
		free(state->slots[i]);
	}
	free(state->slots);
	if (state->make_error)
		napi_delete_reference(env, state->make_error);
	free(state);
}
