// SPDX-License-Identifier: GPL-2.0
/*
 * The audit of pv call sites: classes of sites, sizes of ops, the running
 * kernel.
 */
#include <kunit/test.h>
#include <linux/string.h>

#include <asm/insn.h>
#include <asm/paravirt.h>
#include <asm/special_insns.h>

#include <pvops/audit.h>
#include <pvops/body.h>
#include <pvops/counters.h>
#include <pvops/socket.h>

/* The arrays are longer than a site: the decoder may read beyond the site. */
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

/*
 * pvops_classify() tells inline code, direct and indirect calls and NOPs apart.
 * Otherwise the audit misses a slow site, or reports a site that is not slow.
 */
static void sites_are_classified(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sites); i++)
		KUNIT_EXPECT_EQ_MSG(test, sites[i].class,
				    pvops_classify(sites[i].bytes, sites[i].len),
				    "%s", sites[i].name);
}

/*
 * What follows a site does not belong to it.
 * Otherwise a call that is in the code behind a site counts as the site's.
 */
static void site_ends_at_its_length(struct kunit *test)
{
	/* A call follows the site, and does not belong to the site. */
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

/*
 * Straight-line code that works at any address fits if it is short enough.
 * Otherwise the audit demands inline code where there cannot be any.
 */
static void bodies_are_measured(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bodies); i++)
		KUNIT_EXPECT_EQ_MSG(test, bodies[i].fits,
				    pvops_native_fits(bodies[i].bytes, 6),
				    "%s", bodies[i].name);
}

/*
 * The same for functions of this kernel, in whatever form they were patched to.
 * Otherwise return thunks or tracing would change what the audit finds.
 */
static void real_functions_are_measured(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, pvops_native_fits(pv_native_irq_disable, 6));
	KUNIT_EXPECT_TRUE(test, pvops_native_fits(pv_native_save_fl, 6));
	KUNIT_EXPECT_TRUE(test, pvops_native_fits(_paravirt_ident_64, 6));
	KUNIT_EXPECT_FALSE(test, pvops_native_fits(memparse, 6));
	KUNIT_EXPECT_FALSE(test, pvops_native_fits(pv_native_irq_disable, 0));
}

static const struct {
	const char *name;
	bool fits;
	u8 len;
	u8 code[MAX_INSN_SIZE];
} offers[] = {
	{ "cli", true, 1, { 0xfa } },
	{ "mov %rsi,(%rdi)", true, 3, { 0x48, 0x89, 0x37 } },
	{ "mov %cr3,%rax", true, 3, { 0x0f, 0x20, 0xd8 } },
	{ "sti; hlt", true, 2, { 0xfb, 0xf4 } },
	{ "invlpg (%rdi)", true, 3, { 0x0f, 0x01, 0x3f } },
	{ "six bytes", true, 6, { 0x48, 0x89, 0x37, 0x48, 0x89, 0x37 } },
	{ "seven bytes", false, 7, { 0x48, 0x89, 0x37, 0x48, 0x89, 0x37, 0xfa } },
	{ "half an instruction", false, 2, { 0x48, 0x89 } },
	{ "pushf; pop %rax", false, 2, { 0x9c, 0x58 } },
	{ "push %r12; pop %r12", false, 4, { 0x41, 0x54, 0x41, 0x5c } },
	{ "add $8,%rsp", false, 4, { 0x48, 0x83, 0xc4, 8 } },
	{ "mov %rdi,%rsp", false, 3, { 0x48, 0x89, 0xfc } },
	{ "mov %rsp,%rax", false, 3, { 0x48, 0x89, 0xe0 } },
	{ "mov (%rsp),%rax", false, 4, { 0x48, 0x8b, 0x04, 0x24 } },
	{ "mov (%r12),%rax", true, 4, { 0x49, 0x8b, 0x04, 0x24 } },
	{ "mov %r12,%rax", true, 3, { 0x4c, 0x89, 0xe0 } },
	{ "xchg %rsp,%rax", false, 2, { 0x48, 0x94 } },
	{ "leave", false, 1, { 0xc9 } },
	{ "pushq (%rdi)", false, 2, { 0xff, 0x37 } },
	{ "syscall behind REX2", false, 3, { 0xd5, 0x80, 0x05 } },
	{ "mov %rax,%rsp behind REX2", false, 4, { 0xd5, 0x08, 0x89, 0xc4 } },
};

/*
 * Code of a backend that uses the stack is not put in place of a call. No
 * return address is on the stack there, and the unwinder expects the stack of a
 * call.
 * Otherwise a stack trace from an interrupt in this code is wrong.
 */
static void offers_must_leave_the_stack(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(offers); i++)
		KUNIT_EXPECT_EQ_MSG(test, offers[i].fits,
				    pvops_body_fits(offers[i].code,
						    offers[i].len, 6),
				    "%s", offers[i].name);
}

/*
 * Code equal to the native op may use the stack: objtool has checked it.
 * Otherwise save_fl, which is PUSHF and POP, is called at each site.
 */
static void offers_may_be_native(struct kunit *test)
{
	static const u8 save_fl[] = { 0x9c, 0x58 }, other[] = { 0x9c, 0x5a };

	KUNIT_EXPECT_TRUE(test, pvops_body_is_native(save_fl, 2,
						     pv_native_save_fl));
	KUNIT_EXPECT_FALSE(test, pvops_body_is_native(other, 2,
						      pv_native_save_fl));
	KUNIT_EXPECT_FALSE(test, pvops_body_is_native(save_fl, 1,
						      pv_native_save_fl));
	KUNIT_EXPECT_FALSE(test, pvops_body_is_native(save_fl, 2, memparse));
}

