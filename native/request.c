/* request.c: one table says which keys each operation takes and what their values look like; see README.md. */
#include "request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum value_type { TARGET, SOURCE, UPPER, LOWER, BOOLEAN, CHOICE, BYTES, OCTAL };

#define FOR(kind) (1u << (kind))
#define MOUNTS (FOR(OVERLAY) | FOR(BIND) | FOR(REMOUNT) | FOR(TMPFS))
#define AT(member) offsetof(struct operation, member)

static const struct key {
	const char *name;
	enum value_type type;
	unsigned taken_by, needed_by;
	size_t member;
	/* for CHOICE: between bars */
	const char *choices;
} keys[] = {
	{"target", TARGET, ~0u, ~0u, AT(target), NULL},
	{"source", SOURCE, FOR(BIND), FOR(BIND), AT(source), NULL},
	{"lower", LOWER, FOR(OVERLAY), FOR(OVERLAY), AT(lowers), NULL},
	{"upper", UPPER, FOR(OVERLAY), 0, AT(upper), NULL},
	{"work", UPPER, FOR(OVERLAY), 0, AT(work), NULL},
	{"userxattr", BOOLEAN, FOR(OVERLAY), 0, AT(userxattr), NULL},
	{"volatile", BOOLEAN, FOR(OVERLAY), 0, AT(is_volatile), NULL},
	{"xino", CHOICE, FOR(OVERLAY), 0, AT(xino), "|on|off|auto|"},
	{"metacopy", CHOICE, FOR(OVERLAY), 0, AT(metacopy), "|on|off|"},
	{"redirect_dir", CHOICE, FOR(OVERLAY), 0, AT(redirect_dir), "|on|off|follow|nofollow|"},
	{"index", CHOICE, FOR(OVERLAY), 0, AT(index), "|on|off|"},
	{"nfs_export", CHOICE, FOR(OVERLAY), 0, AT(nfs_export), "|on|off|"},
	{"readonly", BOOLEAN, MOUNTS, 0, AT(flags.readonly), NULL},
	{"nosuid", BOOLEAN, MOUNTS, 0, AT(flags.nosuid), NULL},
	{"nodev", BOOLEAN, MOUNTS, 0, AT(flags.nodev), NULL},
	{"noexec", BOOLEAN, MOUNTS, 0, AT(flags.noexec), NULL},
	{"recursive", BOOLEAN, FOR(BIND), 0, AT(recursive), NULL},
	{"size", BYTES, FOR(TMPFS), 0, AT(size), NULL},
	{"mode", OCTAL, FOR(TMPFS), 0, AT(mode), NULL},
	{"mode", CHOICE, FOR(PROPAGATION), FOR(PROPAGATION), AT(propagation),
	 "|private|slave|shared|unbindable|slave+shared|"},
	{"detach", BOOLEAN, FOR(UNMOUNT), 0, AT(detach), NULL},
};

enum { KEYS = sizeof keys / sizeof keys[0] };

static const char *const names[OPERATION_KINDS] = {"overlay", "bind", "remount", "tmpfs", "propagation", "unmount"};

const char *operation_name(enum operation_kind kind) {
	return names[kind];
}

static int refuse(struct refusal *refusal, const char *field, const char *reason) {
	snprintf(refusal->field, sizeof refusal->field, "%s", field);
	snprintf(refusal->reason, sizeof refusal->reason, "%s", reason);
	return -1;
}

static bool is_digits(const char *value, const char *digits, size_t most) {
	size_t length = strlen(value);
	return length > 0 && length <= most && strspn(value, digits) == length;
}

static bool is_choice(const char *choices, const char *value) {
	char barred[32];
	return !strchr(value, '|') && (size_t)snprintf(barred, sizeof barred, "|%s|", value) < sizeof barred &&
	       strstr(choices, barred);
}

/* What is wrong with a path; a target must be inside a root, a directory that is only read may be one. */
static const char *unfit_path(const struct roots *roots, enum value_type type, const char *path) {
	const char *problem = path_problem(path);
	if (problem)
		return problem;
	bool itself = type == SOURCE || type == LOWER;
	return roots_allow(roots, path, itself) ? NULL : "the path is not beneath an allowed root";
}

