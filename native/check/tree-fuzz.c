/*
 * tree-fuzz.c: the addon's file operations, and the mount program's opening of paths, with any path there is, in a tree
 * full of links that lead out of it. Whatever is asked, nothing outside is created, changed or read, and every directory
 * that a path is resolved to lies in the root.
 */
#include <errno.h>
#include <fcntl.h>
#include <sanitizer/common_interface_defs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hostile-tree.h"
#include "paths.h"
#include "random.h"
#include "tree.h"

enum { ROUNDS = 120000, SECONDS = 6, REFILL_EVERY = 500, MET_OFTEN = 20 };

static const char *const names[] = {"a",    "b",      "c",	  "file",     "fifo",	"new",	   "new2",	"climb",
				    "up",   "up2",    "far",	  "secret",   "absolute", "absolute-file", "slash", "etc",
				    "proc", "magic",  "magic-fd", "loop",     "ring1",	"dangling", "in",	"dot",
				    "chain1", "chain2", "outside", "only",    "root",	".",	   "..",	"..",
				    "",	    "...",    "passwd",	  "\xff\xfe", " \n\t",	"self",	   "fd"};
/* Half of all names: what is there, or is made. */
static const char *const likely[] = {"a", "b", "c", "in", "dot", "file", "new", "new2", "climb", "up", "far", "..", "chain1"};
static const char *const files[] = {"a/file", "in/../file", "secret", "new", "absolute-file"};
static const char *const targets[] = {"..", "../..",	"/",	 "../outside",	    "/etc",  "a",	"new",	    ".", "loop",
				      "up", "far/etc", "/../..", "../../outside/only-here", "chain1", "/proc/self/root", "a/b/../../.."};

enum operation {
	LOCATE, CREATE, MKDIR, SYMLINK, LINK, MKNOD, ATTRIBUTES, XATTR, REMOVE, LSTAT, READLINK, READ, FOLLOW, LIST, XATTRS,
	WRITER, CLONE, BENEATH, OPERATIONS
};

static const char *const operation_names[OPERATIONS] = {
	"locate", "create", "mkdir", "symlink", "link",	  "mknod",  "attributes", "xattr",   "remove",
	"lstat",  "readlink", "read", "follow",	"list",	  "xattrs", "writer",	  "clone",   "beneath",
};

static struct {
	unsigned long round;
	uint64_t seed;
	enum operation operation;
	char path[PATH_MAX + 64], other[PATH_MAX + 64];
} now;

static struct hostile hostile;
static struct tree tree;
static struct failure failure;
static unsigned long done[OPERATIONS];

static void tell_input(void) {
	fprintf(stderr, "tree-fuzz: round %lu of ROOTWRIGHT_FUZZ_SEED=%llu: %s \"%s\" \"%s\" (%s: %s)\n", now.round,
		(unsigned long long)now.seed, operation_names[now.operation], now.path, now.other,
		failure.call ? failure.call : "", strerror(failure.error));
}

#define REQUIRE(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "tree-fuzz: broken: %s\n", #condition); \
			tell_input(); \
			_Exit(1); \
		} \
	} while (0)

static void make_path(char path[PATH_MAX + 64], struct random *random) {
	static const char *const starts[] = {"", "", "", "/", "./", "../", "//", "/../"};
	size_t length = (size_t)snprintf(path, PATH_MAX, "%s", PICK(random, starts));
	size_t most = next_random(random, 8) == 0 ? 6 : 2;
	for (size_t count = 1 + next_random(random, most); count > 0; count--) {
		const char *name = next_random(random, 2) ? PICK(random, likely) : PICK(random, names);
		length += (size_t)snprintf(path + length, PATH_MAX - length, "%s/", name);
	}
	if (next_random(random, 4) > 0)
		path[--length] = '\0';
	if (next_random(random, 100) > 0)
		return;
	/* as long as a path can be, or a little longer; or with a name that is */
	size_t wanted = next_random(random, 2) ? PATH_MAX - 3 + next_random(random, 6) : length + 250 + next_random(random, 10);
	for (; length < wanted; length++)
		path[length] = wanted > 1000 && length % 2 ? '/' : 'p';
	path[length] = '\0';
}

/* What was found is no place outside. */
static int found(int result, const struct stat *stat) {
	REQUIRE(result < 0 || !hostile_is_outside(&hostile, stat));
	return result;
}

static int locate(const char *path) {
	struct place place;
	int result = tree_locate(&tree, path, &place, &failure);
	if (result == 0) {
		REQUIRE(hostile_is_inside(&hostile, place.parent));
		REQUIRE(place.name[0] && !strchr(place.name, '/') && strcmp(place.name, "..") != 0);
	}
	return result;
}

static int read_file(const char *path, bool follow) {
	void *data;
	size_t size;
	struct stat stat;
	int fd = tree_open_regular(&tree, path, follow, &stat, &failure);
	if (fd < 0)
		return -1;
	found(0, &stat);
	close(fd);
	if (tree_read_file(&tree, path, 1 << 16, follow, &data, &size, &failure) < 0)
		return -1;
	REQUIRE(size < 9 || memcmp(data, "untouched", 9) != 0);
	free(data);
	return 0;
}

