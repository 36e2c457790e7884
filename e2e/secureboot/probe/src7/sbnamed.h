/* SPDX-License-Identifier: GPL-2.0 */
/* Needs the symbol that sbnames gives to modules by name. */
#include <linux/init.h>
#include <linux/module.h>

int sb_named(void);

static int __init named_start(void)
{
	pr_info(KBUILD_MODNAME ": init ran\n");
	return sb_named() == 4 ? 0 : -EIO;
}

static void __exit named_stop(void)
{
}

module_init(named_start);
module_exit(named_stop);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Secure Boot load probe, named by a namespace");
