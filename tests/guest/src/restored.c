// SPDX-License-Identifier: GPL-2.0
/*
 * Wait until the domain was restored. Xen counts that in CPUID, which a program may
 * read: leaf 3 from that of the signature (xen/include/public/arch-x86/cpuid.h). Then
 * see that time passes on each CPU, and that it did not go back.
 */
#include "check.h"

#include <cpuid.h>

#define SECONDS		300
#define FIRST_LEAF	0x40000000

static unsigned int incarnation(void)
{
	unsigned int regs[4];
	char signature[13] = "";

	__cpuid(FIRST_LEAF, regs[0], regs[1], regs[2], regs[3]);
	memcpy(signature, &regs[1], 12);
	if (strcmp(signature, "XenVMMXenVMM") || regs[0] < FIRST_LEAF + 3)
		bail("this is no domain of Xen's");
	__cpuid_count(FIRST_LEAF + 3, 0, regs[0], regs[1], regs[2], regs[3]);
	return regs[3];
}

int main(void)
{
	unsigned int before = incarnation(), now = before;
	int64_t begin, last, time;
	char name[32];

	check_begin("restored", SECONDS + 60);
	begin = now_ns();
	last = begin;
	while (now == before && last - begin < SECONDS * NSEC_PER_SEC) {
		usleep(100000);
		now = incarnation();
		time = now_ns();
		if (time < last)
			not_ok("restored-clock", "%lld ns back", (long long)(last - time));
		last = time;
	}
	if (now == before)
		not_ok("restored", "incarnation %u for %d s", now, SECONDS);
	else
		ok("restored", "incarnation %u, then %u", before, now);
	for (int cpu = 0; pin(cpu); cpu++) {
		snprintf(name, sizeof(name), "restored-time-cpu%d", cpu);
		time = now_ns();
		usleep(100000);
		if (time < last || now_ns() - time < 100 * NSEC_PER_MSEC)
			not_ok(name, "%lld ns, then %lld", (long long)time, (long long)now_ns());
		else
			ok(name, NULL);
		last = now_ns();
	}
	return check_end();
}
