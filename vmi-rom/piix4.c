// SPDX-License-Identifier: GPL-2.0
/*
 * The power-management registers of a PIIX4, the chipset of QEMU's machine pc.
 * Intel 82371AB (PIIX4), function 3: datasheet, chapters 7.1 and 7.2.
 */
#include "base.h"

#define PCI_ADDRESS		0xcf8
#define PCI_DATA		0xcfc
#define PCI_ENABLE		0x80000000u
#define PIIX4_PM_ID		0x71138086
#define PIIX4_PMBASE		0x40
#define PIIX4_PMBASE_MASK	0xffc0
#define PIIX4_PMREGMISC		0x80
#define PMREGMISC_PMIOSE	0x1

static u32 pci_read(u32 function, u32 reg)
{
	out32(PCI_ADDRESS, PCI_ENABLE | function << 8 | reg);
	return in32(PCI_DATA);
}

/* The I/O port of a power-management register of a PIIX4, or 0. */
u16 piix4_pm_port(u16 offset)
{
	u32 before = in32(PCI_ADDRESS), function;
	u16 port = 0;

	for (function = 0; function < 0x100; function++) {
		if (pci_read(function, 0) != PIIX4_PM_ID)
			continue;
		if (pci_read(function, PIIX4_PMREGMISC) & PMREGMISC_PMIOSE)
			port = (pci_read(function, PIIX4_PMBASE) &
				PIIX4_PMBASE_MASK) + offset;
		break;
	}
	out32(PCI_ADDRESS, before);
	return port;
}
