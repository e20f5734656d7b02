// SPDX-License-Identifier: GPL-2.0
/* Facts about the machine, and the probes, which read nothing but the facts. */
#include <kunit/test.h>
#include <linux/string.h>

#include <pvops/socket.h>

/* The leaves of CPUID from 0x40000000 on, in steps of 0x100. */
struct cpuid_row {
	u32 eax;
	const char *name;	/* 12 bytes, padded with NUL */
};

static const struct cpuid_row *rows;
static unsigned int nr_rows, nr_reads;

static void pvops_test_cpuid(u32 leaf, u32 regs[4])
{
	unsigned int i = (leaf - 0x40000000) / 0x100;
	char name[PVOPS_SIGNATURE_LEN] = {};

	nr_reads++;
	if (i >= nr_rows)
		return;
	regs[0] = rows[i].eax;
	memcpy(name, rows[i].name, strnlen(rows[i].name, sizeof(name)));
	memcpy(&regs[1], name, sizeof(name));
}

static unsigned int pvops_test_scan(const struct cpuid_row *from, unsigned int nr,
				    struct pvops_signature *found)
{
	rows = from;
	nr_rows = nr;
	nr_reads = 0;
	return pvops_scan_signatures(found, PVOPS_MAX_SIGNATURES, pvops_test_cpuid);
}

/*
 * A signature is found, and the scan ends at the first leaf without a name.
 * Otherwise KVM is not recognized, or CPUID costs exits for nothing.
 */
static void one_signature(struct kunit *test)
{
	static const struct cpuid_row kvm[] = { { 0x40000001, "KVMKVMKVM" } };
	struct pvops_signature found[PVOPS_MAX_SIGNATURES];

	KUNIT_ASSERT_EQ(test, 1, pvops_test_scan(kvm, 1, found));
	KUNIT_EXPECT_STREQ(test, found[0].text, "KVMKVMKVM");
	KUNIT_EXPECT_EQ(test, found[0].leaf, 0x40000000);
	KUNIT_EXPECT_EQ(test, nr_reads, 2);
}

/*
 * A signature that fills all 12 bytes is found, with an end added to it.
 * Otherwise XenVMMXenVMM, which does so, is not recognized.
 */
static void full_length_signature(struct kunit *test)
{
	static const struct cpuid_row tcg[] = { { 0x40000001, "TCGTCGTCGTCG" } };
	struct pvops_signature found[PVOPS_MAX_SIGNATURES];

	KUNIT_ASSERT_EQ(test, 1, pvops_test_scan(tcg, 1, found));
	KUNIT_EXPECT_STREQ(test, found[0].text, "TCGTCGTCGTCG");
}

/*
 * A second interface 0x100 leaves above the first one is found, too.
 * Otherwise KVM or Xen behind the interface of Hyper-V is not recognized.
 */
static void two_interfaces(struct kunit *test)
{
	static const struct cpuid_row both[] = {
		{ 0x40000006, "Microsoft Hv" }, { 0x40000101, "KVMKVMKVM" },
	};
	struct pvops_signature found[PVOPS_MAX_SIGNATURES];

	KUNIT_ASSERT_EQ(test, 2, pvops_test_scan(both, 2, found));
	KUNIT_EXPECT_STREQ(test, found[0].text, "Microsoft Hv");
	KUNIT_EXPECT_STREQ(test, found[1].text, "KVMKVMKVM");
	KUNIT_EXPECT_EQ(test, found[1].leaf, 0x40000100);
}

/*
 * A signature counts though EAX of its leaf is 0, not the highest leaf.
 * Otherwise an old KVM is not recognized.
 */
static void old_kvm_has_no_highest_leaf(struct kunit *test)
{
	static const struct cpuid_row old[] = { { 0, "KVMKVMKVM" } };
	struct pvops_signature found[PVOPS_MAX_SIGNATURES];

	KUNIT_EXPECT_EQ(test, 1, pvops_test_scan(old, 1, found));
}

/*
 * Without a signature one leaf is read, and none is found.
 * Otherwise each boot without one pays for exits by CPUID.
 */
static void nothing_there(struct kunit *test)
{
	struct pvops_signature found[PVOPS_MAX_SIGNATURES];

	KUNIT_EXPECT_EQ(test, 0, pvops_test_scan(NULL, 0, found));
	KUNIT_EXPECT_EQ(test, nr_reads, 1);
}

