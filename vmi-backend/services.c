// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel does for the ROM: the functions behind fixups.
 */
#define pr_fmt(fmt) "pvops: vmi: " fmt

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/uaccess.h>

#include <asm/gsseg.h>
#include <asm/msr.h>

#include "vmi.h"

/**
 * vmi_service_log() - one line of the ROM's for the kernel's log
 * @line: printable ASCII; cut where it is too long or has anything else
 *
 * Context: the calls that the ABI allows it in; none of them an NMI.
 */
void vmi_service_log(const char *line)
{
	unsigned int len = 0;
	char text[121];

	/* The ROM's memory has no KASAN shadow. */
	if (strncpy_from_kernel_nofault(text, line, sizeof(text)) < 0) {
		pr_warn("ROM: a line that cannot be read\n");
		return;
	}
	while (len < sizeof(text) - 1 && text[len] >= 0x20 && text[len] <= 0x7e)
		len++;
	pr_info("ROM: %.*s\n", len, text);
}

/**
 * vmi_service_rdmsr() - RDMSR that survives a missing MSR
 * @msr: number of the MSR
 * @value: (out) what it holds; 0 if it is not there
 *
 * Context: any, NMI too.
 * Return: 0, or -EIO if the CPU raised #GP.
 */
notrace s32 vmi_service_rdmsr(u32 msr, u64 *value)
{
	int err;

	*value = native_read_msr_safe(msr, &err);
	if (err)
		*value = 0;
	return err;
}

/**
 * vmi_service_wrmsr() - WRMSR that survives a missing MSR
 * @msr: number of the MSR
 * @value: what to write
 *
 * Context: any, NMI too.
 * Return: 0, or -EIO if the CPU raised #GP.
 */
notrace s32 vmi_service_wrmsr(u32 msr, u64 value)
{
	return native_write_msr_safe(msr, (u32)value, (u32)(value >> 32));
}

/**
 * vmi_service_load_gs_index() - load user mode's GS selector
 * @selector: the selector; a bad one loads 0
 *
 * Context: from the ROM's LOAD_GS_INDEX, interrupts off.
 */
void vmi_service_load_gs_index(u32 selector)
{
	native_load_gs_index(selector);
}
