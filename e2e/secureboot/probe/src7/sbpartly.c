// SPDX-License-Identifier: GPL-2.0
/* Named by the beginning of its name. */
#include "sbnamed.h"
