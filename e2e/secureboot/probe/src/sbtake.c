// SPDX-License-Identifier: GPL-2.0
/* Needs a plain and a GPL-only symbol of sbgive. */
#include <linux/init.h>
#include <linux/module.h>

int sb_plain(void);
int sb_gpl(void);

static int __init sbtake_start(void)
{
	pr_info("sbtake: init ran\n");
	return sb_plain() + sb_gpl() == 3 ? 0 : -EIO;
}

static void __exit sbtake_stop(void)
{
}

module_init(sbtake_start);
module_exit(sbtake_stop);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Secure Boot load probe, imports");
