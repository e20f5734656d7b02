// SPDX-License-Identifier: GPL-2.0
/* The audit of pv call sites: reading machine code, and the running kernel. */
#include <kunit/test.h>
#include <linux/string.h>

#include <asm/insn.h>
#include <asm/paravirt.h>
#include <asm/special_insns.h>

#include <pvops/audit.h>
#include <pvops/counters.h>

/* Longer than any site, so that the decoder never reads past the end. */
struct code {
	const char *name;
	u8 len;
	u8 bytes[MAX_INSN_SIZE * 2];
	enum pvops_class class;
};

static const struct code sites[] = {
	{ "direct call", 6, { 0xe8, 1, 2, 3, 4, 0x90 }, PVOPS_CLASS_CALL },
	{ "call behind a nop", 6, { 0x90, 0xe8, 1, 2, 3, 4 }, PVOPS_CLASS_CALL },
	{ "indirect call", 6, { 0xff, 0x15, 1, 2, 3, 4 }, PVOPS_CLASS_INDIRECT },
	{ "one long nop", 6, { 0x66, 0x0f, 0x1f, 0x44, 0, 0 }, PVOPS_CLASS_NOP },
	{ "six short nops", 6, { 0x90, 0x90, 0x90, 0x90, 0x90, 0x90 },
	  PVOPS_CLASS_NOP },
	{ "mov %rdi,%rax", 6, { 0x48, 0x89, 0xf8, 0x0f, 0x1f, 0 },
	  PVOPS_CLASS_INLINE },
	{ "cli", 6, { 0xfa, 0x66, 0x0f, 0x1f, 0x04, 0 }, PVOPS_CLASS_INLINE },
	{ "pushf, pop %rax", 6, { 0x9c, 0x58, 0x66, 0x0f, 0x1f, 0 },
	  PVOPS_CLASS_INLINE },
	{ "jmp *mem is no call", 6, { 0xff, 0x25, 1, 2, 3, 4 },
	  PVOPS_CLASS_INLINE },
	{ "xchg %rax,%r8 is no nop", 6, { 0x49, 0x90, 0x90, 0x90, 0x90, 0x90 },
	  PVOPS_CLASS_INLINE },
};

static void sites_are_classified(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sites); i++)
		KUNIT_EXPECT_EQ_MSG(test, sites[i].class,
				    pvops_classify(sites[i].bytes, sites[i].len),
				    "%s", sites[i].name);
}

static void site_ends_at_its_length(struct kunit *test)
{
	/* What follows the site is a call, but not the site's. */
	static const u8 text[32] = { 0x0f, 0x1f, 0x44, 0, 0, 0x90, 0xe8 };

	KUNIT_EXPECT_EQ(test, PVOPS_CLASS_NOP, pvops_classify(text, 6));
	KUNIT_EXPECT_EQ(test, PVOPS_CLASS_CALL, pvops_classify(text, 7));
}

static const struct {
	const char *name;
	bool fits;
	u8 bytes[MAX_INSN_SIZE * 2];
} bodies[] = {
	{ "cli; ret", true, { 0xfa, 0xc3 } },
	{ "endbr64; cli; ret", true, { 0xf3, 0x0f, 0x1e, 0xfa, 0xfa, 0xc3 } },
	{ "traced: nop; mov; ret", true,
	  { 0x0f, 0x1f, 0x44, 0, 0, 0x48, 0x89, 0x37, 0xc3 } },
	{ "six bytes", true, { 0x48, 0x89, 0x37, 0x48, 0x89, 0x37, 0xc3 } },
	{ "seven bytes", false, { 0x48, 0x89, 0x37, 0x48, 0x89, 0x37, 0xfa, 0xc3 } },
	{ "call", false, { 0xe8, 0, 0, 0, 0, 0xc3 } },
	{ "conditional jump", false, { 0x74, 0x01, 0xfa, 0xc3 } },
	{ "jump elsewhere", false, { 0xfa, 0xe9, 0, 0, 0, 0 } },
	{ "short jump", false, { 0xfa, 0xeb, 0xfd } },
	{ "%rip-relative", false, { 0x89, 0x3d, 0, 0, 0, 0, 0xc3 } },
	{ "long conditional jump", false, { 0x0f, 0x84, 0, 0, 0, 0, 0xc3 } },
};

static void bodies_are_measured(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bodies); i++)
		KUNIT_EXPECT_EQ_MSG(test, bodies[i].fits,
				    pvops_native_fits(bodies[i].bytes, 6),
				    "%s", bodies[i].name);
}

/* The same on functions of this kernel, in whatever form it was patched to. */
static void real_functions_are_measured(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, pvops_native_fits(pv_native_irq_disable, 6));
	KUNIT_EXPECT_TRUE(test, pvops_native_fits(pv_native_save_fl, 6));
	KUNIT_EXPECT_TRUE(test, pvops_native_fits(_paravirt_ident_64, 6));
	KUNIT_EXPECT_FALSE(test, pvops_native_fits(memparse, 6));
	KUNIT_EXPECT_FALSE(test, pvops_native_fits(pv_native_irq_disable, 0));
}