/* NULL, or what is wrong with the value; stores it if nothing is. */
static const char *store(const struct key *key, const char *value, const struct roots *roots,
			 struct operation *operation) {
	void *member = (char *)operation + key->member;
	const char *problem = NULL;
	switch (key->type) {
	case LOWER:
		problem = unfit_path(roots, key->type, value);
		operation->lowers[operation->lower_count++] = value;
		return problem;
	case TARGET:
	case SOURCE:
	case UPPER:
		problem = unfit_path(roots, key->type, value);
		break;
	case BOOLEAN:
		*(unsigned char *)member = strcmp(value, "true") == 0 ? FLAG_ON : FLAG_OFF;
		return strcmp(value, "true") && strcmp(value, "false") ? "the value must be true or false" : NULL;
	case CHOICE:
		problem = is_choice(key->choices, value) ? NULL : "the value is not one of those that are allowed";
		break;
	case BYTES:
		problem = is_digits(value, "0123456789", 18) ? NULL : "the value must be a number of bytes";
		break;
	case OCTAL:
		problem = is_digits(value, "01234567", 4) ? NULL : "the value must be an octal mode of up to 4 digits";
		break;
	}
	*(const char **)member = value;
	return problem;
}

static const struct key *find_key(const char *field, size_t length, enum operation_kind kind) {
	for (size_t i = 0; i < KEYS; i++)
		if (strlen(keys[i].name) == length && strncmp(keys[i].name, field, length) == 0 &&
		    keys[i].taken_by & FOR(kind))
			return &keys[i];
	return NULL;
}

/* Rules between keys. */
static int check_whole(const struct operation *operation, bool given[KEYS], struct refusal *refusal) {
	for (size_t i = 0; i < KEYS; i++)
		if (keys[i].needed_by & FOR(operation->kind) && !given[i])
			return refuse(refusal, keys[i].name, "the key is missing");
	if (operation->kind != OVERLAY)
		return 0;
	if (!operation->upper != !operation->work)
		return refuse(refusal, operation->upper ? "work" : "upper", "upper and work go together");
	if (!operation->upper && operation->lower_count < 2)
		return refuse(refusal, "lower", "an overlay without upper needs two lower directories; one is a bind");
	if (!operation->upper && operation->is_volatile == FLAG_ON)
		return refuse(refusal, "volatile", "the key needs an upper directory");
	return 0;
}

static int validate_one(const struct record *record, const struct roots *roots, struct operation *operation,
			struct refusal *refusal) {
	bool given[KEYS] = {false};
	int kind = 0;
	snprintf(refusal->operation, sizeof refusal->operation, "%s", record->fields[0]);
	while (kind < OPERATION_KINDS && strcmp(names[kind], record->fields[0]) != 0)
		kind++;
	if (kind == OPERATION_KINDS)
		return refuse(refusal, "", "there is no such operation");
	operation->kind = (enum operation_kind)kind;
	if (kind == OVERLAY && !(operation->lowers = calloc(record->field_count, sizeof *operation->lowers)))
		return refuse(refusal, "", "out of memory");
	for (size_t i = 1; i < record->field_count; i++) {
		const char *field = record->fields[i], *equals = strchr(field, '=');
		if (!equals)
			return refuse(refusal, field, "the field is not key=value");
		const struct key *key = find_key(field, (size_t)(equals - field), operation->kind);
		if (!key)
			return refuse(refusal, field, "the operation has no such key");
		if (given[key - keys] && key->type != LOWER)
			return refuse(refusal, key->name, "the key is given twice");
		given[key - keys] = true;
		const char *problem = store(key, equals + 1, roots, operation);
		if (problem)
			return refuse(refusal, key->name, problem);
	}
	return check_whole(operation, given, refusal);
}

int request_validate(const struct request *request, const struct roots *roots, struct operation **operations,
		     struct refusal *refusal) {
	*refusal = (struct refusal){0};
	struct operation *list = calloc(request->record_count, sizeof *list);
	if (!list)
		return refuse(refusal, "", "out of memory");
	for (size_t i = 0; i < request->record_count; i++) {
		refusal->index = i;
		if (validate_one(&request->records[i], roots, &list[i], refusal) < 0) {
			operations_free(list, request->record_count);
			return -1;
		}
	}
	*operations = list;
	return 0;
}

void operations_free(struct operation *operations, size_t count) {
	for (size_t i = 0; i < count; i++)
		free(operations[i].lowers);
	free(operations);
}
