// SPDX-License-Identifier: GPL-2.0
/*
 * What the lists of the ABI header say of each call and of each rule.
 */
#include <linux/kernel.h>

#include "image-parts.h"

struct vmi_call_facts {
	const char *name;
	u8 flags;
	bool known;
};

#define VMI64_X(number, word, kind, bits)				\
	[number] = { .name = #word, .flags = (bits), .known = true },
static const struct vmi_call_facts vmi_call_facts[VMI64_CALL_END] = {
	VMI64_CALLS(VMI64_X)
};

#undef VMI64_X

#define VMI64_X(number, word, message)	[number] = (message),
static const char *const vmi_rule_messages[] = {
	VMI64_RULES(VMI64_X)
};

#undef VMI64_X

/**
 * vmi_call_known() - is there a call of this number?
 * @call: number
 *
 * Context: any.
 */
bool vmi_call_known(u32 call)
{
	return call < VMI64_CALL_END && vmi_call_facts[call].known;
}

/**
 * vmi_call_name() - name of a call
 * @call: number
 *
 * Return: its name in VMI64_CALLS, or "unknown".
 * Context: any.
 */
const char *vmi_call_name(u32 call)
{
	return vmi_call_known(call) ? vmi_call_facts[call].name : "unknown";
}

/**
 * vmi_call_flags() - flags of a call
 * @call: number
 *
 * Return: VMI64_F_*; 0 for a number that is not known.
 * Context: any.
 */
u32 vmi_call_flags(u32 call)
{
	return vmi_call_known(call) ? vmi_call_facts[call].flags : 0;
}

/**
 * vmi_rule_message() - what it means that a rule has failed
 * @rule: enum vmi64_rule
 *
 * Return: the message of VMI64_RULES; "" for a number that is none.
 * Context: any.
 */
const char *vmi_rule_message(unsigned int rule)
{
	if (rule >= ARRAY_SIZE(vmi_rule_messages) || !vmi_rule_messages[rule])
		return "";
	return vmi_rule_messages[rule];
}

/**
 * vmi_refuse() - note which rule has failed
 * @refusal: (out) where it is noted
 * @rule: enum vmi64_rule
 * @fmt: what exactly, half a sentence; cut where it is too long
 *
 * Return: @rule.
 * Context: any.
 */
unsigned int vmi_refuse(struct vmi_refusal *refusal, unsigned int rule,
			const char *fmt, ...)
{
	va_list args;

	refusal->rule = rule;
	va_start(args, fmt);
	vscnprintf(refusal->detail, sizeof(refusal->detail), fmt, args);
	va_end(args);
	return rule;
}
