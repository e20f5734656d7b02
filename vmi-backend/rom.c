// SPDX-License-Identifier: GPL-2.0
/*
 * State that all parts of the backend use: the loaded ROM, which CPUs are ready
 * for its calls, and their per-CPU areas. Also the function that prints
 * warnings.
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
 * vmi_warn() - print a warning of the backend
 * @line: the line, without a newline
 *
 * A function of its own, so that a KUnit case can replace it.
 *
 * Context: any but NMI.
 */
void vmi_warn(const char *line)
{
	KUNIT_STATIC_STUB_REDIRECT(vmi_warn, line);
	pr_warn("%s\n", line);
}
