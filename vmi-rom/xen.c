// SPDX-License-Identifier: GPL-2.0
/*
 * The calls that Xen serves in an HVM domain. Numbers and layouts are those of Xen's
 * public headers: xen.h, vcpu.h, version.h, features.h, hvm/hvm_op.h and
 * arch-x86/cpuid.h.
 *
 * Xen is given addresses only where it takes them back. It keeps the physical
 * address of struct shared_info and of struct vcpu_info until the domain ends. So
 * neither is used, and nothing that needs event channels.
 *
 * A hypercall is made by VMCALL or VMMCALL, as Linux makes it: there is no
 * hypercall page that would have to be writable and executable.
 */
#include "pvclock.h"

#define LEAF_TSC		3		/* from the signature's leaf; ECX, EDX */
#define LEAF_HVM		4
#define HVM_VCPU_ID		(1u << 3)	/* LEAF_HVM, EAX */
#define HVM_EXT_DEST_ID		(1u << 5)

#define HC_XEN_VERSION		17
#define HC_VM_ASSIST		21
#define HC_VCPU_OP		24
#define HC_HVM_OP		34

#define VERSION_FEATURES	6
#define FEATURE_SAFE_PVCLOCK	(1u << 9)
#define ASSIST_ENABLE		0
#define ASSIST_DISABLE		1
#define ASSIST_RUNSTATE_UPDATE	5
#define VCPU_RUNSTATE_AREA	5
#define VCPU_TIME_AREA		13
#define HVM_SET_PARAM		0
#define HVM_FLUSH_TLBS		5
#define PARAM_CALLBACK_IRQ	0
#define DOMID_SELF		0x7ff0
#define LEGACY_CPUS		32

#define RUNSTATE_RUNNABLE	1
#define RUNSTATE_OFFLINE	3
#define RUNSTATE_UPDATE		(1ull << 63)

/* rom_cpu.stolen_base while Xen's time cannot be used. */
#define NO_BASE			(~0ull)

/* Intel SDM: the CPU is not affected by Meltdown. */
#define LEAF_FEATURES		7
#define FEATURES_CAPABILITIES	(1u << 29)	/* LEAF_FEATURES, EDX */
#define MSR_CAPABILITIES	0x10a
#define CAPABILITY_RDCL_NO	1

static u32 leaf_base, leaf_max, hvm_features;
static bool safe_clock;		/* XENFEAT_hvm_safe_pvclock */
static bool addresses;		/* Xen can write to the kernel's addresses */
static u32 incarnation;		/* of the domain, at INIT_CPU(BOOT) */

/* Xen may change the registers of the arguments. */
static s64 hypercall(u64 number, u64 a, u64 b, u64 c)
{
	s64 result;

	if (rom.vmmcall)
		asm volatile("vmmcall"
			     : "=a" (result), "+D" (a), "+S" (b), "+d" (c)
			     : "0" (number) : "memory");
	else
		asm volatile("vmcall"
			     : "=a" (result), "+D" (a), "+S" (b), "+d" (c)
			     : "0" (number) : "memory");
	return result;
}

/*
 * Xen writes to virtual addresses, by the page tables that the CPU has at that time.
 * While a process runs, a kernel that is protected against Meltdown has page tables
 * without these addresses. AMD's CPUs, which have VMMCALL, are not affected. Others
 * are unless they say otherwise.
 */
static bool kernel_is_always_mapped(void)
{
	u32 regs[4];
	u64 value;

	if (rom.vmmcall)
		return true;
	cpuid(0, 0, regs);
	if (regs[0] < LEAF_FEATURES)
		return false;
	cpuid(LEAF_FEATURES, 0, regs);
	return regs[3] & FEATURES_CAPABILITIES &&
	       !vmi_rdmsr(MSR_CAPABILITIES, &value) && value & CAPABILITY_RDCL_NO;
}

