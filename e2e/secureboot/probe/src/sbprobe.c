// SPDX-License-Identifier: GPL-2.0
/* The smallest module: the Secure Boot test loads it in every disguise. */
#include <linux/init.h>
#include <linux/module.h>

static int __init sbprobe_start(void)
{
	pr_info("sbprobe: init ran\n");
	return 0;
}

static void __exit sbprobe_stop(void)
{
}

module_init(sbprobe_start);
module_exit(sbprobe_stop);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Secure Boot load probe");
