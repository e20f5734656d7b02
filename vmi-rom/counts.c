// SPDX-License-Identifier: GPL-2.0
/*
 * The all-call ROM: how often each call was made, and printing it in the log.
 */
#include "native.h"

u64 vmi_counts[VMI64_CALL_END];

static const char *const names[VMI64_CALL_END] = {
#define VMI64_X(number, NAME, class, flags)	[number] = #NAME,
	VMI64_CALLS(VMI64_X)
#undef VMI64_X
};

void log_counts(void)
{
	char line[121], *end = line + sizeof(line) - 1, *to = line;
	u32 call;

	for (call = 0; call < VMI64_CALL_END; call++) {
		if (!names[call] || !vmi_counts[call])
			continue;
		if (to == line)
			to = put(to, end, "calls made:");
		to = put(to, end, " ");
		to = put(to, end, names[call]);
		to = put(to, end, "=");
		to = put_number(to, end, vmi_counts[call]);
		/* Room for a space, the longest name, '=' and 2^64. */
		if (end - to < 48) {
			*to = '\0';
			vmi_log(line);
			to = line;
		}
	}
	if (to > line) {
		*to = '\0';
		vmi_log(line);
	}
	vmi_log("these were the calls made");
}
