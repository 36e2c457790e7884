// SPDX-License-Identifier: GPL-2.0
/* Loads, and then its own start says no: nothing that a signature can tell. */
#include <linux/init.h>
#include <linux/module.h>

static int __init sbrefuse_start(void)
{
	return -ENODEV;
}

module_init(sbrefuse_start);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Secure Boot load probe, no such device");
