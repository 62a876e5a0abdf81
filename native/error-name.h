/* error-name.h: the symbolic name of an errno, the same on every libc. */
#ifndef ROOTWRIGHT_ERROR_NAME_H
#define ROOTWRIGHT_ERROR_NAME_H

/* "ENOENT" for ENOENT; "EUNKNOWN" for a number that no file or mount call returns. Never NULL. */
const char *error_name(int number);

#endif
