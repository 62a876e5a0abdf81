/* fault.h: why an operation could not be done: errno, a sentence, and what to do about it. */
#ifndef ROOTWRIGHT_FAULT_H
#define ROOTWRIGHT_FAULT_H

struct fault {
	int error;
	char message[1024];
	/* NULL where there is no advice to give. */
	const char *hint;
};

/* Fills `fault` from errno: "<formatted>: No such file or directory (ENOENT)", with the usual hint. Returns -1. */
__attribute__((format(printf, 2, 3))) int fault_errno(struct fault *fault, const char *format, ...);
/* Adds to the message. */
__attribute__((format(printf, 2, 3))) void fault_add(struct fault *fault, const char *format, ...);

#endif
