/* tree-check.c: the core of the addon under AddressSanitizer, without Node: the calls, their failures, their frees. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tree.h"

static int failures;
static struct failure failure;

#define EXPECT(condition) \
	do { \
		if (!(condition)) { \
			failures++; \
			fprintf(stderr, "tree-check: line %d: %s (%s: %s)\n", __LINE__, #condition, \
				failure.call ? failure.call : "", strerror(failure.error)); \
		} \
	} while (0)

static const struct attributes plain = {.mode = 0644, .uid = -1, .gid = -1, .mtime = {-7, 999999999}};
static const struct attributes directory = {.mode = 0755, .uid = -1, .gid = -1};

static void check_creation(struct tree *tree) {
	struct stat stat;
	char target[4097];
	size_t length;
	EXPECT(tree_mkdir(tree, "d", &directory, &failure) == 0);
	EXPECT(tree_create_file(tree, "/d/f", "data", 4, &plain, &failure) == 0);
	EXPECT(tree_create_file(tree, "./d/f", "data", 4, &plain, &failure) < 0 && failure.error == EEXIST);
	EXPECT(tree_lstat(tree, "d/f", &stat, &failure) == 0 && stat.st_mtim.tv_sec == -7 && stat.st_size == 4);
	EXPECT(tree_symlink(tree, "d/s", "../../../../../..", &plain, &failure) == 0);
	EXPECT(tree_readlink(tree, "d/s", target, &length, &failure) == 0 && length == 17);
	EXPECT(tree_link(tree, "d/s/linked", "d/f", &failure) == 0);
	EXPECT(tree_lstat(tree, "linked", &stat, &failure) == 0 && stat.st_nlink == 2);
	EXPECT(tree_mkdir(tree, "..", &directory, &failure) < 0 && failure.error == EEXIST);
	EXPECT(tree_lstat(tree, "", &stat, &failure) < 0 && failure.error == ENOENT);
	EXPECT(tree_remove(tree, "d/..", &failure) < 0 && failure.error == EINVAL);
}

static void check_pieces(struct tree *tree) {
	struct writer writer;
	enum clone_method method;
	uint64_t bytes;
	void *data;
	size_t size;
	EXPECT(writer_open(&writer, tree, "d/big", &failure) == 0);
	EXPECT(writer_seek(&writer, 1 << 20, &failure) == 0 && writer_append(&writer, "end", 3, &failure) == 0);
	EXPECT(writer_finish(&writer, 5, &plain, &failure) < 0 && failure.error == EINVAL);
	EXPECT(writer_finish(&writer, 2 << 20, &plain, &failure) == 0);
	writer_close(&writer);
	EXPECT(tree_clone(tree, "d/copy", tree, "d/big", &plain, &method, &bytes, &failure) == 0);
	EXPECT(tree_read_file(tree, "d/copy", 1 << 20, false, &data, &size, &failure) < 0 && failure.error == EFBIG);
	EXPECT(tree_read_file(tree, "d/copy", 2 << 20, false, &data, &size, &failure) == 0 && size == 2 << 20);
	EXPECT(memcmp((char *)data + (1 << 20), "end", 4) == 0);
	free(data);
}

static void check_lists(struct tree *tree) {
	char *list;
	size_t size;
	const struct xattr one = {"user.one", "1", 1}, empty = {"user.empty", "", 0};
	EXPECT(tree_drop_acls(tree, &failure) == 0);
	int supported = tree_set_xattr(tree, "d/f", &one, &failure) == 0;
	EXPECT(supported || failure.error == ENOTSUP);
	EXPECT(!supported || tree_set_xattr(tree, "d/f", &empty, &failure) == 0);
	EXPECT(tree_xattrs(tree, "d/f", &list, &size, &failure) == 0 && (size > 0) == supported);
	free(list);
	EXPECT(tree_list(tree, "d", &list, &size, &failure) == 0 && strcmp(list, "big") == 0);
	free(list);
	EXPECT(tree_list(tree, "d/f", &list, &size, &failure) < 0 && failure.error == ENOTDIR);
}

/* Deeper than the descriptors that removal may hold, and than a path may be long. */
static void check_depth(struct tree *tree) {
	int at = openat(tree->root, "d", O_RDONLY | O_DIRECTORY);
	for (int i = 0; at >= 0 && i < 600; i++) {
		EXPECT(mkdirat(at, "deep-directory", 0700) == 0);
		int next = openat(at, "deep-directory", O_RDONLY | O_DIRECTORY);
		close(at);
		at = next;
	}
	close(at);
	EXPECT(tree_remove(tree, "d", &failure) == 0);
	EXPECT(tree_remove(tree, "d", &failure) == 0);
}

int main(void) {
	char path[] = "/tmp/tree-check-XXXXXX";
	char *list;
	size_t size;
	struct tree tree;
	if (!mkdtemp(path) || tree_open(&tree, path, &failure) < 0) {
		perror(path);
		return 1;
	}
	check_creation(&tree);
	check_pieces(&tree);
	check_lists(&tree);
	check_depth(&tree);
	EXPECT(tree_remove(&tree, ".", &failure) == 0);
	EXPECT(tree_list(&tree, ".", &list, &size, &failure) == 0 && size == 0);
	free(list);
	tree_close(&tree);
	EXPECT(rmdir(path) == 0);
	printf("tree-check: %d failures\n", failures);
	return failures != 0;
}
