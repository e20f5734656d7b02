// SPDX-License-Identifier: GPL-2.0
/*
 * Rules V36 to V39: the answers of VMI_GetRelocationInfo.
 */
#include <linux/kernel.h>

#include "image.h"

/**
 * vmi_image_answer() - check one answer of VMI_GetRelocationInfo
 * @image: passed vmi_image_check()
 * @call: number of the call, known to this kernel
 * @answer: the answer
 * @refusal: (out) the rule that failed, if one did
 *
 * Rules V36 to V38. If they pass and the type is CALL or INLINE, the index of
 * the answer is that of an entry of @image->calls.
 *
 * Return: 0, or the number of the first rule that failed.
 * Context: any.
 */
unsigned int vmi_image_answer(const struct vmi_image *image, u32 call,
			      u32 answer, struct vmi_refusal *refusal)
{
	u32 type = VMI64_RELOC_TYPE(answer), index = VMI64_RELOC_INDEX(answer);
	bool entry = type == VMI64_RELOC_CALL || type == VMI64_RELOC_INLINE;
	u32 flags = vmi_call_flags(call);

	if (type > VMI64_RELOC_INLINE || answer & VMI64_RELOC_ZERO ||
	    (!entry && index))
		return vmi_refuse(refusal, VMI64_V_ANSWER, "%s: 0x%08x",
				  vmi_call_name(call), answer);
	if (entry && (index >= image->header->nr_calls ||
		      image->calls[index].call != call))
		return vmi_refuse(refusal, VMI64_V_ANSWER_ENTRY,
				  "%s: entry %u", vmi_call_name(call), index);
	if ((entry && image->calls[index].type != type) ||
	    (type == VMI64_RELOC_NOP && !(flags & VMI64_F_NOP)) ||
	    (type == VMI64_RELOC_NONE && flags & VMI64_F_MANDATORY))
		return vmi_refuse(refusal, VMI64_V_ANSWER_TYPE, "%s: type %u",
				  vmi_call_name(call), type);
	return VMI64_V_OK;
}

/**
 * vmi_image_pairs() - check all answers together
 * @answers: the answers by call number. Each passed vmi_image_answer(). A
 *	number without a call has 0
 * @refusal: (out) the rule that failed, if one did
 *
 * Return: 0, or VMI64_V_ANSWER_PAIR (V39).
 * Context: any.
 */
unsigned int vmi_image_pairs(const u32 answers[VMI64_CALL_END],
			     struct vmi_refusal *refusal)
{
	static const u16 pairs[][2] = {
#define VMI64_X(one, other)	{ VMI64_CALL_##one, VMI64_CALL_##other },
		VMI64_PAIRS(VMI64_X)
#undef VMI64_X
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		u32 one = pairs[i][0], other = pairs[i][1];

		if ((VMI64_RELOC_TYPE(answers[one]) == VMI64_RELOC_NONE) !=
		    (VMI64_RELOC_TYPE(answers[other]) == VMI64_RELOC_NONE))
			return vmi_refuse(refusal, VMI64_V_ANSWER_PAIR,
					  "%s and %s", vmi_call_name(one),
					  vmi_call_name(other));
	}
	return VMI64_V_OK;
}
