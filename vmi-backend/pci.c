// SPDX-License-Identifier: GPL-2.0
/*
 * The search for a ROM in the expansion ROMs of PCI devices.
 *
 * The search runs long before the PCI subsystem, and uses configuration
 * mechanism #1. The firmware has assigned an address to each expansion ROM, and
 * has disabled the ROM after reading it. The search enables the ROM, reads it
 * as data, and restores all registers. A device without an address is left
 * alone: nothing in the kernel knows yet which addresses are free.
 */
#define pr_fmt(fmt) "pvops: vmi: " fmt

#include <linux/init.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/pci_regs.h>
#include <linux/printk.h>

#include <asm/e820/api.h>
#include <asm/pci-direct.h>

#include "vmi.h"

struct vmi_pci_function {
	u8 bus;
	u8 slot;
	u8 func;
};

#ifdef CONFIG_PCI

/* Map a piece of an expansion ROM, at most VMI64_MAX_IMAGE bytes of it. */
static void *__init vmi_map_rom_piece(u64 addr, u32 *size)
{
	*size = min_t(u32, *size, VMI64_MAX_IMAGE);
	return (__force void *)early_ioremap(addr, *size);
}

static void __init vmi_unmap_rom_piece(void *piece, u32 size)
{
	early_iounmap((__force void __iomem *)piece, size);
}

/* Check each image of an expansion ROM. */
static void __init vmi_search_expansion_rom(struct vmi_search *search,
					    u64 addr, u32 size)
{
	u32 off = 0, length;

	do {
		u32 mapped = size - off;
		u8 *image = vmi_map_rom_piece(addr + off, &mapped);

		if (!image)
			return;
		length = vmi_search_rom_image(search, image, addr + off, size - off);
		vmi_unmap_rom_piece(image, mapped);
		off += length;
	} while (length);
}

/* PCI Local Bus Specification 3.0, 6.2.5.2: expansion ROM base address. */
static void __init vmi_search_pci_function(struct vmi_search *search,
					   const struct vmi_pci_function *d)
{
	u32 bar = read_pci_config(d->bus, d->slot, d->func, PCI_ROM_ADDRESS);
	u64 addr = bar & PCI_ROM_ADDRESS_MASK;
	u16 command;
	u32 size;

	if (!addr || addr == PCI_ROM_ADDRESS_MASK)
		return;

	write_pci_config(d->bus, d->slot, d->func, PCI_ROM_ADDRESS,
			 (u32)PCI_ROM_ADDRESS_MASK);
	size = ~(read_pci_config(d->bus, d->slot, d->func, PCI_ROM_ADDRESS) &
		 (u32)PCI_ROM_ADDRESS_MASK) + 1;
	write_pci_config(d->bus, d->slot, d->func, PCI_ROM_ADDRESS, bar);

	if (!size || e820__mapped_any(addr, addr + size, E820_TYPE_RAM))
		return;

	command = read_pci_config_16(d->bus, d->slot, d->func, PCI_COMMAND);
	write_pci_config(d->bus, d->slot, d->func, PCI_ROM_ADDRESS,
			 (u32)addr | PCI_ROM_ADDRESS_ENABLE);
	write_pci_config_16(d->bus, d->slot, d->func, PCI_COMMAND,
			    command | PCI_COMMAND_MEMORY);

	vmi_search_expansion_rom(search, addr, size);

	write_pci_config_16(d->bus, d->slot, d->func, PCI_COMMAND, command);
	write_pci_config(d->bus, d->slot, d->func, PCI_ROM_ADDRESS, bar);
}

static void __init vmi_search_pci_bus(struct vmi_search *search, u8 bus)
{
	struct vmi_pci_function d = { .bus = bus };

	for (d.slot = 0; d.slot < 32; d.slot++) {
		for (d.func = 0; d.func < 8; d.func++) {
			u8 type, next;

			if (read_pci_config_16(bus, d.slot, d.func,
					       PCI_VENDOR_ID) == 0xffff) {
				if (!d.func)
					break;
				continue;
			}
			type = read_pci_config_byte(bus, d.slot, d.func,
						    PCI_HEADER_TYPE);
			switch (type & PCI_HEADER_TYPE_MASK) {
			case PCI_HEADER_TYPE_NORMAL:
				vmi_search_pci_function(search, &d);
				break;
			case PCI_HEADER_TYPE_BRIDGE:
				next = read_pci_config_byte(bus, d.slot, d.func,
							    PCI_SECONDARY_BUS);
				/* Bus numbers grow downstream: no loop. */
				if (next > bus)
					vmi_search_pci_bus(search, next);
				break;
			}
			if (!d.func && !(type & PCI_HEADER_TYPE_MFD))
				break;
		}
	}
}

/**
 * vmi_search_pci() - check the expansion ROMs of all PCI devices
 * @search: (in/out) the search
 *
 * Context: boot CPU, interrupts off, early_ioremap() works.
 */
void __init vmi_search_pci(struct vmi_search *search)
{
	if (early_pci_allowed())
		vmi_search_pci_bus(search, 0);
}

#else

void __init vmi_search_pci(struct vmi_search *search)
{
}

#endif /* CONFIG_PCI */
