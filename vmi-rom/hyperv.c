// SPDX-License-Identifier: GPL-2.0
/*
 * The calls that Hyper-V serves, or a hypervisor that offers the same interface.
 * Numbers and layouts are those of Microsoft's Hypervisor Top Level Functional
 * Specification (TLFS) 6.0b.
 */
#include "rom.h"

#define CPUID_HYPERVISOR	(1u << 31)	/* leaf 1, ECX */
#define LEAF_VENDOR		0x40000000
#define LEAF_INTERFACE		0x40000001
#define LEAF_FEATURES		0x40000003
#define LEAF_ADVICE		0x40000004

/* LEAF_FEATURES, EAX: what the partition may use */
#define MAY_READ_TIME		(1u << 1)
#define MAY_USE_TIMERS		(1u << 3)
#define MAY_USE_APIC_MSRS	(1u << 4)
#define MAY_MAKE_HYPERCALLS	(1u << 5)
#define MAY_READ_VP_INDEX	(1u << 6)
#define MAY_USE_TSC_PAGE	(1u << 9)
#define MAY_READ_FREQUENCIES	(1u << 11)
/* LEAF_FEATURES, EDX */
#define HAS_FREQUENCIES		(1u << 8)
#define HAS_DIRECT_TIMERS	(1u << 19)
/* LEAF_ADVICE, EAX */
#define ADVISES_REMOTE_FLUSH	(1u << 2)
#define ADVISES_CLUSTER_IPI	(1u << 10)

#define MSR_GUEST_OS_ID		0x40000000
#define MSR_HYPERCALL		0x40000001
#define MSR_VP_INDEX		0x40000002
#define MSR_TIME		0x40000020
#define MSR_TSC_PAGE		0x40000021
#define MSR_TSC_FREQUENCY	0x40000022
#define MSR_APIC_FREQUENCY	0x40000023
#define MSR_EOI			0x40000070
#define MSR_VP_ASSIST_PAGE	0x40000073
#define MSR_TIMER0_CONFIG	0x400000b0
#define MSR_TIMER0_COUNT	0x400000b1
#define MSR_ENABLED		1

#define TIMER_ENABLED		(1 << 0)
#define TIMER_ENABLED_BY_COUNT	(1 << 3)
#define TIMER_VECTOR_SHIFT	4
#define TIMER_DIRECT		(1 << 12)

#define HC_FLUSH_SPACE		0x0002
#define HC_SEND_IPI		0x000b
#define HC_FAST			(1 << 16)
#define HC_STATUS		0xffff
#define FLUSH_ALL_SPACES	(1 << 1)

/* An operating system with open source (bit 63) of no known vendor. */
#define GUEST_OS_ID		(1ull << 63 | 0x7full << 56 | VMI64_API_MAJOR << 16)

/* The reference time counts 100 ns. */
#define REFERENCE_HZ		10000000
#define ICR_MODE		0x700
#define VP_UNKNOWN		0xff
#define MASK_BITS		64

/*
 * TLFS 12.7.4: the hypervisor writes it when MSR_TSC_PAGE is written. User space
 * may map the page and sees all of it.
 */
static struct {
	struct vmi64_tsc_page clock;
	u8 rest[4096 - sizeof(struct vmi64_tsc_page)];
} tsc_page __section(".shared") __aligned(4096);

static u32 privileges, features, advice;
/* By APIC ID; the hypervisor numbers its virtual processors by itself. */
static u8 vp_index[256];

bool hyperv_detect(void)
{
	u32 regs[4], max, i;

	cpuid(1, 0, regs);
	if (!(regs[2] & CPUID_HYPERVISOR))
		return false;
	cpuid(LEAF_VENDOR, 0, regs);
	max = regs[0];
	/* "Microsoft Hv" */
	if (max < LEAF_ADVICE || regs[1] != 0x7263694d || regs[2] != 0x666f736f ||
	    regs[3] != 0x76482074)
		return false;
	/* "Hv#1" */
	cpuid(LEAF_INTERFACE, 0, regs);
	if (regs[0] != 0x31237648)
		return false;
	cpuid(LEAF_FEATURES, 0, regs);
	privileges = regs[0];
	features = regs[3];
	cpuid(LEAF_ADVICE, 0, regs);
	advice = regs[0];
	for (i = 0; i < sizeof(vp_index); i++)
		vp_index[i] = VP_UNKNOWN;
	return true;
}