bool xen_detect(void)
{
	struct {
		u32 index;
		u32 features;
	} info = { 0 };
	u32 regs[4];

	/* "XenVMMXenVMM" */
	leaf_base = hypervisor_leaf(0x566e6558, 0x65584d4d, 0x4d4d566e, &leaf_max);
	if (!leaf_base)
		return false;
	if (leaf_max >= leaf_base + LEAF_HVM) {
		cpuid(leaf_base + LEAF_HVM, 0, regs);
		hvm_features = regs[0];
	}
	safe_clock = !hypercall(HC_XEN_VERSION, VERSION_FEATURES, (u64)&info, 0) &&
		     info.features & FEATURE_SAFE_PVCLOCK;
	addresses = hvm_features & HVM_VCPU_ID && kernel_is_always_mapped();
	stable_flag = PVCLOCK_STABLE;
	return true;
}

u32 xen_host(void)
{
	return hvm_features & HVM_EXT_DEST_ID ? VMI64_HOST_EXT_DEST_ID : 0;
}

static bool has_clock(void)
{
	return addresses && safe_clock;
}

/* The TSC frequency in kHz, or 0; and a number that each restore increments. */
static u32 cpuid_tsc_khz(u32 *restored)
{
	u32 regs[4] = { 0 };

	if (leaf_max >= leaf_base + LEAF_TSC)
		cpuid(leaf_base + LEAF_TSC, 0, regs);
	*restored = regs[3];
	return regs[2];
}

/* As kvm_answer(). */
u32 xen_answer(u32 call)
{
	bool yes = false;

	switch (call) {
	case VMI64_CALL_GET_CYCLE_FREQUENCY:
	case VMI64_CALL_GET_CYCLE_COUNTER:
	case VMI64_CALL_GET_TIME_INFO:
		yes = has_clock();
		break;
	case VMI64_CALL_FLUSH_REMOTE:
	case VMI64_CALL_VCPU_IS_PREEMPTED:
		yes = addresses && rom.nr_cpus > 1;
		break;
	}
	return VMI64_RELOC(yes ? VMI64_RELOC_CALL : VMI64_RELOC_NONE, 0);
}

static u32 own_vcpu(void)
{
	u32 regs[4];

	cpuid(leaf_base + LEAF_HVM, 0, regs);
	return regs[1];
}

/* For the calling CPU only. The address 0 takes an earlier one back. */
static s32 set_area(u32 op, u64 address)
{
	return hypercall(HC_VCPU_OP, op, own_vcpu(), (u64)&address) ? -VMI64_EIO : 0;
}

/*
 * Xen writes the clock before the hypercall returns, unless it cannot. It writes 0
 * into @pad0, which nobody reads.
 *
 * Some CPUs use the boot CPU's clock. Those from LEGACY_CPUS on have no struct
 * vcpu_info of their own, by which Xen decides whether there is something to write.
 * After a restore the new clock may count from another time than those that Xen does
 * not correct any more. The domain may be restored in this function.
 */
static s32 start_clock(const struct vmi64_cpu *cpu)
{
	struct pvclock *clock = &clocks[cpu->cpu];
	u32 now;

	if (cpu->flags & VMI64_CPU_BOOT)
		cpuid_tsc_khz(&incarnation);
	if (cpu->cpu >= SHARED_CLOCKS || own_vcpu() >= LEGACY_CPUS)
		return 0;
	clock->pad0 = 1;
	if (set_area(VCPU_TIME_AREA, (u64)clock) || clock->pad0) {
		set_area(VCPU_TIME_AREA, 0);
		return -VMI64_EIO;
	}
	cpuid_tsc_khz(&now);
	if (now == incarnation)
		clock_started(cpu->cpu, (struct rom_cpu *)cpu->percpu_virt);
	else
		set_area(VCPU_TIME_AREA, 0);
	return 0;
}

/*
 * Xen writes the run state in the layout of 32-bit guests if hvmloader, which is
 * one, was the last to set the interrupt for events. Such an interrupt is not wanted,
 * but setting it to none tells Xen that the guest is a 64-bit one.
 */
static s32 choose_layout(void)
{
	struct {
		u16 domain;
		u16 pad;
		u32 index;
		u64 value;
	} none = { .domain = DOMID_SELF, .index = PARAM_CALLBACK_IRQ };

	return hypercall(HC_HVM_OP, HVM_SET_PARAM, (u64)&none, 0) ? -VMI64_EIO : 0;
}

