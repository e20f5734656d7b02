// SPDX-License-Identifier: GPL-2.0
/*
 * Services: the kernel functions that the ROM calls. Fixups give it the
 * addresses.
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
 * vmi_cut_unprintable() - end a text of the ROM before the first odd character
 * @text: (in/out) the text; NUL-terminated afterwards
 * @size: size of @text
 *
 * A text that reaches the log must not look like another line of it.
 *
 * Context: any.
 */
void vmi_cut_unprintable(char *text, size_t size)
{
	size_t len = 0;

	while (len < size - 1 && text[len] >= 0x20 && text[len] <= 0x7e)
		len++;
	text[len] = '\0';
}

/**
 * vmi_service_log() - print a line of the ROM in the kernel's log
 * @line: printable ASCII. The line is cut before the first other character, and
 *	after 120 characters
 *
 * Context: VMI_Init, INIT_CPU, EXIT_CPU, REBOOT and SHUTDOWN. REBOOT may be made in
 * an NMI, after a panic there.
 */
void vmi_service_log(const char *line)
{
	char text[121];

	/* Not a plain read: the ROM's memory has no KASAN shadow. */
	if (strncpy_from_kernel_nofault(text, line, sizeof(text)) < 0) {
		pr_warn("ROM: a line that cannot be read\n");
		return;
	}
	vmi_cut_unprintable(text, sizeof(text));
	pr_info("ROM: %s\n", text);
}

/**
 * vmi_service_rdmsr() - read an MSR that may be missing
 * @msr: number of the MSR
 * @value: (out) contents of the MSR; 0 if it is missing
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
 * vmi_service_wrmsr() - write an MSR that may be missing
 * @msr: number of the MSR
 * @value: the value to write
 *
 * Context: any, NMI too.
 * Return: 0, or -EIO if the CPU raised #GP.
 */
notrace s32 vmi_service_wrmsr(u32 msr, u64 value)
{
	return native_write_msr_safe(msr, (u32)value, (u32)(value >> 32));
}

/**
 * vmi_service_load_gs_index() - load the GS selector of user mode
 * @selector: the selector. For an invalid one, 0 is loaded
 *
 * Context: from the ROM's LOAD_GS_INDEX, interrupts off.
 */
void vmi_service_load_gs_index(u32 selector)
{
	native_load_gs_index(selector);
}