static bool may(u32 wanted)
{
	return (privileges & wanted) == wanted;
}

static bool has_clock(void)
{
	return may(MAY_READ_TIME | MAY_USE_TSC_PAGE);
}

static bool has_hypercalls(void)
{
	return may(MAY_MAKE_HYPERCALLS | MAY_READ_VP_INDEX);
}

/* As kvm_answer(). */
u32 hyperv_answer(u32 call)
{
	bool yes = false;

	switch (call) {
	case VMI64_CALL_GET_CYCLE_FREQUENCY:
	case VMI64_CALL_GET_CYCLE_COUNTER:
	case VMI64_CALL_GET_TIME_INFO:
		yes = has_clock();
		break;
	case VMI64_CALL_START_ALARM:
	case VMI64_CALL_SET_ALARM:
	case VMI64_CALL_CANCEL_ALARM:
		/* An alarm is due at a time of the clock. */
		yes = has_clock() && may(MAY_USE_TIMERS) && features & HAS_DIRECT_TIMERS;
		break;
	case VMI64_CALL_EOI:
		yes = may(MAY_USE_APIC_MSRS);
		break;
	case VMI64_CALL_SEND_IPI:
		yes = has_hypercalls() && advice & ADVISES_CLUSTER_IPI;
		break;
	case VMI64_CALL_FLUSH_REMOTE:
		yes = has_hypercalls() && advice & ADVISES_REMOTE_FLUSH;
		break;
	}
	return VMI64_RELOC(yes ? VMI64_RELOC_CALL : VMI64_RELOC_NONE, 0);
}

u32 hyperv_host(void)
{
	return VMI64_HOST_TIMER_WORKS;
}

/* What there is once for all CPUs. */
static s32 start_system(void)
{
	if (vmi_wrmsr(MSR_GUEST_OS_ID, GUEST_OS_ID))
		return -VMI64_EIO;
	if (has_clock() && vmi_wrmsr(MSR_TSC_PAGE, phys(&tsc_page) | MSR_ENABLED))
		return -VMI64_EIO;
	if (has_hypercalls() && vmi_wrmsr(MSR_HYPERCALL, phys(hyperv_page) | MSR_ENABLED))
		return -VMI64_EIO;
	return 0;
}

/* The hypervisor must write to no page of this kernel any more. */
static void stop_system(void)
{
	if (has_hypercalls())
		vmi_wrmsr(MSR_HYPERCALL, 0);
	if (has_clock()) {
		vmi_wrmsr(MSR_TSC_PAGE, 0);
		/* Nobody keeps the page right any more: readers take the MSR. */
		tsc_page.clock.sequence = 0;
	}
	vmi_wrmsr(MSR_GUEST_OS_ID, 0);
}

s32 hyperv_init_cpu(const struct vmi64_cpu *cpu)
{
	struct rom_cpu *mine = (struct rom_cpu *)cpu->percpu_virt;
	u64 index;

	if (cpu->flags & (VMI64_CPU_EARLY | VMI64_CPU_BOOT) && start_system())
		goto stop;
	if (cpu->flags & VMI64_CPU_EARLY)
		return 0;

	mine->cpu = cpu->cpu;
	mine->alarm = 0;
	mine->percpu_phys = cpu->percpu_phys;
	mine->vp_assist = 0;
	mine->vp = VP_UNKNOWN;
	if (has_hypercalls() && !vmi_rdmsr(MSR_VP_INDEX, &index) &&
	    index < MASK_BITS) {
		mine->vp = index;
		if (cpu->apic_id < sizeof(vp_index))
			vp_index[cpu->apic_id] = index;
	}
	/* The page of this CPU's area: nothing else is at its beginning. */
	if (may(MAY_USE_APIC_MSRS) &&
	    vmi_wrmsr(MSR_VP_ASSIST_PAGE,
		      (cpu->percpu_phys + offsetof(struct rom_cpu, vp_assist)) |
		      MSR_ENABLED))
		goto stop;
	mine->ready = 1;
	return 0;

stop:
	if (cpu->flags & (VMI64_CPU_EARLY | VMI64_CPU_BOOT))
		stop_system();
	return -VMI64_EIO;
}

