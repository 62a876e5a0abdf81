/* tree-writer.c: files that are too large for one call: append, seek over holes, finish. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tree.h"

/* One write(2) moves at most 0x7ffff000 bytes, and may move less. */
int write_all(int fd, const void *data, size_t size, struct failure *failure) {
	const char *next = data;
	while (size > 0) {
		ssize_t written = write(fd, next, size);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? fail(failure, "write", "") : fail_with(failure, EIO, "write", "");
		next += written;
		size -= (size_t)written;
	}
	return 0;
}

int writer_open(struct writer *writer, struct tree *tree, const char *path, struct failure *failure) {
	struct place place;
	*writer = (struct writer){.fd = -1};
	if (tree_locate(tree, path, &place, failure) < 0)
		return -1;
	writer->fd = openat(place.parent, place.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (writer->fd < 0)
		return fail(failure, "openat", "");
	writer->path = strdup(path);
	return writer->path ? 0 : fail_with(failure, ENOMEM, "strdup", "");
}

int writer_append(struct writer *writer, const void *data, size_t size, struct failure *failure) {
	if (write_all(writer->fd, data, size, failure) < 0)
		return -1;
	writer->position += (int64_t)size;
	if (writer->position > writer->end)
		writer->end = writer->position;
	return 0;
}

int writer_seek(struct writer *writer, int64_t offset, struct failure *failure) {
	if (lseek(writer->fd, offset, SEEK_SET) < 0)
		return fail(failure, "lseek", "");
	writer->position = offset;
	return 0;
}

int writer_finish(struct writer *writer, int64_t size, const struct attributes *attributes, struct failure *failure) {
	if (size < writer->end)
		return fail_with(failure, EINVAL, "ftruncate", "the size is less than what was written");
	if (size != writer->end && ftruncate(writer->fd, size) < 0)
		return fail(failure, "ftruncate", "");
	if (apply_to_file(writer->fd, attributes, failure) < 0)
		return -1;
	/* Some file systems report a failed write only here. Whatever close says, the descriptor is gone. */
	int fd = writer->fd;
	writer->fd = -1;
	return close(fd) < 0 && errno != EINTR ? fail(failure, "close", "") : 0;
}

void writer_close(struct writer *writer) {
	if (writer->fd >= 0)
		close(writer->fd);
	writer->fd = -1;
	free(writer->path);
	writer->path = NULL;
}
