// SPDX-License-Identifier: GPL-2.0
/* Needs a symbol that nobody has; weakly another one. */
#include <linux/init.h>
#include <linux/module.h>

int sb_nowhere(void);
int sb_perhaps(void) __attribute__((weak));

static int __init sbnowhere_start(void)
{
	return sb_nowhere() + (sb_perhaps ? 1 : 0);
}

module_init(sbnowhere_start);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Secure Boot load probe, unknown symbol");
