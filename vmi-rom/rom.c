// SPDX-License-Identifier: GPL-2.0
/*
 * The state of the ROMs hw and all-call.
 */
#include "rom.h"

struct rom rom;
struct rom_cpu vmi_cpu __section(".percpu");

#define CPUID_HYPERVISOR	(1u << 31)	/* leaf 1, ECX */
#define LEAF_FIRST		0x40000000
#define LEAF_LAST		0x4000ff00
#define LEAF_STEP		0x100

/*
 * The leaf with a hypervisor's signature, given as EBX, ECX and EDX, or 0. *MAX is
 * the highest leaf of that hypervisor.
 */
u32 hypervisor_leaf(u32 b, u32 c, u32 d, u32 *max)
{
	u32 regs[4], leaf;

	cpuid(1, 0, regs);
	if (!(regs[2] & CPUID_HYPERVISOR))
		return 0;
	for (leaf = LEAF_FIRST; leaf <= LEAF_LAST; leaf += LEAF_STEP) {
		cpuid(leaf, 0, regs);
		if (regs[1] != b || regs[2] != c || regs[3] != d)
			continue;
		*max = regs[0];
		return leaf;
	}
	return 0;
}
