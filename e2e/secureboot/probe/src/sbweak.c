// SPDX-License-Identifier: GPL-2.0
/* Wants a symbol that nobody has, but only weakly. */
#include <linux/init.h>
#include <linux/module.h>

int sb_perhaps(void) __attribute__((weak));

/* By a pointer in memory: arm64's compiler would go through a global offset table, which modules have none of. */
static int (*volatile perhaps)(void) = sb_perhaps;

static int __init sbweak_start(void)
{
	pr_info("sbweak: init ran\n");
	return perhaps ? -EIO : 0;
}

static void __exit sbweak_stop(void)
{
}

module_init(sbweak_start);
module_exit(sbweak_stop);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Secure Boot load probe, weak symbol");
