// SPDX-License-Identifier: GPL-2.0
/* Needs a symbol of sbgive's namespace, and imports it. */
#include <linux/init.h>
#include <linux/module.h>

int sb_spaced(void);

static int __init sbspace_start(void)
{
	pr_info("sbspace: init ran\n");
	return sb_spaced() == 3 ? 0 : -EIO;
}

static void __exit sbspace_stop(void)
{
}

module_init(sbspace_start);
module_exit(sbspace_stop);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Secure Boot load probe, namespace");
#ifdef SB_NS_STRING
MODULE_IMPORT_NS("SBSPACE");
#else
MODULE_IMPORT_NS(SBSPACE);
#endif
