// SPDX-License-Identifier: GPL-2.0
/*
 * The calls that KVM serves. Numbers and layouts are KVM's public ABI:
 * Documentation/virt/kvm/x86/{cpuid,msr,hypercalls}.rst of Linux.
 */
#include "rom.h"

#define CPUID_HYPERVISOR	(1u << 31)	/* leaf 1, ECX */
#define CPUID_MWAIT		(1u << 3)	/* leaf 1, ECX */
#define LEAF_FIRST		0x40000000
#define LEAF_LAST		0x4000ff00
#define LEAF_STEP		0x100
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
#define PVCLOCK_STABLE		1
#define PVCLOCK_STOPPED		2

#define NSEC_PER_SEC		1000000000ull
#define SHARED_CLOCKS		64
#define RFLAGS_IF		(1 << 9)

/* One page. User space may map it for the clock of CPU 0, and sees all of it. */
static struct pvclock clocks[SHARED_CLOCKS] __section(".shared") __aligned(4096);

static struct {
	u32 version;
	u32 sec;
	u32 nsec;
} wall_clock __aligned(16);

static u32 features, hints, leaf_base, leaf_max;
static u8 stable_flag;		/* the flag to look at in a clock, or 0 */
static bool amd;		/* use VMMCALL instead of VMCALL */
static bool mwait;		/* a CPU may wait by MWAIT, unseen by KVM */
static bool clock_early;	/* INIT_CPU(EARLY) enabled CPU 0's clock */
static const struct pvclock *clock_on[SHARED_CLOCKS];	/* NULL if disabled */
static u64 last_real;
static u32 resumes;

bool kvm_detect(void)
{
	u32 regs[4], leaf;

	cpuid(0, 0, regs);
	/* "AuthenticAMD", "HygonGenuine" */
	amd = regs[1] == 0x68747541 || regs[1] == 0x6f677948;
	cpuid(1, 0, regs);
	if (!(regs[2] & CPUID_HYPERVISOR))
		return false;
	mwait = regs[2] & CPUID_MWAIT;
	for (leaf = LEAF_FIRST; leaf <= LEAF_LAST; leaf += LEAF_STEP) {
		cpuid(leaf, 0, regs);
		/* "KVMKVMKVM" */
		if (regs[1] != 0x4b4d564b || regs[2] != 0x564b4d56 || regs[3] != 0x4d)
			continue;
		leaf_base = leaf;
		/* Old versions of KVM say 0: there is one more leaf. */
		leaf_max = regs[0] ? regs[0] : leaf + LEAF_FEATURES;
		cpuid(leaf + LEAF_FEATURES, 0, regs);
		features = regs[0];
		hints = regs[3];
		stable_flag = features & FEATURE_CLOCK_STABLE ? PVCLOCK_STABLE : 0;
		return true;
	}
	return false;
}

static bool has(u32 wanted)
{
	return (features & wanted) == wanted;
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

static s32 start_clock(u32 cpu, u64 percpu_phys)
{
	u64 where = cpu < SHARED_CLOCKS ?
		    phys(&clocks[cpu]) :
		    percpu_phys + offsetof(struct rom_cpu, clock);
	s32 err = vmi_wrmsr(MSR_SYSTEM_TIME_NEW, where | MSR_ENABLED);

	if (!err && cpu < SHARED_CLOCKS)
		clock_on[cpu] = &clocks[cpu];
	return err;
}

s32 kvm_init_cpu(const struct vmi64_cpu *cpu)
{
	struct rom_cpu *mine = (struct rom_cpu *)cpu->percpu_virt;

	if (cpu->flags & VMI64_CPU_EARLY) {
		if (has(FEATURE_CLOCKSOURCE2) && start_clock(cpu->cpu, 0))
			return -VMI64_EIO;
		clock_early = has(FEATURE_CLOCKSOURCE2);
		return 0;
	}

	/*
	 * The area may be a copy of the boot CPU's, with values that KVM wrote
	 * for the boot CPU: clear these. Values that KVM wrote for this CPU
	 * must stay, because KVM continues to count from them.
	 */
	if (!mine->seen || mine->cpu != cpu->cpu) {
		mine->steal = (struct steal_time){ 0 };
		mine->clock = (struct pvclock){ 0 };
		mine->available = 0;
		mine->cpu = cpu->cpu;
		mine->seen = 1;
	}
	mine->eoi = 0;
	mine->steal.preempted = 0;
	/* After hibernation this may be another VM, with a clock from 0. */
	if (cpu->flags & VMI64_CPU_RESUME) {
		last_real = 0;
		resumes++;
	}
	if (mine->resumes != resumes) {
		mine->resumes = resumes;
		mine->available = 0;
	}

	if (has(FEATURE_CLOCKSOURCE2) && start_clock(cpu->cpu, cpu->percpu_phys))
		return -VMI64_EIO;
	if (has(FEATURE_STEAL_TIME) &&
	    vmi_wrmsr(MSR_STEAL_TIME, (cpu->percpu_phys +
				       offsetof(struct rom_cpu, steal)) | MSR_ENABLED))
		goto withdraw;
	if (has(FEATURE_PV_EOI) &&
	    vmi_wrmsr(MSR_PV_EOI_EN, (cpu->percpu_phys +
				      offsetof(struct rom_cpu, eoi)) | MSR_ENABLED))
		goto withdraw;
	mine->ready = 1;
	clock_early = false;
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
			clock_on[0] = NULL;
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
		if (cpu < SHARED_CLOCKS)
			clock_on[cpu] = NULL;
	}
}

