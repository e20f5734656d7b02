// SPDX-License-Identifier: GPL-2.0
/*
 * The static calls of calls.h, and setting their targets.
 */
#include <linux/kernel.h>
#include <linux/static_call.h>

#include "calls.h"
#include "vmi.h"

#define VMI_X(name)	DEFINE_STATIC_CALL_NULL(vmi_##name, vmi64_fn_##name);
VMI_C_CALLS(VMI_X)
#undef VMI_X

static const struct {
	u32 call;
	struct static_call_key *key;
	void *tramp;
} vmi_call_bindings[] = {
#define VMI_X(name)							\
	{ VMI64_CALL_##name, &STATIC_CALL_KEY(vmi_##name),		\
	  STATIC_CALL_TRAMP_ADDR(vmi_##name) },
	VMI_C_CALLS(VMI_X)
#undef VMI_X
};

/**
 * vmi_bind() - set the target of the static call of a call
 * @call: number of the call
 * @func: the target, or NULL for none
 *
 * Does nothing for a call that is not in VMI_C_CALLS.
 *
 * Context: boot CPU before other CPUs are up, or process context.
 */
void vmi_bind(u32 call, void *func)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vmi_call_bindings); i++)
		if (vmi_call_bindings[i].call == call)
			__static_call_update(vmi_call_bindings[i].key,
					     vmi_call_bindings[i].tramp, func);
}

/**
 * vmi_bind_rom() - set the targets of all static calls to the entries of a ROM
 * @rom: the ROM. Answers that are all 0 remove all targets
 *
 * Context: as vmi_bind().
 */
void vmi_bind_rom(const struct vmi_rom *rom)
{
	u32 call;

	for (call = 0; call < VMI64_CALL_END; call++)
		vmi_bind(call, vmi_offers(rom, call) ? vmi_entry(rom, call) : NULL);
}