/*
 * Bytes that are not printable are no signature.
 * Otherwise the data of some other leaf is taken for a hypervisor, and logged.
 */
static void garbage_is_no_signature(struct kunit *test)
{
	static const struct cpuid_row junk[] = { { 7, "\x01\x02\xff\x80" } };
	struct pvops_signature found[PVOPS_MAX_SIGNATURES];

	KUNIT_EXPECT_EQ(test, 0, pvops_test_scan(junk, 1, found));
}

/*
 * The scan ends when its array is full.
 * Otherwise CPUID of a hypervisor makes the kernel write behind the array.
 */
static void more_than_there_is_room_for(struct kunit *test)
{
	static const struct cpuid_row many[] = {
		{ 1, "one" }, { 1, "two" }, { 1, "three" }, { 1, "four" },
		{ 1, "five" }, { 1, "six" },
	};
	struct pvops_signature found[PVOPS_MAX_SIGNATURES];

	KUNIT_EXPECT_EQ(test, PVOPS_MAX_SIGNATURES, pvops_test_scan(many, 6, found));
}

static const char *pvops_test_describe(const struct pvops_facts *facts)
{
	static char text[128];
	struct seq_buf buf;

	seq_buf_init(&buf, text, sizeof(text));
	pvops_describe_facts(facts, &buf);
	return seq_buf_str(&buf);
}

/*
 * The log says which signatures there are, and at which leaves.
 * Otherwise nobody can tell from a log why a backend was chosen.
 */
static void facts_are_described(struct kunit *test)
{
	struct pvops_facts facts = {};

	KUNIT_EXPECT_STREQ(test, pvops_test_describe(&facts),
			   "hypervisor bit clear, no signature");
	facts.hypervisor_bit = true;
	KUNIT_EXPECT_STREQ(test, pvops_test_describe(&facts),
			   "hypervisor bit set but no signature");
	facts.nr_signatures = 2;
	facts.signatures[0] = (struct pvops_signature){ 0x40000000, "Microsoft Hv" };
	facts.signatures[1] = (struct pvops_signature){ 0x40000100, "KVMKVMKVM" };
	KUNIT_EXPECT_STREQ(test, pvops_test_describe(&facts),
			   "signature Microsoft Hv at 0x40000000, KVMKVMKVM at 0x40000100");
}

static struct kunit_case facts_cases[] = {
	KUNIT_CASE(one_signature),
	KUNIT_CASE(full_length_signature),
	KUNIT_CASE(two_interfaces),
	KUNIT_CASE(old_kvm_has_no_highest_leaf),
	KUNIT_CASE(nothing_there),
	KUNIT_CASE(garbage_is_no_signature),
	KUNIT_CASE(more_than_there_is_room_for),
	KUNIT_CASE(facts_are_described),
	{}
};

static struct kunit_suite facts_suite = {
	.name = "pvops_facts",
	.test_cases = facts_cases,
};

kunit_test_suite(facts_suite);

/* The real probes get fake facts. The probes are __init, and so are the cases. */
static enum pvops_confidence __init pvops_test_probe(const struct pvops_backend *b,
						     const struct pvops_facts *facts,
					struct pvops_reason *reason)
{
	return b->probe(b, facts, reason);
}

/*
 * native can run with any hypervisor, and without, and is the least confident.
 * Otherwise a kernel on bare metal has no backend.
 */
static void __init native_is_always_possible(struct kunit *test)
{
	struct pvops_facts facts = {};
	struct pvops_reason reason;

	KUNIT_EXPECT_EQ(test, PVOPS_POSSIBLE,
			pvops_test_probe(&pvops_backend_native, &facts, &reason));
	KUNIT_EXPECT_STREQ(test, reason.text, "hypervisor bit clear, no signature");

	facts.hypervisor_bit = true;
	facts.nopv = true;
	KUNIT_EXPECT_EQ(test, PVOPS_POSSIBLE,
			pvops_test_probe(&pvops_backend_native, &facts, &reason));
	KUNIT_EXPECT_STREQ(test, reason.text,
			   "hypervisor bit set but no signature, nopv given");
}

/*
 * Each level of lockdown= forbids code that nobody has signed, and a word that
 * is no level forbids nothing. Otherwise a ROM runs in a kernel that refuses
 * unsigned modules.
 */
