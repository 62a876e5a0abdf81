/* mount-state.c: see mount-state.h. */
#include "mount-state.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "cleanup.h"

static void close_stream(FILE **stream) {
	if (*stream)
		fclose(*stream);
}

#define AUTO_STREAM __attribute__((cleanup(close_stream)))

static int mount_id(int fd) {
	char path[64], line[256];
	int id = -1;
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	AUTO_STREAM FILE *info = fopen(path, "re");
	while (info && id < 0 && fgets(line, sizeof line, info))
		if (sscanf(line, "mnt_id: %d", &id) != 1)
			id = -1;
	return id;
}

/* The optional fields of a mountinfo line stand between the sixth field and " - ". */
static const char *from_line(const char *line) {
	const char *fields = line, *end = strstr(line, " - ");
	for (int i = 0; i < 6 && fields; i++)
		fields = strchr(fields + 1, ' ');
	if (!fields || !end || fields > end)
		return NULL;
	const char *shared = strstr(fields, " shared:"), *slave = strstr(fields, " master:");
	const char *unbindable = strstr(fields, " unbindable");
	bool is_shared = shared && shared < end, is_slave = slave && slave < end;
	if (unbindable && unbindable < end)
		return "unbindable";
	return is_shared && is_slave ? "slave+shared" : is_shared ? "shared" : is_slave ? "slave" : "private";
}

const char *propagation_of(int fd) {
	int wanted = mount_id(fd), id;
	AUTO_FREE char *line = NULL;
	size_t room = 0;
	AUTO_STREAM FILE *mounts = fopen("/proc/self/mountinfo", "re");
	while (wanted >= 0 && mounts && getline(&line, &room, mounts) > 0)
		if (sscanf(line, "%d", &id) == 1 && id == wanted)
			return from_line(line);
	return NULL;
}

int propagation_set(int fd, const char *propagation, struct fault *fault) {
	static const struct {
		const char *name;
		/* A shared mount becomes a slave of its peers only by a call of its own. */
		unsigned long first, second;
	} types[] = {{"private", MS_PRIVATE, 0},       {"slave", MS_SLAVE, 0},
		     {"shared", MS_SHARED, 0},	       {"unbindable", MS_UNBINDABLE, 0},
		     {"slave+shared", MS_SLAVE, MS_SHARED}};
	char magic[64];
	snprintf(magic, sizeof magic, "/proc/self/fd/%d", fd);
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		if (strcmp(types[i].name, propagation) != 0)
			continue;
		if (mount(NULL, magic, NULL, types[i].first, NULL) < 0 ||
		    (types[i].second && mount(NULL, magic, NULL, types[i].second, NULL) < 0))
			return fault_errno(fault, "Cannot make the mount %s", propagation);
	}
	return 0;
}
