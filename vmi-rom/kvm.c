// SPDX-License-Identifier: GPL-2.0
/*
 * The calls that KVM serves. Numbers and layouts are KVM's public ABI:
 * Documentation/virt/kvm/x86/{cpuid,msr,hypercalls}.rst of Linux.
 */
#include "pvclock.h"

#define CPUID_MWAIT		(1u << 3)	/* leaf 1, ECX */
#define LEAF_FEATURES		1		/* from the signature's leaf */
#define LEAF_TIMING		0x10

#define FEATURE_NOP_IO_DELAY	(1u << 1)
#define FEATURE_CLOCKSOURCE2	(1u << 3)
#define FEATURE_STEAL_TIME	(1u << 5)
#define FEATURE_PV_EOI		(1u << 6)
#define FEATURE_PV_UNHALT	(1u << 7)
#define FEATURE_PV_TLB_FLUSH	(1u << 9)
#define FEATURE_PV_SEND_IPI	(1u << 11)
#define FEATURE_MSI_EXT_DEST_ID	(1u << 15)
#define FEATURE_CLOCK_STABLE	(1u << 24)
#define HINT_REALTIME		(1u << 0)

#define MSR_WALL_CLOCK_NEW	0x4b564d00
#define MSR_SYSTEM_TIME_NEW	0x4b564d01
#define MSR_STEAL_TIME		0x4b564d03
#define MSR_PV_EOI_EN		0x4b564d04
#define MSR_ENABLED		1

#define HC_KICK_CPU		5
#define HC_SEND_IPI		10

#define VCPU_PREEMPTED		1
#define VCPU_FLUSH_TLB		2

#define RFLAGS_IF		(1 << 9)

static struct {
	u32 version;
	u32 sec;
	u32 nsec;
} wall_clock __aligned(16);

static u32 features, hints, leaf_base, leaf_max;
static bool mwait;		/* a CPU may wait by MWAIT, unseen by KVM */

static bool has(u32 wanted)
{
	return (features & wanted) == wanted;
}

bool kvm_detect(void)
{
	u32 regs[4];

	leaf_base = hypervisor_leaf(0x4b4d564b, 0x564b4d56, 0x4d, &leaf_max);
	if (!leaf_base)
		return false;
	/* Old versions of KVM say 0: there is one more leaf. */
	if (!leaf_max)
		leaf_max = leaf_base + LEAF_FEATURES;
	cpuid(1, 0, regs);
	mwait = regs[2] & CPUID_MWAIT;
	cpuid(leaf_base + LEAF_FEATURES, 0, regs);
	features = regs[0];
	hints = regs[3];
	stable_flag = has(FEATURE_CLOCK_STABLE) ? PVCLOCK_STABLE : 0;
	return true;
}

/*
 * The answer CALL with index 0 says that there is an implementation: the caller
 * fills in the index. With the hint REALTIME, KVM never deschedules a CPU of
 * the guest. FLUSH_REMOTE, LOCK_WAIT and LOCK_KICK are of no use then. Linux's
 * own KVM guest decides in the same way.
 */