static void __init lockdown_is_known_early(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, pvops_is_lockdown("integrity"));
	KUNIT_EXPECT_TRUE(test, pvops_is_lockdown("confidentiality"));
	KUNIT_EXPECT_FALSE(test, pvops_is_lockdown("none"));
	KUNIT_EXPECT_FALSE(test, pvops_is_lockdown(""));
	KUNIT_EXPECT_FALSE(test, pvops_is_lockdown(NULL));
}

/*
 * native cannot run in a PV guest of Xen, whatever is requested.
 * Otherwise pv_backend=native ends at the first privileged instruction.
 */
static void __init native_cannot_run_in_ring_3(struct kunit *test)
{
	struct pvops_facts facts = { .entry = PVOPS_ENTRY_XEN_PV };
	struct pvops_reason reason;

	KUNIT_EXPECT_EQ(test, PVOPS_ABSENT,
			pvops_test_probe(&pvops_backend_native, &facts, &reason));
	KUNIT_EXPECT_STREQ(test, reason.text,
			   "started by Xen as a PV guest, in ring 3");
}

/*
 * native cannot run where the guest code of a hypervisor is needed in any case.
 * Otherwise pv_backend=native in a Jailhouse cell does not boot.
 */
static void __init native_cannot_replace_some(struct kunit *test)
{
	static const struct hypervisor_x86 cell = {
		.name = "Cell", .type = X86_HYPER_JAILHOUSE, .ignore_nopv = true,
	};
	struct pvops_facts facts = { .hyper = &cell };
	struct pvops_reason reason;

	KUNIT_EXPECT_EQ(test, PVOPS_ABSENT,
			pvops_test_probe(&pvops_backend_native, &facts, &reason));
	KUNIT_EXPECT_STREQ(test, reason.text,
			   "Cell cannot be run without its guest code");
}

/*
 * Each in-tree guest answers to its own detection and to no other one.
 * Otherwise the report names a guest whose ops are not in use.
 */
static void __init intree_follows_detection(struct kunit *test)
{
	size_t i, j;

	for (i = 0; i < pvops_registry_size; i++) {
		const struct pvops_backend *b = pvops_registry[i];
		struct hypervisor_x86 hyper = { .name = "Some" };
		struct pvops_facts facts = { .hypervisor_bit = true };
		struct pvops_reason reason;

		/*
		 * A backend that stands on an in-tree guest has other
		 * conditions.
		 */
		if (b->type == X86_HYPER_NATIVE || b->complete)
			continue;

		KUNIT_EXPECT_EQ(test, PVOPS_ABSENT, pvops_test_probe(b, &facts, &reason));
		facts.hyper = &hyper;
		for (j = 0; j < pvops_registry_size; j++) {
			hyper.type = pvops_registry[j]->type;
			KUNIT_EXPECT_EQ_MSG(test, pvops_test_probe(b, &facts, &reason),
					    hyper.type == b->type ?
					    PVOPS_DETECTED : PVOPS_ABSENT,
					    "%s", b->name);
		}
	}
}

/*
 * With nopv an in-tree guest is absent, and the reason says so.
 * Otherwise nobody can tell why a guest runs with native ops.
 */
static void __init intree_hidden_by_nopv(struct kunit *test)
{
	struct pvops_facts facts = { .nopv = true };
	struct pvops_reason reason;

	KUNIT_EXPECT_EQ(test, PVOPS_ABSENT,
			pvops_test_probe(&pvops_backend_vmware, &facts, &reason));
	KUNIT_EXPECT_STREQ(test, reason.text, "nopv hides it");
}

#ifdef CONFIG_PVOPS_HYPERCALL
/*
 * The hypercall backend needs a start as a PV guest and Xen's signature.
 * Otherwise HVM and PVH guests, which see the signature, make PV hypercalls.
 */
