/* probe-files.c: what the file system of a directory can do without any mount. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cleanup.h"
#include "probe.h"

const char *filesystem_name(unsigned long magic) {
	static const struct {
		unsigned long magic;
		const char *name;
	} names[] = {
		{0xef53, "ext4"},	 {0x58465342, "xfs"},	  {0x9123683e, "btrfs"},     {0x01021994, "tmpfs"},
		{0x794c7630, "overlay"}, {0x2fc12fc1, "zfs"},	  {0xca451a4e, "bcachefs"},  {0xf2f52010, "f2fs"},
		{0x6969, "nfs"},	 {0x65735546, "fuse"},	  {0x858458f6, "ramfs"},     {0x01021997, "9p"},
		{0xff534d42, "cifs"},	 {0xfe534d42, "smb2"},	  {0x00c36400, "ceph"},	     {0xe0f5e1e2, "erofs"},
		{0x73717368, "squashfs"}, {0x4d44, "vfat"},	  {0x2011bab0, "exfat"},     {0x7366746e, "ntfs3"},
		{0x01161970, "gfs2"},	 {0x7461636f, "ocfs2"},	  {0x3153464a, "jfs"},	     {0x47504653, "gpfs"},
		{0x0bd00bd0, "lustre"},
	};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (names[i].magic == (magic & 0xffffffff))
			return names[i].name;
	return NULL;
}

static void find_d_type(int fd, struct finding *finding) {
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = again < 0 ? NULL : fdopendir(again);
	found(finding, false, "directory entries come without a type: xfs needs ftype=1");
	for (struct dirent *entry; stream && (entry = readdir(stream));)
		if (strcmp(entry->d_name, "file") == 0 && entry->d_type == DT_REG)
			found(finding, true, "%s", "");
	if (stream)
		closedir(stream);
	else if (again >= 0)
		close(again);
}

static void find_xattr(int file, const char *name, struct finding *finding) {
	char value = 0;
	if (fsetxattr(file, name, "y", 1, 0) < 0 || fgetxattr(file, name, &value, 1) != 1)
		found_errno(finding, "Cannot set %s", name);
	else
		found(finding, value == 'y', "%s", value == 'y' ? "" : "the value that was read is not the one written");
}

static void find_reflink(int fd, int file, struct finding *finding) {
	AUTO_CLOSE int copy = openat(fd, "copy", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (copy < 0 || write(file, "rootwright", 10) != 10)
		found_errno(finding, "Cannot write a file");
	else if (ioctl(copy, FICLONE, file) < 0)
		found_errno(finding, "Cannot share a file's data");
	else
		found(finding, true, "%s", "");
}

void probe_files(int fd, struct findings *findings) {
	struct stat stat;
	AUTO_CLOSE int file = openat(fd, "file", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	find_d_type(fd, &findings->d_type);
	find_reflink(fd, file, &findings->reflink);
	find_xattr(file, "trusted.rootwright", &findings->trusted_xattrs);
	find_xattr(file, "user.rootwright", &findings->user_xattrs);
	if (mknodat(fd, "whiteout", S_IFCHR | 0600, makedev(0, 0)) < 0)
		found_errno(&findings->mknod, "Cannot create the character device 0:0");
	else if (fstatat(fd, "whiteout", &stat, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISCHR(stat.st_mode) || stat.st_rdev != 0)
		found(&findings->mknod, false, "a character device 0:0 turned into something else");
	else
		found(&findings->mknod, true, "%s", "");
}