u32 kvm_answer(u32 call)
{
	bool yes = false;

	switch (call) {
	case VMI64_CALL_IO_DELAY:
		return has(FEATURE_NOP_IO_DELAY) ?
		       VMI64_RELOC(VMI64_RELOC_NOP, 0) :
		       VMI64_RELOC(VMI64_RELOC_NONE, 0);
	case VMI64_CALL_GET_CYCLE_FREQUENCY:
	case VMI64_CALL_GET_CYCLE_COUNTER:
	case VMI64_CALL_GET_TIME_INFO:
	case VMI64_CALL_GET_WALLCLOCK_TIME:
	case VMI64_CALL_TEST_AND_CLEAR_STOPPED:
		yes = has(FEATURE_CLOCKSOURCE2);
		break;
	case VMI64_CALL_EOI:
		yes = has(FEATURE_PV_EOI);
		break;
	case VMI64_CALL_SEND_IPI:
		yes = has(FEATURE_PV_SEND_IPI);
		break;
	case VMI64_CALL_FLUSH_REMOTE:
		yes = has(FEATURE_PV_TLB_FLUSH | FEATURE_STEAL_TIME) &&
		      !(hints & HINT_REALTIME) && !mwait && rom.nr_cpus > 1;
		break;
	case VMI64_CALL_LOCK_WAIT:
	case VMI64_CALL_LOCK_KICK:
		yes = has(FEATURE_PV_UNHALT) && !(hints & HINT_REALTIME) &&
		      rom.nr_cpus > 1;
		break;
	case VMI64_CALL_VCPU_IS_PREEMPTED:
		yes = has(FEATURE_STEAL_TIME);
		break;
	}
	return VMI64_RELOC(yes ? VMI64_RELOC_CALL : VMI64_RELOC_NONE, 0);
}

u32 kvm_host(void)
{
	/* KVM's timers work: Linux's own KVM guest does not test them either. */
	return VMI64_HOST_TIMER_WORKS |
	       (hints & HINT_REALTIME ? VMI64_HOST_DEDICATED : 0) |
	       (has(FEATURE_MSI_EXT_DEST_ID) ? VMI64_HOST_EXT_DEST_ID : 0);
}

static s32 start_clock(const struct vmi64_cpu *info)
{
	u64 where = info->cpu < SHARED_CLOCKS ?
		    phys(&clocks[info->cpu]) :
		    info->percpu_phys + offsetof(struct rom_cpu, clock);
	s32 err = vmi_wrmsr(MSR_SYSTEM_TIME_NEW, where | MSR_ENABLED);

	if (!err)
		clock_started(info->cpu, (struct rom_cpu *)info->percpu_virt);
	return err;
}

s32 kvm_init_cpu(const struct vmi64_cpu *cpu)
{
	struct rom_cpu *mine = (struct rom_cpu *)cpu->percpu_virt;

	if (cpu->flags & VMI64_CPU_EARLY) {
		if (has(FEATURE_CLOCKSOURCE2) && start_clock(cpu))
			return -VMI64_EIO;
		clock_early = has(FEATURE_CLOCKSOURCE2);
		return 0;
	}

	/*
	 * The area may be a copy of the boot CPU's, with values that KVM wrote
	 * for the boot CPU: clear these. Values that KVM wrote for this CPU
	 * must stay, because KVM continues to count from them.
	 */
	if (clock_init_cpu(cpu))
		mine->steal = (struct steal_time){ 0 };
	mine->eoi = 0;
	mine->steal.preempted = 0;

	if (cpu->flags & VMI64_CPU_BOOT)
		clock_early = false;
	if (has(FEATURE_CLOCKSOURCE2) && start_clock(cpu))
		goto withdraw;
	if (has(FEATURE_STEAL_TIME) &&
	    vmi_wrmsr(MSR_STEAL_TIME, (cpu->percpu_phys +
				       offsetof(struct rom_cpu, steal)) | MSR_ENABLED))
		goto withdraw;
	if (has(FEATURE_PV_EOI) &&
	    vmi_wrmsr(MSR_PV_EOI_EN, (cpu->percpu_phys +
				      offsetof(struct rom_cpu, eoi)) | MSR_ENABLED))
		goto withdraw;
	mine->ready = 1;
	return 0;

withdraw:
	mine->ready = 1;
	kvm_exit_cpu(0);
	return -VMI64_EIO;
}