static void __init hypercall_wants_pv_and_signature(struct kunit *test)
{
	const struct pvops_backend *b = &pvops_backend_hypercall;
	struct pvops_facts facts = {
		.entry = PVOPS_ENTRY_XEN_PV,
		.nr_signatures = 2,
		.signatures = {
			{ 0x40000000, "Microsoft Hv" },
			{ 0x40000100, "XenVMMXenVMM" },
		},
	};
	struct pvops_reason reason;

	KUNIT_EXPECT_EQ(test, PVOPS_OFFERED, pvops_test_probe(b, &facts, &reason));
	KUNIT_EXPECT_STREQ(test, reason.text,
			   "started by Xen as a PV guest, signature XenVMMXenVMM at 0x40000100");

	/*
	 * An HVM or PVH guest is not entered as a PV guest, and sees the
	 * signature.
	 */
	facts.entry = PVOPS_ENTRY_NATIVE;
	KUNIT_EXPECT_EQ(test, PVOPS_ABSENT, pvops_test_probe(b, &facts, &reason));
	KUNIT_EXPECT_STREQ(test, reason.text, "not started by Xen as a PV guest");

	facts.entry = PVOPS_ENTRY_XEN_PV;
	facts.nr_signatures = 1;
	KUNIT_EXPECT_EQ(test, PVOPS_ABSENT, pvops_test_probe(b, &facts, &reason));
	KUNIT_EXPECT_STREQ(test, reason.text,
			   "started as a PV guest, but no signature XenVMMXenVMM");
}
#endif

#ifdef CONFIG_PVOPS_VMI
/*
 * A ROM is not preferred to guest code that brings devices: Linux runs the
 * callbacks of one hypervisor only.
 * Otherwise a guest of Hyper-V or Xen has no disk where the host adds a ROM.
 */
static void __init vmi_leaves_guests_their_devices(struct kunit *test)
{
	const struct pvops_backend *b = &pvops_backend_vmi;
	struct hypervisor_x86 hyper = { .name = "Some" };
	struct pvops_facts facts = {
		.rom = {
			.image = "", .where = 0xc8000, .product = "P",
			.api_major = 4,
		},
	};
	struct pvops_reason reason;

	KUNIT_EXPECT_EQ(test, PVOPS_OFFERED, pvops_test_probe(b, &facts, &reason));
	KUNIT_EXPECT_STREQ(test, reason.text, "ROM \"P\" at 0xc8000, API 4.0");

	facts.hyper = &hyper;
	facts.hyper_name = hyper.name;
	hyper.type = X86_HYPER_KVM;
	KUNIT_EXPECT_EQ(test, PVOPS_OFFERED, pvops_test_probe(b, &facts, &reason));

	hyper.type = X86_HYPER_XEN_HVM;
	KUNIT_EXPECT_EQ(test, PVOPS_POSSIBLE, pvops_test_probe(b, &facts, &reason));
	KUNIT_EXPECT_STREQ(test, reason.text,
			   "ROM \"P\" at 0xc8000, but the guest code for Some brings devices");
	/* Linux detects Hyper-V even if it has no bus for it. */
	hyper.type = X86_HYPER_MS_HYPERV;
	KUNIT_EXPECT_EQ(test, IS_ENABLED(CONFIG_HYPERV) ? PVOPS_POSSIBLE : PVOPS_OFFERED,
			pvops_test_probe(b, &facts, &reason));

	hyper.type = X86_HYPER_VMWARE;
	KUNIT_EXPECT_EQ(test, PVOPS_POSSIBLE, pvops_test_probe(b, &facts, &reason));
	KUNIT_EXPECT_STREQ(test, reason.text,
			   "ROM \"P\" at 0xc8000, but the guest code for Some brings its clock");

	hyper.type = X86_HYPER_JAILHOUSE;
	hyper.ignore_nopv = true;
	KUNIT_EXPECT_EQ(test, PVOPS_ABSENT, pvops_test_probe(b, &facts, &reason));
	KUNIT_EXPECT_STREQ(test, reason.text,
			   "Some cannot be run without its guest code");
}
#endif

static struct kunit_case __refdata probe_cases[] = {
	KUNIT_CASE(native_is_always_possible),
	KUNIT_CASE(lockdown_is_known_early),
	KUNIT_CASE(native_cannot_run_in_ring_3),
	KUNIT_CASE(native_cannot_replace_some),
	KUNIT_CASE(intree_follows_detection),
	KUNIT_CASE(intree_hidden_by_nopv),
#ifdef CONFIG_PVOPS_HYPERCALL
	KUNIT_CASE(hypercall_wants_pv_and_signature),
#endif
#ifdef CONFIG_PVOPS_VMI
	KUNIT_CASE(vmi_leaves_guests_their_devices),
#endif
	{}
};

static struct kunit_suite probe_suite = {
	.name = "pvops_probe",
	.test_cases = probe_cases,
};

kunit_test_init_section_suite(probe_suite);