static void violations_are_found(struct kunit *test)
{
	static const u8 call[32] = { 0xe8 }, indirect[32] = { 0xff, 0x15 };
	static const u8 body[32] = { 0xfa, 0xc3 }, big[32] = { 0xe8 };
	struct pvops_audit *audit = kunit_kzalloc(test, sizeof(*audit),
						  GFP_KERNEL);
	struct pvops_site site = { .addr = call, .slot = 3, .len = 6 };

	KUNIT_ASSERT_NOT_NULL(test, audit);

	/* A replaced op is rightly called, and so is a native one too big. */
	pvops_audit_site(audit, &site, big, body);
	pvops_audit_site(audit, &site, big, big);
	KUNIT_EXPECT_EQ(test, audit->violations, 0);
	KUNIT_EXPECT_EQ(test, audit->sites[3][PVOPS_CLASS_CALL], 2);

	/* A native one that fits is not, at each of its sites. */
	site.slot = 5;
	pvops_audit_site(audit, &site, body, body);
	pvops_audit_site(audit, &site, body, body);
	KUNIT_EXPECT_EQ(test, audit->violations, 2);
	KUNIT_EXPECT_EQ(test, audit->misfits[5], 2);
	KUNIT_EXPECT_EQ(test, audit->misfits[3], 0);

	site.addr = indirect;
	site.slot = 4;
	pvops_audit_site(audit, &site, big, body);
	KUNIT_EXPECT_EQ(test, audit->violations, 3);
	KUNIT_EXPECT_EQ(test, audit->misfits[4], 1);
	KUNIT_EXPECT_EQ(test, audit->total[PVOPS_CLASS_CALL], 4);
	KUNIT_EXPECT_EQ(test, audit->total[PVOPS_CLASS_INDIRECT], 1);
}

static void slots_are_named(struct kunit *test)
{
	unsigned int i;

	KUNIT_EXPECT_STREQ(test, "mmu.set_pte",
			   pvops_op_name(PVOPS_SLOT(mmu.set_pte)));
	KUNIT_EXPECT_STREQ(test, "mmu.lazy_mode.enter",
			   pvops_op_name(PVOPS_SLOT(mmu.lazy_mode.enter)));
	for (i = 0; i < PVOPS_NR_SLOTS; i++) {
		KUNIT_EXPECT_NOT_NULL(test, pvops_op_name(i));
		KUNIT_EXPECT_EQ(test, i, pvops_slot_at(&pvops_live->slot[i]));
	}
	KUNIT_EXPECT_EQ(test, -1, pvops_slot_at((void *)&pv_ops + 1));
	KUNIT_EXPECT_EQ(test, -1, pvops_slot_at((void *)&pv_ops - 8));
	KUNIT_EXPECT_EQ(test, -1, pvops_slot_at(&pv_ops + 1));
}

/* What the kernel was linked with is remembered, whatever runs now. */
static void native_is_remembered(struct kunit *test)
{
	KUNIT_EXPECT_PTR_EQ(test, pvops_slot_native(PVOPS_SLOT(irq.save_fl)),
			    (void *)pv_native_save_fl);
	KUNIT_EXPECT_PTR_EQ(test, pvops_slot_native(PVOPS_SLOT(mmu.pte_val)),
			    (void *)_paravirt_ident_64);
}

static void running_kernel_is_clean(struct kunit *test)
{
	KUNIT_EXPECT_GT(test, pvops_audit.total[PVOPS_CLASS_CALL], 0);
	KUNIT_EXPECT_EQ(test, pvops_audit.total[PVOPS_CLASS_INDIRECT], 0);
	KUNIT_EXPECT_EQ(test, pvops_audit.violations, 0);
	KUNIT_EXPECT_EQ(test, pvops_audit.lost, 0);
}

/* Each site follows its op: inline where native, called where it is not. */
static void sites_follow_the_table(struct kunit *test)
{
	static const unsigned int inlined[] = {
		PVOPS_SLOT(irq.save_fl), PVOPS_SLOT(irq.irq_disable),
		PVOPS_SLOT(mmu.pte_val), PVOPS_SLOT(mmu.set_pte),
		PVOPS_SLOT(mmu.set_pmd), PVOPS_SLOT(cpu.load_idt),
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(inlined); i++) {
		unsigned int slot = inlined[i];
		const u32 *nr = pvops_audit.sites[slot];
		bool native = pvops_live->slot[slot] == pvops_slot_native(slot);

		KUNIT_EXPECT_EQ_MSG(test, native, !!nr[PVOPS_CLASS_INLINE],
				    "%s", pvops_op_name(slot));
		KUNIT_EXPECT_EQ_MSG(test, native, !nr[PVOPS_CLASS_CALL],
				    "%s", pvops_op_name(slot));
	}
}

static struct kunit_case audit_cases[] = {
	KUNIT_CASE(sites_are_classified),
	KUNIT_CASE(site_ends_at_its_length),
	KUNIT_CASE(bodies_are_measured),
	KUNIT_CASE(real_functions_are_measured),
	KUNIT_CASE(violations_are_found),
	KUNIT_CASE(slots_are_named),
	KUNIT_CASE(native_is_remembered),
	KUNIT_CASE(running_kernel_is_clean),
	KUNIT_CASE(sites_follow_the_table),
	{}
};

static struct kunit_suite audit_suite = {
	.name = "pvops_audit",
	.test_cases = audit_cases,
};

kunit_test_suite(audit_suite);
