// SPDX-License-Identifier: GPL-2.0
/* A dash of its name is written as one in the namespace. */
#include "sbnamed.h"
