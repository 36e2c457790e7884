// SPDX-License-Identifier: GPL-2.0
/* Gives a symbol to the modules that its namespace names. */
#include <linux/init.h>
#include <linux/module.h>

int sb_named(void);

int sb_named(void) { return 4; }
EXPORT_SYMBOL_NS_GPL(sb_named, "module:sbmay-be,sbpart*,sbother");

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Secure Boot load probe, exports to named modules");