void hyperv_exit_cpu(u32 flags)
{
	if (MINE(ready)) {
		SET_MINE(ready, 0);
		if (MINE(alarm)) {
			SET_MINE(alarm, 0);
			vmi_wrmsr(MSR_TIMER0_CONFIG, 0);
		}
		if (may(MAY_USE_APIC_MSRS))
			vmi_wrmsr(MSR_VP_ASSIST_PAGE, 0);
	}
	if (flags & VMI64_EXIT_LAST)
		stop_system();
}

/* The upper half of A * B. Not in C: for a 128-bit type, gcc aligns the stack. */
static inline u64 multiply_high(u64 a, u64 b)
{
	u64 low, high;

	asm("mulq %3" : "=a" (low), "=d" (high) : "0" (a), "r" (b) : "cc");
	return high;
}

/* Not vmi_rdmsr(): the clock is read where nothing may be traced. */
static inline u64 read_time_msr(void)
{
	u32 low, high;

	asm volatile("rdmsr" : "=a" (low), "=d" (high) : "c" (MSR_TIME));
	return (u64)high << 32 | low;
}

/* TLFS 12.7.5 */
static u64 read_real(void)
{
	const volatile u32 *sequence = &tsc_page.clock.sequence;
	u64 value;
	u32 seen;

	do {
		seen = *sequence;
		/* The page is not valid: after a move to a host with another TSC. */
		if (!seen)
			return read_time_msr();
		asm volatile("" : : : "memory");
		value = multiply_high(read_tsc(), tsc_page.clock.scale) + tsc_page.clock.offset;
		asm volatile("" : : : "memory");
	} while (*sequence != seen);
	return value;
}

static u64 get_cycle_counter(u32 kind, u32 cpu)
{
	(void)cpu;
	return kind == VMI64_CYCLES_REAL ? read_real() : 0;
}

static u64 get_cycle_frequency(void)
{
	return REFERENCE_HZ;
}

static u32 read_khz(u32 msr)
{
	u64 hz;

	if (!may(MAY_READ_FREQUENCIES) || !(features & HAS_FREQUENCIES) ||
	    vmi_rdmsr(msr, &hz))
		return 0;
	return hz / 1000;
}

/*
 * User space reads the page itself. No copy in the form of user_clock could be
 * right, see "A clock for programs" in vmi64-abi.rst.
 */
static s32 get_time_info(struct vmi64_time *out)
{
	struct vmi64_time info = { 0 };

	info.flags = VMI64_TIME_REAL | VMI64_TIME_SYNC | VMI64_TIME_PREFER;
	info.tsc_khz = read_khz(MSR_TSC_FREQUENCY);
	info.apic_khz = read_khz(MSR_APIC_FREQUENCY);
	info.tsc_page = (u64)&tsc_page - rom.load_virt;
	return give_time_info(out, &info);
}

static s32 start_alarm(u32 vector, u64 frequency)
{
	(void)frequency;
	if (vmi_wrmsr(MSR_TIMER0_CONFIG, 0) ||
	    vmi_wrmsr(MSR_TIMER0_COUNT, 0) ||
	    vmi_wrmsr(MSR_TIMER0_CONFIG, TIMER_ENABLED | TIMER_ENABLED_BY_COUNT |
					 (u64)(u8)vector << TIMER_VECTOR_SHIFT |
					 TIMER_DIRECT))
		return -VMI64_EIO;
	SET_MINE(alarm, 1);
	return 0;
}