void kvm_exit_cpu(u32 flags)
{
	u32 cpu;

	(void)flags;
	if (!MINE(ready)) {
		/* The boot CPU, after no more than INIT_CPU(EARLY). */
		if (clock_early) {
			vmi_wrmsr(MSR_SYSTEM_TIME_NEW, 0);
			clock_early = false;
			clock_stopped(0);
		}
		return;
	}
	cpu = MINE(cpu);
	SET_MINE(ready, 0);
	if (has(FEATURE_PV_EOI)) {
		vmi_wrmsr(MSR_PV_EOI_EN, 0);
		SET_MINE(eoi, 0);
	}
	if (has(FEATURE_STEAL_TIME)) {
		vmi_wrmsr(MSR_STEAL_TIME, 0);
		asm volatile("movb $0, %%gs:vmi_cpu + %c0"
			     : : "i" (offsetof(struct rom_cpu, steal.preempted))
			     : "memory");
	}
	if (has(FEATURE_CLOCKSOURCE2)) {
		vmi_wrmsr(MSR_SYSTEM_TIME_NEW, 0);
		clock_stopped(cpu);
	}
}

static u64 read_stolen(u32 cpu)
{
	const volatile struct steal_time *steal;
	u32 version;
	u64 value;

	if (!has(FEATURE_STEAL_TIME) || cpu >= rom.nr_cpus)
		return 0;
	steal = &((struct rom_cpu *)any_percpu(cpu))->steal;
	do {
		do
			version = steal->version;
		while (version & 1);
		value = steal->steal;
	} while (steal->version != version);
	return value;
}

static u64 get_cycle_counter(u32 kind, u32 cpu)
{
	if (kind == VMI64_CYCLES_REAL)
		return read_real(cpu);
	if (kind == VMI64_CYCLES_STOLEN)
		return read_stolen(cpu);
	if (kind == VMI64_CYCLES_AVAILABLE && has(FEATURE_STEAL_TIME) &&
	    cpu < rom.nr_cpus)
		return not_stolen(cpu, read_real(cpu), read_stolen(cpu));
	return 0;
}

static s32 get_time_info(struct vmi64_time *out)
{
	struct vmi64_time info = { 0 };
	u32 regs[4];

	if (clocks[0].tsc_to_system_mul) {
		info.flags = VMI64_TIME_REAL | VMI64_TIME_SYNC | VMI64_TIME_PREFER;
		if (has(FEATURE_STEAL_TIME))
			info.flags |= VMI64_TIME_AVAILABLE | VMI64_TIME_STOLEN;
		info.tsc_khz = clock_tsc_khz();
		if (has(FEATURE_CLOCK_STABLE))
			info.user_clock = (u64)&clocks[0] - rom.load_virt;
	}
	if (leaf_max >= leaf_base + LEAF_TIMING) {
		cpuid(leaf_base + LEAF_TIMING, 0, regs);
		info.apic_khz = regs[1];
	}
	return give_time_info(out, &info);
}

static u64 get_wallclock_time(void)
{
	const volatile u32 *version = &wall_clock.version;
	u64 boot;
	u32 seen;

	if (vmi_wrmsr(MSR_WALL_CLOCK_NEW, phys(&wall_clock)))
		return 0;
	do {
		seen = *version;
		asm volatile("" : : : "memory");
		boot = wall_clock.sec * NSEC_PER_SEC + wall_clock.nsec;
		asm volatile("" : : : "memory");
	} while (seen & 1 || seen != *version);
	/*
	 * KVM writes the time once, when it gets the address. A host that moves
	 * or restores the guest hands KVM the address again, and KVM writes to
	 * memory that may belong to another kernel by then.
	 */
	vmi_wrmsr(MSR_WALL_CLOCK_NEW, 0);
	return boot ? boot + read_real(MINE(cpu)) : 0;
}

static u32 eoi(void)
{
	u8 done;

	/* One instruction: KVM uses the bit only while it has this CPU. */
	asm volatile("btrl $0, %%gs:vmi_cpu + %c1\n\t"
		     "setc %0"
		     : "=r" (done)
		     : "i" (offsetof(struct rom_cpu, eoi))
		     : "memory", "cc");
	return done;
}

