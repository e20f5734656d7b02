// SPDX-License-Identifier: GPL-2.0
/*
 * Pointing the static calls at the ROM.
 */
#include <linux/kernel.h>
#include <linux/static_call.h>

#include "calls.h"

#define VMI_X(name, ret, ...)						\
	DEFINE_STATIC_CALL_NULL(vmi_##name, vmi_fn_##name);
VMI_C_CALLS(VMI_X)
#undef VMI_X

static const struct {
	u32 call;
	struct static_call_key *key;
	void *tramp;
} bindings[] = {
#define VMI_X(name, ret, ...)						\
	{ VMI64_CALL_##name, &STATIC_CALL_KEY(vmi_##name),		\
	  STATIC_CALL_TRAMP_ADDR(vmi_##name) },
	VMI_C_CALLS(VMI_X)
#undef VMI_X
};

/**
 * vmi_bind() - say where a call's static calls go
 * @call: its number
 * @func: where to, or NULL for nowhere
 *
 * Context: boot CPU before other CPUs are up, or process context.
 * Return: where they went before; NULL too for a call that is not made from C.
 */
void *vmi_bind(u32 call, void *func)
{
	unsigned int i;
	void *old;

	for (i = 0; i < ARRAY_SIZE(bindings); i++) {
		if (bindings[i].call != call)
			continue;
		old = bindings[i].key->func;
		__static_call_update(bindings[i].key, bindings[i].tramp, func);
		return old;
	}
	return NULL;
}
