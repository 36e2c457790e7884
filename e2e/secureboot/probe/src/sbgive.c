// SPDX-License-Identifier: GPL-2.0
/* Gives symbols to the other probes. */
#include <linux/init.h>
#include <linux/module.h>

int sb_plain(void);
int sb_gpl(void);
int sb_spaced(void);

int sb_plain(void) { return 1; }
EXPORT_SYMBOL(sb_plain);

int sb_gpl(void) { return 2; }
EXPORT_SYMBOL_GPL(sb_gpl);

int sb_spaced(void) { return 3; }
#ifdef SB_NS_STRING
EXPORT_SYMBOL_NS_GPL(sb_spaced, "SBSPACE");
#else
EXPORT_SYMBOL_NS_GPL(sb_spaced, SBSPACE);
#endif

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Secure Boot load probe, exports");
