// SPDX-License-Identifier: GPL-2.0
/* From the answers of a ROM to pv_ops (vmi-backend/wire.c). */
#include <kunit/test.h>

#include "vmi.h"
#include "vmi_adapter_test.h"

/*
 * The code for a call site is what stands behind ENDBR64 of an INLINE call, as
 * long as the op in the table is this call.
 * Otherwise a call site executes the code of an op that was replaced.
 */
void vmi_test_bodies_for_sites(struct kunit *test)
{
	static const struct vmi64_call calls[] = {
		{ .call = VMI64_CALL_GET_CR0, .type = VMI64_RELOC_CALL,
		  .entry = 0x40, .length = 8 },
		{ .call = VMI64_CALL_HALT, .type = VMI64_RELOC_INLINE,
		  .entry = 0x80, .length = 2 },
	};
	struct vmi_rom *rom = kunit_kzalloc(test, sizeof(*rom), GFP_KERNEL);
	unsigned int halt = PVOPS_SLOT(irq.safe_halt);
	const u8 *code = NULL;

	KUNIT_ASSERT_NOT_NULL(test, rom);
	rom->virt = 0x10000;
	rom->image.calls = calls;
	rom->answers[VMI64_CALL_GET_CR0] = VMI64_RELOC(VMI64_RELOC_CALL, 0);
	rom->answers[VMI64_CALL_HALT] = VMI64_RELOC(VMI64_RELOC_INLINE, 1);
	rom->inlined[halt] = VMI64_CALL_HALT;

	KUNIT_EXPECT_EQ(test, 2, vmi_body(rom, halt, (void *)0x10080, &code));
	KUNIT_EXPECT_PTR_EQ(test, code, (void *)0x10084);
	/*
	 * Neither for an op that was replaced since, nor for one that is not
	 * INLINE.
	 */
	KUNIT_EXPECT_EQ(test, 0, vmi_body(rom, halt, (void *)0x10040, &code));
	KUNIT_EXPECT_EQ(test, 0, vmi_body(rom, PVOPS_SLOT(cpu.read_cr0),
					  (void *)0x10040, &code));
}
