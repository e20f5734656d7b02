// SPDX-License-Identifier: GPL-2.0
/*
 * State that all other parts of the backend use: the loaded ROM, each CPU's
 * state with the ROM, and the one way to print a warning.
 */
#define pr_fmt(fmt) "pvops: vmi: " fmt

#include <kunit/static_stub.h>
#include <linux/cache.h>
#include <linux/percpu.h>
#include <linux/printk.h>

#include "vmi.h"

struct vmi_rom vmi_rom __ro_after_init;

DEFINE_PER_CPU(bool, vmi_ready);
DEFINE_PER_CPU_PAGE_ALIGNED(u8[VMI64_PAGE], vmi_percpu);

/**
 * vmi_warn() - one warning of the backend's
 * @line: the line, without a newline
 *
 * Apart, so that a KUnit case can listen instead of the log.
 *
 * Context: any but NMI.
 */
void vmi_warn(const char *line)
{
	KUNIT_STATIC_STUB_REDIRECT(vmi_warn, line);
	pr_warn("%s\n", line);
}
