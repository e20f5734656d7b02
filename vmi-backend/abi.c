// SPDX-License-Identifier: GPL-2.0
/*
 * The ABI header's lists of calls and rules, indexed by number.
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

bool vmi_call_known(u32 call)
{
	return call < VMI64_CALL_END && vmi_call_facts[call].known;
}

/* The name of a call in VMI64_CALLS, or "unknown". */
const char *vmi_call_name(u32 call)
{
	return vmi_call_known(call) ? vmi_call_facts[call].name : "unknown";
}

/* VMI64_F_* of a call; 0 for an unknown number. */
u32 vmi_call_flags(u32 call)
{
	return vmi_call_known(call) ? vmi_call_facts[call].flags : 0;
}

/* The message of a rule in VMI64_RULES; "" for an unknown number. */
const char *vmi_rule_message(unsigned int rule)
{
	if (rule >= ARRAY_SIZE(vmi_rule_messages) || !vmi_rule_messages[rule])
		return "";
	return vmi_rule_messages[rule];
}

/**
 * vmi_refuse() - record the rule that failed
 * @refusal: (out) the record
 * @rule: enum vmi64_rule
 * @fmt: details, half a sentence. The text is cut to VMI_DETAIL_LEN
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
