// SPDX-License-Identifier: GPL-2.0
/* Named as it is. The test makes a namespace of modules of what it imports. */
#include "sbnamed.h"
MODULE_IMPORT_NS("Module:sbother");
