/* tree-clone.c: copying a file between trees the cheapest way that the file systems allow, holes kept. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cleanup.h"
#include "tree.h"

enum { CHUNK = 128 * 1024 };

/* read/write of [offset, end) for file systems that copy_file_range cannot join. */
static int copy_by_hand(int from, int to, off_t offset, off_t end, struct failure *failure) {
	AUTO_FREE char *buffer = malloc(CHUNK);
	if (!buffer)
		return fail_with(failure, ENOMEM, "malloc", "");
	if (lseek(to, offset, SEEK_SET) < 0)
		return fail(failure, "lseek", "");
	while (offset < end) {
		size_t wanted = end - offset < CHUNK ? (size_t)(end - offset) : CHUNK;
		ssize_t got = pread(from, buffer, wanted, offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? fail(failure, "pread", "") : fail_with(failure, EIO, "pread", "the source shrank");
		if (write_all(to, buffer, (size_t)got, failure) < 0)
			return -1;
		offset += got;
	}
	return 0;
}

/* Copies [offset, end); once the kernel has refused copy_file_range, `method` says so and it is not asked again. */
static int copy_range(int from, int to, off_t offset, off_t end, enum clone_method *method, struct failure *failure) {
	while (offset < end && *method == CLONE_COPY_FILE_RANGE) {
		off_t in = offset, out = offset;
		ssize_t copied = copy_file_range(from, &in, to, &out, (size_t)(end - offset), 0);
		if (copied > 0)
			offset += copied;
		else if (copied == 0 || errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == ENOTSUP ||
			 errno == EPERM)
			*method = CLONE_READ_WRITE;
		else if (errno != EINTR)
			return fail(failure, "copy_file_range", "");
	}
	return copy_by_hand(from, to, offset, end, failure);
}

static int copy_data(int from, int to, const struct stat *stat, enum clone_method *method, uint64_t *bytes,
		     struct failure *failure) {
	off_t size = stat->st_size, written = 0;
	/* With room on the disk for all of it there is no hole to be looked for. */
	bool whole = stat->st_blocks >= (size + 511) / 512;
	for (off_t offset = 0; offset < size && !whole;) {
		off_t data = lseek(from, offset, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			break;
		/* Where holes cannot be found, the file is one piece of data. */
		if (data < 0)
			data = offset;
		off_t end = lseek(from, data, SEEK_HOLE);
		if (end < 0 || end > size)
			end = size;
		if (copy_range(from, to, data, end, method, failure) < 0)
			return -1;
		*bytes += (uint64_t)(end - data);
		offset = written = end;
	}
	if (whole) {
		*bytes = (uint64_t)size;
		return copy_range(from, to, 0, size, method, failure);
	}
	return written < size && ftruncate(to, size) < 0 ? fail(failure, "ftruncate", "") : 0;
}

/* Shares the data; where file systems cannot, they are not asked again for every file. */
static bool share_data(struct tree *tree, int from, int to) {
	if (tree->no_reflink)
		return false;
	if (ioctl(to, FICLONE, from) == 0)
		return true;
	tree->no_reflink = errno == EOPNOTSUPP || errno == ENOTTY || errno == EXDEV;
	return false;
}

int tree_clone(struct tree *tree, const char *path, struct tree *from, const char *from_path,
	       const struct attributes *attributes, enum clone_method *method, uint64_t *bytes,
	       struct failure *failure) {
	struct place place;
	struct stat stat;
	AUTO_CLOSE int source = tree_open_regular(from, from_path, false, &stat, failure);
	if (source < 0)
		return -1;
	if (tree_locate(tree, path, &place, failure) < 0)
		return -1;
	AUTO_CLOSE int fd = openat(place.parent, place.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
				   creation_mode(tree, attributes));
	if (fd < 0)
		return fail(failure, "openat", "");
	*method = CLONE_REFLINK;
	*bytes = (uint64_t)stat.st_size;
	int result = 0;
	if (stat.st_size == 0 || !share_data(tree, source, fd)) {
		*method = CLONE_COPY_FILE_RANGE;
		*bytes = 0;
		result = copy_data(source, fd, &stat, method, bytes, failure);
	}
	if (result == 0)
		result = apply_to_file(fd, attributes, failure);
	if (result < 0)
		unlinkat(place.parent, place.name, 0);
	return result;
}