/* A * B / 2^32. Not in C: for a 128-bit type, gcc aligns the stack. */
static inline u64 multiply(u64 a, u32 b)
{
	u64 low, high;

	asm("mulq %3; shrdq $32, %1, %0"
	    : "=a" (low), "=d" (high) : "0" (a), "r" ((u64)b));
	return low;
}

/* Nanoseconds; KVM makes the version odd while it writes. */
static inline u64 read_clock(const struct pvclock *clock, u8 *flags)
{
	u64 delta, value;
	u32 version;
	int shift;

	do {
		/* If it is odd it is another one in the end. */
		version = clock->version & ~1u;
		asm volatile("" : : : "memory");
		delta = read_tsc() - clock->tsc_timestamp;
		/* The time stamp may be from a counter that is a little ahead. */
		if ((s64)delta < 0)
			delta = 0;
		shift = clock->tsc_shift;
		/* The asm keeps the branches: gcc would shift both ways and choose. */
		if (shift < 0) {
			asm volatile("" : "+r" (delta));
			delta >>= -shift;
		} else {
			asm volatile("" : "+r" (delta));
			delta <<= shift;
		}
		value = clock->system_time +
			multiply(delta, clock->tsc_to_system_mul);
		*flags = clock->flags;
		asm volatile("" : : : "memory");
	} while (clock->version != version);
	return value;
}

/* VALUE, or the value returned before if that is later. */
static u64 never_backwards(u64 *where, u64 value)
{
	u64 last = __atomic_load_n(where, __ATOMIC_RELAXED);

	do {
		if (value <= last)
			return last;
	} while (!__atomic_compare_exchange_n(where, &last, value, false,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return value;
}

/* Never backwards across CPUs, even if KVM does not promise that. */
static u64 read_real(u32 cpu)
{
	const struct pvclock *clock = NULL;
	u64 value;
	u8 flags;

	if (cpu < SHARED_CLOCKS)
		clock = clock_on[cpu];
	else if (MINE(ready))
		clock = &((struct rom_cpu *)any_percpu(cpu))->clock;
	if (!clock)
		clock = &clocks[0];
	value = read_clock(clock, &flags);
	if (flags & stable_flag)
		return value;
	return never_backwards(&last_real, value);
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
		/* KVM accounts stolen time with a delay. */
		return never_backwards(&((struct rom_cpu *)any_percpu(cpu))->available,
				       read_real(cpu) - read_stolen(cpu));
	return 0;
}

static u64 get_cycle_frequency(void)
{
	return clocks[0].tsc_to_system_mul ? NSEC_PER_SEC : 0;
}

/* The TSC frequency that KVM uses for its clock: 10^9 * 2^32 / mul, shifted. */
static u32 tsc_khz(void)
{
	int shift = clocks[0].tsc_shift;
	u64 khz = 1000000ull << 32;

	khz /= clocks[0].tsc_to_system_mul;
	return shift < 0 ? khz << -shift : khz >> shift;
}

static s32 get_time_info(struct vmi64_time *out)
{
	struct vmi64_time info = { 0 };
	u32 regs[4];

	if (clocks[0].tsc_to_system_mul) {
		info.flags = VMI64_TIME_REAL | VMI64_TIME_SYNC | VMI64_TIME_PREFER;
		if (has(FEATURE_STEAL_TIME))
			info.flags |= VMI64_TIME_AVAILABLE | VMI64_TIME_STOLEN;
		info.tsc_khz = tsc_khz();
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

	if (amd)
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

IMPLEMENTS(GET_CYCLE_FREQUENCY, KVM, get_cycle_frequency);
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
