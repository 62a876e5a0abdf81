/* namespace.h: a mount namespace of one's own, and if asked a user namespace in which the caller is root. */
#ifndef ROOTWRIGHT_NAMESPACE_H
#define ROOTWRIGHT_NAMESPACE_H

#include <stdbool.h>

#include "fault.h"

/* Afterwards no mount made here is seen outside, and none made outside is seen here. */
int namespace_enter(bool userns, struct fault *fault);

#endif
