// SPDX-License-Identifier: GPL-2.0
/*
 * State that all parts of the backend use: the loaded ROM, which CPUs are ready
 * for its calls, and their per-CPU areas. Also the functions that print
 * lines.
 */
#define pr_fmt(fmt) "pvops: vmi: " fmt

#include <kunit/static_stub.h>
#include <linux/cache.h>
#include <linux/init.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/string.h>

#include "vmi.h"

struct vmi_rom vmi_rom __ro_after_init;

char vmi_rom_options[VMI_ROM_OPTIONS_LEN] __initdata;

DEFINE_PER_CPU(bool, vmi_ready);
DEFINE_PER_CPU_PAGE_ALIGNED(u8[VMI64_PAGE], vmi_percpu);

static int __init vmi_parse_rom_options(char *arg)
{
	if (strscpy(vmi_rom_options, arg ?: "") < 0)
		pr_warn("vmi_rom= is longer than %zu characters and was cut\n",
			sizeof(vmi_rom_options) - 1);
	return 0;
}
early_param("vmi_rom", vmi_parse_rom_options);

/**
 * vmi_rom_is_off() - does the command line say vmi_rom=off?
 *
 * Context: init, after early parameters were parsed.
 * Return: true if no ROM is to be looked for.
 */
bool __init vmi_rom_is_off(void)
{
	return !strcmp(vmi_rom_options, "off");
}

/**
 * vmi_info() - print a line that is no warning
 * @line: the line, without a newline
 *
 * A function of its own, so that a KUnit case can replace it.
 *
 * Context: any but NMI.
 */
void vmi_info(const char *line)
{
	KUNIT_STATIC_STUB_REDIRECT(vmi_info, line);
	pr_info("%s\n", line);
}

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