/*
 * The time that is stolen according to Xen: the CPU was runnable, stopped by the
 * toolstack, or waiting for the device model. Returns false if that cannot be read. In
 * the layout of 32-bit guests @pad is a part of the time of entry. Another CPU may be
 * reading while Xen writes, which takes less time than these attempts.
 */
static bool read_runstate(const volatile struct runstate *runstate, u64 *stolen)
{
	int attempts = 1000;
	u64 entered;

	do {
		entered = runstate->entered;
		*stolen = runstate->time[RUNSTATE_RUNNABLE] +
			  runstate->time[RUNSTATE_OFFLINE];
		if (runstate->pad)
			return false;
		if (!(entered & RUNSTATE_UPDATE) && runstate->entered == entered)
			return true;
	} while (--attempts);
	return false;
}

/* For the calling CPU. Its stolen time continues from where it was. */
static s32 start_runstate(volatile struct rom_cpu *mine)
{
	u64 stolen;

	mine->stolen_base = NO_BASE;
	mine->runstate.state = 0;
	mine->runstate.pad = 0;
	mine->runstate.entered = 0;
	/*
	 * Have Xen mark the time of entry while it writes. A Xen that does not know
	 * how changes that time only, which a reader sees, too, unless it reads all of
	 * the record between two of Xen's writes.
	 */
	hypercall(HC_VM_ASSIST, ASSIST_ENABLE, ASSIST_RUNSTATE_UPDATE, 0);
	if (set_area(VCPU_RUNSTATE_AREA, (u64)&mine->runstate) ||
	    !mine->runstate.entered || !read_runstate(&mine->runstate, &stolen))
		return -VMI64_EIO;
	mine->stolen_base = stolen - mine->stolen;
	return 0;
}

/*
 * Stolen time of any CPU, which never goes backwards: Xen's begins with the time
 * before the CPU was started, and counts the time in which it is unplugged.
 */
static inline u64 stolen_from(u32 cpu)
{
	volatile struct rom_cpu *its = any_percpu(cpu);
	u64 stolen, base;

	/* That CPU may give the address anew at any time. */
	base = its->stolen_base;
	if (base == NO_BASE || !read_runstate(&its->runstate, &stolen) ||
	    its->stolen_base != base)
		return its->stolen;
	return never_backwards((u64 *)&its->stolen, stolen - base);
}

/*
 * Xen writes that a CPU runs before it runs. If the CPU itself reads something else,
 * the domain was restored from a file or on another machine, and Xen has lost its
 * addresses. The CPU then gives the run state's again, and leaves the clock alone.
 */
static __attribute__((noinline)) u64 stolen_after_restore(u32 cpu)
{
	clock_stopped(cpu);
	start_runstate(any_percpu(cpu));
	return stolen_from(cpu);
}

static u64 read_stolen(u32 cpu)
{
	if (!addresses || cpu >= rom.nr_cpus)
		return 0;
	if (MINE(runstate.state) && MINE(ready) && MINE(cpu) == cpu)
		return stolen_after_restore(cpu);
	return stolen_from(cpu);
}

/* The addresses of this CPU. Xen writes its run state to address 0 once: vmi-rom.rst. */
static void take_back(u32 cpu, u32 flags)
{
	s32 err = 0;

	if (addresses) {
		((volatile struct rom_cpu *)any_percpu(cpu))->stolen_base = NO_BASE;
		err |= set_area(VCPU_RUNSTATE_AREA, 0);
		SET_MINE(runstate.state, 0);
	}
	if (has_clock()) {
		err |= set_area(VCPU_TIME_AREA, 0);
		clock_stopped(cpu);
	}
	if (err && !(flags & VMI64_EXIT_CRASH))
		vmi_log("this hypervisor keeps an address, and may write there");
}