static int list(const char *path, bool xattrs) {
	char *block = NULL;
	size_t size;
	int result = xattrs ? tree_xattrs(&tree, path, &block, &size, &failure)
			    : tree_list(&tree, path, &block, &size, &failure);
	/* Names that are never made here: one of the place outside, and some of every machine. */
	for (size_t at = 0; result == 0 && !xattrs && at < size; at += strlen(block + at) + 1)
		REQUIRE(strcmp(block + at, "only-here") && strcmp(block + at, "usr") && strcmp(block + at, "hostname"));
	free(block);
	return result;
}

static int write_large(const char *path, const struct attributes *attributes) {
	struct writer writer;
	if (writer_open(&writer, &tree, path, &failure) < 0)
		return -1;
	int result = writer_append(&writer, "data", 4, &failure);
	if (result == 0)
		result = writer_finish(&writer, 4, attributes, &failure);
	writer_close(&writer);
	return result;
}

static int clone_file(const char *path, const char *from, const struct attributes *attributes) {
	enum clone_method method;
	uint64_t bytes;
	struct stat stat;
	int result = tree_clone(&tree, path, &tree, from, attributes, &method, &bytes, &failure);
	/* Its own content, and that of nothing outside: there every file has some. */
	if (result == 0 && tree_lstat(&tree, path, &stat, &failure) == 0)
		REQUIRE(stat.st_size == 4 || stat.st_size == 0);
	return result;
}

/* The mount program's way to a path: literally this place, or nothing. */
static int beneath(const char *path) {
	char host[2 * PATH_MAX], link[64], real[PATH_MAX];
	struct roots roots = {0};
	struct fault fault;
	snprintf(host, sizeof host, "%s/%s", hostile.root, path);
	if (path_problem(host) || roots_add(&roots, hostile.root) || !roots_allow(&roots, host, false) ||
	    roots_open(&roots, &fault) < 0)
		return -1;
	int fd = open_beneath(&roots, host, 0);
	if (fd >= 0) {
		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		ssize_t length = readlink(link, real, sizeof real - 1);
		real[length > 0 ? length : 0] = '\0';
		REQUIRE(strcmp(real, host) == 0);
		close(fd);
	}
	roots_close(&roots);
	return fd < 0 ? -1 : 0;
}

static int run_one(enum operation operation, const char *path, const char *other, struct random *random) {
	const struct xattr xattr = {"user.x", "value", 5};
	const struct attributes attributes = {
	    .mode = 0755,
	    .uid = -1,
	    .gid = -1,
	    .mtime = {1000, 1},
	    .xattrs = &xattr,
	    .xattr_count = next_random(random, 2),
	};
	char target[4097];
	size_t length;
	struct stat stat;
	switch (operation) {
	case LOCATE:
		return locate(path);
	case CREATE:
		return tree_create_file(&tree, path, "data", 4, &attributes, &failure);
	case MKDIR:
		return tree_mkdir(&tree, path, &attributes, &failure);
	case SYMLINK:
		return tree_symlink(&tree, path, next_random(random, 2) ? PICK(random, targets) : other, &attributes, &failure);
	case LINK:
		return tree_link(&tree, path, other, &failure);
	case MKNOD:
		return tree_mknod(&tree, path, S_IFIFO, 0, 0, &attributes, &failure);
	case ATTRIBUTES:
		return tree_set_attributes(&tree, path, &attributes, &failure);
	case XATTR:
		return tree_set_xattr(&tree, path, &xattr, &failure);
	case REMOVE:
		return tree_remove(&tree, path, &failure);
	case LSTAT:
		return found(tree_lstat(&tree, path, &stat, &failure), &stat);
	case READLINK:
		return tree_readlink(&tree, path, target, &length, &failure);
	case READ:
	case FOLLOW:
		return read_file(path, operation == FOLLOW);
	case LIST:
	case XATTRS:
		return list(path, operation == XATTRS);
	case WRITER:
		return write_large(path, &attributes);
	case CLONE:
		return clone_file(path, other, &attributes);
	default:
		return beneath(path);
	}
}

int main(void) {
	struct bounds bounds = bounds_of(ROUNDS, SECONDS);
	struct random random = {bounds.seed};
	now.seed = bounds.seed;
	__sanitizer_set_death_callback(tell_input);
	if (hostile_open(&hostile) < 0 || tree_open(&tree, hostile.root, &failure) < 0 || hostile_fill(&hostile) < 0) {
		perror("tree-fuzz: the tree cannot be made");
		return 1;
	}
	for (; goes_on(&bounds, now.round); now.round++) {
		if (now.round % REFILL_EVERY == REFILL_EVERY - 1) {
			REQUIRE(tree_remove(&tree, ".", &failure) == 0 && hostile_fill(&hostile) == 0);
			REQUIRE(hostile_untouched(&hostile));
		}
		make_path(now.path, &random);
		make_path(now.other, &random);
		now.operation = (enum operation)next_random(&random, OPERATIONS);
		if (now.operation == CLONE && next_random(&random, 2))
			strcpy(now.other, PICK(&random, files));
		done[now.operation] += run_one(now.operation, now.path, now.other, &random) == 0;
		REQUIRE(hostile_untouched(&hostile));
	}
	REQUIRE(tree_remove(&tree, ".", &failure) == 0);
	tree_close(&tree);
	REQUIRE(hostile_close(&hostile) == 0);
	printf("tree-fuzz: %lu operations; done:", now.round);
	int enough = 1;
	for (int i = 0; i < OPERATIONS; i++) {
		printf(" %s %lu", operation_names[i], done[i]);
		enough = enough && done[i] > MET_OFTEN;
	}
	printf("\n");
	return enough ? 0 : 1;
}