/*
 * The audit counts each site that calls code which fits, or calls indirectly.
 * Otherwise nobody notices that bare metal pays for pv_ops.
 */
static void violations_are_found(struct kunit *test)
{
	static const u8 call[32] = { 0xe8 }, indirect[32] = { 0xff, 0x15 };
	static const u8 body[32] = { 0xfa, 0xc3 }, big[32] = { 0xe8 };
	struct pvops_audit *audit = kunit_kzalloc(test, sizeof(*audit),
						  GFP_KERNEL);
	struct pvops_site site = { .addr = call, .slot = 3, .len = 6 };

	KUNIT_ASSERT_NOT_NULL(test, audit);

	/*
	 * No violations: a replaced op is called, and so is a native op that
	 * does not fit.
	 */
	pvops_audit_site(audit, &site, big, body, false);
	pvops_audit_site(audit, &site, big, big, false);
	KUNIT_EXPECT_EQ(test, audit->violations, 0);
	KUNIT_EXPECT_EQ(test, audit->sites[3][PVOPS_CLASS_CALL], 2);

	/* A native op that fits is a violation at each of its sites. */
	site.slot = 5;
	pvops_audit_site(audit, &site, body, body, false);
	pvops_audit_site(audit, &site, body, body, false);
	KUNIT_EXPECT_EQ(test, audit->violations, 2);
	KUNIT_EXPECT_EQ(test, audit->misfits[5], 2);
	KUNIT_EXPECT_EQ(test, audit->misfits[3], 0);

	/* So is a replaced op for which the backend has code. */
	site.slot = 6;
	pvops_audit_site(audit, &site, big, body, true);
	KUNIT_EXPECT_EQ(test, audit->violations, 3);
	KUNIT_EXPECT_EQ(test, audit->misfits[6], 1);
	site.addr = body;
	pvops_audit_site(audit, &site, big, body, true);
	KUNIT_EXPECT_EQ(test, audit->violations, 3);

	site.addr = indirect;
	site.slot = 4;
	pvops_audit_site(audit, &site, big, body, false);
	KUNIT_EXPECT_EQ(test, audit->violations, 4);
	KUNIT_EXPECT_EQ(test, audit->misfits[4], 1);

	/* The op that Linux has no inline code for stays a call. */
	site.addr = call;
	site.slot = PVOPS_SLOT(mmu.ptep_modify_prot_start);
	pvops_audit_site(audit, &site, body, body, false);
	KUNIT_EXPECT_EQ(test, audit->violations, 4);
	KUNIT_EXPECT_EQ(test, audit->total[PVOPS_CLASS_CALL], 6);
	KUNIT_EXPECT_EQ(test, audit->total[PVOPS_CLASS_INDIRECT], 1);
}

/*
 * Each slot has a name and is found by its address, and nothing else is a slot.
 * Otherwise reports and counters show numbers under the name of another op.
 */
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

/*
 * The ops that the kernel was linked with are known, whatever is in use now.
 * Otherwise the audit takes replaced ops for native ones.
 */
static void native_is_remembered(struct kunit *test)
{
	KUNIT_EXPECT_PTR_EQ(test, pvops_slot_native(PVOPS_SLOT(irq.save_fl)),
			    (void *)pv_native_save_fl);
	KUNIT_EXPECT_PTR_EQ(test, pvops_slot_native(PVOPS_SLOT(mmu.pte_val)),
			    (void *)_paravirt_ident_64);
}

/*
 * The audit of the running kernel has found calls, and no violation.
 * Otherwise this kernel calls ops that could be inline, or is half patched.
 */
static void running_kernel_is_clean(struct kunit *test)
{
	KUNIT_EXPECT_GT(test, pvops_audit.total[PVOPS_CLASS_CALL], 0);
	KUNIT_EXPECT_EQ(test, pvops_audit.total[PVOPS_CLASS_INDIRECT], 0);
	KUNIT_EXPECT_EQ(test, pvops_audit.violations, 0);
	KUNIT_EXPECT_EQ(test, pvops_audit.lost, 0);
}

/* Does the backend in use offer inline code for an op? */
static bool pvops_test_offers_body(unsigned int slot)
{
	const struct pvops_backend *chosen = pvops_socket.chosen;
	const u8 *code;

	return chosen->body && chosen->body(slot, pvops_live->slot[slot], &code);
}

/*
 * Each site is inline code if its op is native or the backend has code for it,
 * and is a call otherwise.
 * Otherwise a guest executes native instructions where its backend has an op.
 */
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
		bool here = pvops_live->slot[slot] == pvops_slot_native(slot) ||
			    pvops_test_offers_body(slot);

		KUNIT_EXPECT_EQ_MSG(test, here, !!nr[PVOPS_CLASS_INLINE],
				    "%s", pvops_op_name(slot));
		KUNIT_EXPECT_EQ_MSG(test, here, !nr[PVOPS_CLASS_CALL],
				    "%s", pvops_op_name(slot));
	}
}

static struct kunit_case audit_cases[] = {
	KUNIT_CASE(sites_are_classified),
	KUNIT_CASE(site_ends_at_its_length),
	KUNIT_CASE(bodies_are_measured),
	KUNIT_CASE(real_functions_are_measured),
	KUNIT_CASE(offers_must_leave_the_stack),
	KUNIT_CASE(offers_may_be_native),
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