/* A time that has passed lets the alarm go off at once. 0 would stop it. */
static s32 set_alarm(u64 due)
{
	if (!MINE(alarm))
		return -VMI64_EINVAL;
	return vmi_wrmsr(MSR_TIMER0_COUNT, due ? due : 1) ? -VMI64_EIO : 0;
}

static void cancel_alarm(void)
{
	if (MINE(alarm))
		vmi_wrmsr(MSR_TIMER0_COUNT, 0);
}

/*
 * TLFS 10.3.5: bit 0 says that no EOI is needed. The hypervisor clears it before
 * it delivers an interrupt for which one is.
 */
static u32 eoi(void)
{
	u8 done;

	asm volatile("btrl $0, %%gs:vmi_cpu + %c1\n\t"
		     "setc %0"
		     : "=r" (done)
		     : "i" (offsetof(struct rom_cpu, vp_assist))
		     : "memory", "cc");
	if (!done)
		asm volatile("wrmsr" : : "c" (MSR_EOI), "a" (0), "d" (0) : "memory");
	return 1;
}

/* TLFS 3.7: RAX, RCX, RDX and R8 to R11 are not preserved. */
static u64 hypercall(u64 control, u64 input, u64 output)
{
	register u64 r8 asm("r8") = output;
	u64 result;

	asm volatile("call hyperv_page"
		     : "=a" (result), "+c" (control), "+d" (input), "+r" (r8)
		     : : "r9", "r10", "r11", "memory", "cc");
	return result & HC_STATUS;
}

/* A fast hypercall has its input in registers: the vector, and the mask. */
static s32 send_ipi(u64 low, u64 high, u64 first, u32 icr)
{
	u64 mask = 0;
	u32 bit;

	if (icr & ICR_MODE)
		return -VMI64_EINVAL;
	for (bit = 0; bit < 128; bit++) {
		u64 id = first + bit;

		if (!((bit < 64 ? low >> bit : high >> (bit - 64)) & 1))
			continue;
		if (id >= sizeof(vp_index) || vp_index[id] == VP_UNKNOWN)
			return -VMI64_EINVAL;
		mask |= 1ull << vp_index[id];
	}
	return hypercall(HC_SEND_IPI | HC_FAST, icr & 0xff, mask) ? -VMI64_EIO : 0;
}

static s32 flush_remote(const struct vmi64_flush *flush, u64 *cpus, u32 bits)
{
	struct rom_cpu *mine;
	u64 flags, mask = 0;
	u32 word, status;

	(void)flush;
	flags = irq_save();
	mine = any_percpu(MINE(cpu));
	for (word = 0; word * 64 < bits; word++) {
		u64 left = cpus[word];

		for (; left; left &= left - 1) {
			struct rom_cpu *other =
				any_percpu(word * 64 + __builtin_ctzll(left));

			if (other->vp >= MASK_BITS) {
				irq_restore(flags);
				return -VMI64_EINVAL;
			}
			mask |= 1ull << other->vp;
		}
	}
	mine->flush.space = 0;
	mine->flush.flags = FLUSH_ALL_SPACES;
	mine->flush.mask = mask;
	status = hypercall(HC_FLUSH_SPACE,
			   mine->percpu_phys + offsetof(struct rom_cpu, flush), 0);
	irq_restore(flags);
	if (status)
		return -VMI64_EIO;
	return flushed_all(cpus, bits);
}

IMPLEMENTS(GET_CYCLE_FREQUENCY, HYPERV, get_cycle_frequency);
IMPLEMENTS(GET_CYCLE_COUNTER, HYPERV, get_cycle_counter);
IMPLEMENTS(GET_TIME_INFO, HYPERV, get_time_info);
IMPLEMENTS(START_ALARM, HYPERV, start_alarm);
IMPLEMENTS(SET_ALARM, HYPERV, set_alarm);
IMPLEMENTS(CANCEL_ALARM, HYPERV, cancel_alarm);
IMPLEMENTS(EOI, HYPERV, eoi);
IMPLEMENTS(SEND_IPI, HYPERV, send_ipi);
IMPLEMENTS(FLUSH_REMOTE, HYPERV, flush_remote);