static s64 hypercall(u64 number, u64 a, u64 b, u64 c, u64 d)
{
	s64 result;

	if (rom.vmmcall)
		asm volatile("vmmcall"
			     : "=a" (result)
			     : "0" (number), "b" (a), "c" (b), "d" (c), "S" (d)
			     : "memory");
	else
		asm volatile("vmcall"
			     : "=a" (result)
			     : "0" (number), "b" (a), "c" (b), "d" (c), "S" (d)
			     : "memory");
	return result;
}

static s32 send_ipi(u64 low, u64 high, u64 first, u32 icr)
{
	return hypercall(HC_SEND_IPI, low, high, first, icr) < 0 ? -VMI64_EIO : 0;
}

/*
 * A CPU that KVM has descheduled flushes its TLB before it runs again, if the
 * flag is set while it is descheduled. The exchange fails if the CPU has come
 * back meanwhile.
 */
static s32 flush_remote(const struct vmi64_flush *flush, u64 *cpus, u32 bits)
{
	u32 word, cpu;

	(void)flush;
	for (word = 0; word * 64 < bits; word++) {
		u64 left = cpus[word];

		while (left) {
			struct rom_cpu *other;
			u8 state;

			cpu = word * 64 + __builtin_ctzll(left);
			left &= left - 1;
			other = any_percpu(cpu);
			state = __atomic_load_n(&other->steal.preempted,
						__ATOMIC_RELAXED);
			if (state & VCPU_PREEMPTED &&
			    __atomic_compare_exchange_n(&other->steal.preempted, &state,
							state | VCPU_FLUSH_TLB, false,
							__ATOMIC_SEQ_CST,
							__ATOMIC_RELAXED))
				cpus[word] &= ~(1ull << (cpu & 63));
		}
	}
	return 0;
}

/* A kick before HLT is not lost: it makes the next HLT return at once. */
static void lock_wait(const u8 *byte, u32 value)
{
	u64 flags = irq_save();

	if (*(const volatile u8 *)byte != (u8)value)
		irq_restore(flags);
	else if (flags & RFLAGS_IF)
		asm volatile("sti; hlt" : : : "memory");
	else
		asm volatile("hlt" : : : "memory");
}

static void lock_kick(u32 apic_id)
{
	hypercall(HC_KICK_CPU, 0, apic_id, 0, 0);
}

static __preserve u32 vcpu_is_preempted(u32 cpu)
{
	const volatile struct steal_time *steal =
		&((struct rom_cpu *)any_percpu(cpu))->steal;

	return steal->preempted & VCPU_PREEMPTED;
}

/* One instruction clears the flag, because KVM may write between two. */
static u32 test_and_clear_stopped(void)
{
	u32 cpu = MINE(cpu);
	struct pvclock *clock = cpu < SHARED_CLOCKS ?
				&clocks[cpu] :
				&((struct rom_cpu *)any_percpu(cpu))->clock;

	if (!(*(volatile u8 *)&clock->flags & PVCLOCK_STOPPED))
		return 0;
	asm volatile("andb %1, %0"
		     : "+m" (clock->flags) : "i" ((u8)~PVCLOCK_STOPPED));
	return 1;
}

IMPLEMENTS(GET_CYCLE_FREQUENCY, KVM, clock_frequency);
IMPLEMENTS(GET_CYCLE_COUNTER, KVM, get_cycle_counter);
IMPLEMENTS(GET_TIME_INFO, KVM, get_time_info);
IMPLEMENTS(GET_WALLCLOCK_TIME, KVM, get_wallclock_time);
IMPLEMENTS(EOI, KVM, eoi);
IMPLEMENTS(SEND_IPI, KVM, send_ipi);
IMPLEMENTS(FLUSH_REMOTE, KVM, flush_remote);
IMPLEMENTS(LOCK_WAIT, KVM, lock_wait);
IMPLEMENTS(LOCK_KICK, KVM, lock_kick);
IMPLEMENTS(VCPU_IS_PREEMPTED, KVM, vcpu_is_preempted);
IMPLEMENTS(TEST_AND_CLEAR_STOPPED, KVM, test_and_clear_stopped);