s32 xen_init_cpu(const struct vmi64_cpu *cpu)
{
	struct rom_cpu *mine = (struct rom_cpu *)cpu->percpu_virt;

	if (cpu->flags & VMI64_CPU_EARLY) {
		if (has_clock() && start_clock(cpu))
			return -VMI64_EIO;
		clock_early = has_clock();
		return 0;
	}

	if (clock_init_cpu(cpu)) {
		mine->runstate = (struct runstate){ 0 };
		mine->stolen = 0;
		mine->stolen_base = NO_BASE;
	}
	if (cpu->flags & VMI64_CPU_BOOT)
		clock_early = false;
	if (has_clock() && start_clock(cpu))
		return -VMI64_EIO;
	if (addresses && ((cpu->flags & VMI64_CPU_BOOT && choose_layout()) ||
			  start_runstate(mine))) {
		take_back(cpu->cpu, 0);
		return -VMI64_EIO;
	}
	mine->ready = 1;
	return 0;
}

void xen_exit_cpu(u32 flags)
{
	if (MINE(ready)) {
		u32 cpu = MINE(cpu);

		/* What was stolen until now. Time without the CPU does not count. */
		read_stolen(cpu);
		SET_MINE(ready, 0);
		take_back(cpu, flags);
	} else if (clock_early) {
		/* The boot CPU, after no more than INIT_CPU(EARLY). */
		set_area(VCPU_TIME_AREA, 0);
		clock_early = false;
		clock_stopped(0);
	}
	if (flags & VMI64_EXIT_LAST && addresses)
		hypercall(HC_VM_ASSIST, ASSIST_DISABLE, ASSIST_RUNSTATE_UPDATE, 0);
}

static u64 get_cycle_counter(u32 kind, u32 cpu)
{
	if (kind == VMI64_CYCLES_REAL)
		return read_real(cpu);
	if (kind == VMI64_CYCLES_STOLEN)
		return read_stolen(cpu);
	if (kind == VMI64_CYCLES_AVAILABLE && cpu < rom.nr_cpus)
		return not_stolen(cpu, read_real(cpu), read_stolen(cpu));
	return 0;
}

static s32 get_time_info(struct vmi64_time *out)
{
	struct vmi64_time info = { 0 };
	u32 ignored;

	info.tsc_khz = cpuid_tsc_khz(&ignored);
	if (clocks[0].tsc_to_system_mul) {
		info.flags = VMI64_TIME_REAL | VMI64_TIME_SYNC | VMI64_TIME_PREFER |
			     VMI64_TIME_AVAILABLE | VMI64_TIME_STOLEN;
		if (!info.tsc_khz)
			info.tsc_khz = clock_tsc_khz();
		if (clocks[0].flags & PVCLOCK_STABLE)
			info.user_clock = (u64)&clocks[0] - rom.load_virt;
	}
	return give_time_info(out, &info);
}

static __preserve u32 vcpu_is_preempted(u32 cpu)
{
	const volatile struct runstate *runstate =
		&((struct rom_cpu *)any_percpu(cpu))->runstate;

	return runstate->state == RUNSTATE_RUNNABLE;
}

/*
 * Xen flushes the TLBs of all CPUs of the domain. It interrupts those that run, and
 * the others have an empty TLB when they run again. If no CPU waits to run, the
 * kernel's IPIs disturb fewer of them.
 */
static s32 flush_remote(const struct vmi64_flush *flush, u64 *cpus, u32 bits)
{
	bool preempted = false;
	u32 word;

	(void)flush;
	for (word = 0; word * 64 < bits; word++) {
		u64 left = cpus[word];

		for (; left; left &= left - 1)
			preempted |= vcpu_is_preempted(word * 64 + __builtin_ctzll(left));
	}
	if (!preempted)
		return 0;
	if (hypercall(HC_HVM_OP, HVM_FLUSH_TLBS, 0, 0))
		return -VMI64_EIO;
	return flushed_all(cpus, bits);
}

IMPLEMENTS(GET_CYCLE_FREQUENCY, XEN, clock_frequency);
IMPLEMENTS(GET_CYCLE_COUNTER, XEN, get_cycle_counter);
IMPLEMENTS(GET_TIME_INFO, XEN, get_time_info);
IMPLEMENTS(FLUSH_REMOTE, XEN, flush_remote);
IMPLEMENTS(VCPU_IS_PREEMPTED, XEN, vcpu_is_preempted);
