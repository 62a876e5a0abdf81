/*
 * tree.h: file operations inside one directory, the root, that nothing can be named out of.
 *
 * Paths are NUL-terminated bytes. The directory part is resolved by the kernel (openat2, RESOLVE_IN_ROOT), so that
 * "..", absolute paths and symlinks stay inside; the last component is never followed unless a function says so.
 * A leading "/" or "./" and trailing slashes mean nothing.
 *
 * Every function that can fail returns 0 or -1 and then fills `failure`. A tree belongs to one thread at a time.
 */
#ifndef ROOTWRIGHT_TREE_H
#define ROOTWRIGHT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

/* What went wrong: an errno, the call that returned it, and what it was about if that is not the path (may be ""). */
struct failure {
	int error;
	const char *call;
	char detail[512];
};

struct xattr {
	const char *name;
	const void *value;
	size_t size;
};

/* The access time is set to `mtime` as well. `uid` and `gid` of -1 leave the owner. */
struct attributes {
	mode_t mode;
	int64_t uid, gid;
	struct timespec mtime;
	const struct xattr *xattrs;
	size_t xattr_count;
};

enum { TREE_PARENTS = 4 };

/*
 * `parents` remembers directories that were resolved lately: an archive names the same one many times in a row.
 * Creating a name cannot change what another path resolves to; whatever can (removal, symlinks) empties the cache.
 */
struct tree {
	int root;
	uid_t uid; /* whose files are that are made here, as far as the file system does not decide otherwise */
	gid_t gid;
	bool no_reflink; /* files that are cloned into here cannot share their data */
	uint64_t clock;
	struct {
		char *path;
		int fd;
		uint64_t used;
	} parents[TREE_PARENTS];
};

/* A name in a directory. `parent` is borrowed from the tree, valid until its second-next resolution. */
struct place {
	int parent;
	const char *name;
	char buffer[4096];
};

/* A file being written; `end` is where the furthest byte was written. `path` is for messages. */
struct writer {
	int fd;
	char *path;
	int64_t position, end;
};

enum clone_method { CLONE_REFLINK, CLONE_COPY_FILE_RANGE, CLONE_READ_WRITE };

/* tree.c */
int tree_open(struct tree *tree, const char *host_path, struct failure *failure);
void tree_close(struct tree *tree);
void tree_forget(struct tree *tree);
int tree_locate(struct tree *tree, const char *path, struct place *place, struct failure *failure);
int fail(struct failure *failure, const char *call, const char *detail);
int fail_with(struct failure *failure, int error, const char *call, const char *detail);

/* tree-attributes.c */
int apply_to_file(int fd, const struct attributes *attributes, struct failure *failure);
int chmod_nofollow(int parent, const char *name, mode_t mode, struct failure *failure);
int apply_to_name(int parent, const char *name, const struct attributes *attributes, struct failure *failure);
int tree_set_attributes(struct tree *tree, const char *path, const struct attributes *attributes,
			struct failure *failure);
int tree_set_xattr(struct tree *tree, const char *path, const struct xattr *xattr, struct failure *failure);
int tree_drop_acls(struct tree *tree, struct failure *failure);

/*
 * tree-write.c: creators; a name that exists is EEXIST, and what failed half-way is removed again.
 * tree_mkdir without attributes leaves the directory to its owner alone, until tree_set_attributes.
 */
mode_t creation_mode(const struct tree *tree, const struct attributes *attributes);
int tree_create_file(struct tree *tree, const char *path, const void *data, size_t size,
		     const struct attributes *attributes, struct failure *failure);
int tree_mkdir(struct tree *tree, const char *path, const struct attributes *attributes, struct failure *failure);
int tree_symlink(struct tree *tree, const char *path, const char *target, const struct attributes *attributes,
		 struct failure *failure);
int tree_link(struct tree *tree, const char *path, const char *existing, struct failure *failure);
int tree_mknod(struct tree *tree, const char *path, mode_t type, unsigned major, unsigned minor,
	       const struct attributes *attributes, struct failure *failure);
int tree_sync(struct tree *tree, struct failure *failure);

/* tree-writer.c: a large file in pieces. An unfinished file stays where it is when the writer is closed. */
int writer_open(struct writer *writer, struct tree *tree, const char *path, struct failure *failure);
int writer_append(struct writer *writer, const void *data, size_t size, struct failure *failure);
int writer_seek(struct writer *writer, int64_t offset, struct failure *failure);
int writer_finish(struct writer *writer, int64_t size, const struct attributes *attributes, struct failure *failure);
void writer_close(struct writer *writer);
int write_all(int fd, const void *data, size_t size, struct failure *failure);

/* tree-read.c: what they return through pointers is malloc'ed; the caller frees it. */
int tree_lstat(struct tree *tree, const char *path, struct stat *stat, struct failure *failure);
int tree_readlink(struct tree *tree, const char *path, char target[4097], size_t *length, struct failure *failure);
int tree_open_regular(struct tree *tree, const char *path, bool follow, struct stat *stat, struct failure *failure);
int tree_read_file(struct tree *tree, const char *path, size_t limit, bool follow, void **data, size_t *size,
		   struct failure *failure);
/* `names`: one block, each name NUL-terminated, sorted bytewise. */
int tree_list(struct tree *tree, const char *path, char **names, size_t *size, struct failure *failure);
/* `list`: name NUL, value size as a native size_t, value; repeated. */
int tree_xattrs(struct tree *tree, const char *path, char **list, size_t *size, struct failure *failure);

/* tree-remove.c: whatever is at `path`, with all below it; missing is fine. The root itself is emptied, not removed. */
int tree_remove(struct tree *tree, const char *path, struct failure *failure);

/* tree-clone.c: a new file with the content, holes included, of a regular file in another (or the same) tree. */
int tree_clone(struct tree *tree, const char *path, struct tree *from, const char *from_path,
	       const struct attributes *attributes, enum clone_method *method, uint64_t *bytes, struct failure *failure);

#endif
