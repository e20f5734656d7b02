// SPDX-License-Identifier: GPL-2.0
/*
 * Every call of ring 0 as the CPU itself does it, counted: the all-call ROM.
 *
 * It shows that the kernel makes each call where it should and with what it
 * should, on a machine where every mistake has its natural consequence.
 */
#include "rom.h"

#define MSR_APIC_BASE		0x1b
#define APIC_BASE_X2APIC	(1 << 10)
#define MSR_X2APIC		0x800
#define APIC_EOI		0xb0
#define APIC_ICR		0x300
#define APIC_ICR2		0x310
#define APIC_LVT_TIMER		0x320
#define APIC_TIMER_COUNT	0x380
#define APIC_TIMER_DIVIDE	0x3e0
#define ICR_BUSY		(1 << 12)
#define LVT_MASKED		(1 << 16)
#define DIVIDE_BY_16		3
#define DIVISOR			16

#define CR4_PGE			(1 << 7)
#define RFLAGS_IF		(1 << 9)
#define PTE_RW			1	/* bit numbers */
#define PTE_ACCESSED		5
#define PTE_DIRTY		6

#define CMOS_INDEX		0x70
#define CMOS_DATA		0x71
#define CMOS_NO_NMI		0x80
#define KEYBOARD_COMMAND	0x64
#define KEYBOARD_RESET		0xfe
#define RESET_CONTROL		0xcf9
#define RESET_COLD		0x06

/* Intel 82371AB (PIIX4), function 3: datasheet, chapters 7.1 and 7.2. */
#define PCI_ADDRESS		0xcf8
#define PCI_DATA		0xcfc
#define PCI_ENABLE		0x80000000u
#define PIIX4_PM_ID		0x71138086
#define PIIX4_PMBASE		0x40
#define PIIX4_PMBASE_MASK	0xffc0
#define PIIX4_PMREGMISC		0x80
#define PMREGMISC_PMIOSE	0x1
#define PIIX4_PMCNTRL		4
#define PMCNTRL_SUS_TYP		(7 << 10)	/* 0: soft off */
#define PMCNTRL_SUS_EN		(1 << 13)

u64 vmi_counts[VMI64_CALL_END];

static const char *const names[VMI64_CALL_END] = {
#define VMI64_X(number, NAME, class, flags)	[number] = #NAME,
	VMI64_CALLS(VMI64_X)
#undef VMI64_X
};

static u8 in8(u16 port)
{
	u8 value;

	asm volatile("inb %1, %0" : "=a" (value) : "Nd" (port));
	return value;
}

static void out8(u16 port, u8 value)
{
	asm volatile("outb %0, %1" : : "a" (value), "Nd" (port));
}

static u16 in16(u16 port)
{
	u16 value;

	asm volatile("inw %1, %0" : "=a" (value) : "Nd" (port));
	return value;
}

static void out16(u16 port, u16 value)
{
	asm volatile("outw %0, %1" : : "a" (value), "Nd" (port));
}

static u32 in32(u16 port)
{
	u32 value;

	asm volatile("inl %1, %0" : "=a" (value) : "Nd" (port));
	return value;
}

static void out32(u16 port, u32 value)
{
	asm volatile("outl %0, %1" : : "a" (value), "Nd" (port));
}

/* ---- what was counted, for the kernel's log */

static char *put(char *to, const char *end, const char *text)
{
	while (to < end && *text)
		*to++ = *text++;
	return to;
}

static char *put_number(char *to, const char *end, u64 value)
{
	char digits[21], *digit = digits + sizeof(digits) - 1;

	*digit = '\0';
	do {
		*--digit = '0' + value % 10;
		value /= 10;
	} while (value);
	return put(to, end, digit);
}

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
		/* the longest name, '=' and 2^64 */
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

/* ---- CPU */

static void native_cpuid(u32 regs[4])
{
	COUNT(CPUID);
	cpuid(regs[0], regs[2], regs);
}

static s32 native_wrmsr(u32 msr, u64 value)
{
	COUNT(WRMSR);
	return vmi_wrmsr(msr, value);
}

static s32 native_rdmsr(u32 msr, u64 *value)
{
	COUNT(RDMSR);
	return vmi_rdmsr(msr, value);
}

static void set_gdt(const void *table)
{
	COUNT(SET_GDT);
	asm volatile("lgdt (%0)" : : "r" (table) : "memory");
}

static void set_idt(const void *table)
{
	COUNT(SET_IDT);
	asm volatile("lidt (%0)" : : "r" (table) : "memory");
}

static void set_ldt(u16 selector)
{
	COUNT(SET_LDT);
	asm volatile("lldt %0" : : "r" (selector) : "memory");
}

static void set_tr(u16 selector)
{
	COUNT(SET_TR);
	asm volatile("ltr %0" : : "r" (selector) : "memory");
}

static u32 get_tr(void)
{
	u32 selector;

	COUNT(GET_TR);
	asm volatile("str %0" : "=r" (selector));
	return selector;
}

/* A CPU may be reading the table: no descriptor is ever half one, half other. */
static void write_entry(volatile u64 *to, const u64 *from, u32 words)
{
	while (words--)
		to[words] = from[words];
}

static void write_gdt_entry(u64 *table, u32 index, const u64 *entry, u32 bytes)
{
	COUNT(WRITE_GDT_ENTRY);
	write_entry(table + index, entry, bytes / 8);
}

static void write_idt_entry(u64 *table, u32 vector, const u64 *gate)
{
	COUNT(WRITE_IDT_ENTRY);
	write_entry(table + 2 * vector, gate, 2);
}

static void write_ldt_entry(u64 *table, u32 index, const u64 *entry)
{
	COUNT(WRITE_LDT_ENTRY);
	write_entry(table + index, entry, 1);
}

/* RSP0 is at offset 4 of a 64-bit TSS: SDM vol. 3, 8.7. */
static void set_kernel_stack(u64 stack, u8 *tss)
{
	COUNT(SET_KERNEL_STACK);
	asm volatile("movq %1, %0" : "=m" (*(u64 *)(tss + 4)) : "r" (stack));
}

static void set_cr0(u64 value)
{
	COUNT(SET_CR0);
	asm volatile("mov %0, %%cr0" : : "r" (value) : "memory");
}

static void set_cr2(u64 value)
{
	COUNT(SET_CR2);
	asm volatile("mov %0, %%cr2" : : "r" (value) : "memory");
}

static void set_cr3(u64 value)
{
	COUNT(SET_CR3);
	asm volatile("mov %0, %%cr3" : : "r" (value) : "memory");
}

static void set_cr4(u64 value)
{
	COUNT(SET_CR4);
	asm volatile("mov %0, %%cr4" : : "r" (value) : "memory");
}

static u64 get_cr0(void)
{
	u64 value;

	COUNT(GET_CR0);
	asm volatile("mov %%cr0, %0" : "=r" (value) : : "memory");
	return value;
}

static __preserve u64 get_cr2(void)
{
	u64 value;

	COUNT(GET_CR2);
	asm volatile("mov %%cr2, %0" : "=r" (value) : : "memory");
	return value;
}

static u64 get_cr3(void)
{
	u64 value;

	COUNT(GET_CR3);
	asm volatile("mov %%cr3, %0" : "=r" (value) : : "memory");
	return value;
}

static void wbinvd(void)
{
	COUNT(WBINVD);
	asm volatile("wbinvd" : : : "memory");
}

#define DR_CASE(n, how)							\
	case n:								\
		asm volatile(how : "+r" (value) : : "memory");		\
		break

static void set_dr(u32 number, u64 value)
{
	COUNT(SET_DR);
	switch (number) {
	DR_CASE(0, "mov %0, %%db0");
	DR_CASE(1, "mov %0, %%db1");
	DR_CASE(2, "mov %0, %%db2");
	DR_CASE(3, "mov %0, %%db3");
	DR_CASE(6, "mov %0, %%db6");
	DR_CASE(7, "mov %0, %%db7");
	}
}

static u64 get_dr(u32 number)
{
	u64 value = 0;

	COUNT(GET_DR);
	switch (number) {
	DR_CASE(0, "mov %%db0, %0");
	DR_CASE(1, "mov %%db1, %0");
	DR_CASE(2, "mov %%db2, %0");
	DR_CASE(3, "mov %%db3, %0");
	DR_CASE(6, "mov %%db6, %0");
	DR_CASE(7, "mov %%db7, %0");
	}
	return value;
}

static u64 rdpmc(u32 counter)
{
	u32 low, high;

	COUNT(RDPMC);
	asm volatile("rdpmc" : "=a" (low), "=d" (high) : "c" (counter));
	return (u64)high << 32 | low;
}

/* The keyboard controller's reset line, then the chipset's. */
static s32 reboot(u32 how)
{
	u32 patience;

	COUNT(REBOOT);
	(void)how;
	log_counts();
	for (patience = 0x10000; patience && in8(KEYBOARD_COMMAND) & 2; patience--)
		asm volatile("pause");
	out8(KEYBOARD_COMMAND, KEYBOARD_RESET);
	out8(RESET_CONTROL, RESET_COLD);
	for (patience = 0x100000; patience; patience--)
		asm volatile("pause");
	return -VMI64_EIO;
}

static u32 pci_read(u32 function, u32 reg)
{
	out32(PCI_ADDRESS, PCI_ENABLE | function << 8 | reg);
	return in32(PCI_DATA);
}

/* The port of the chipset's power-management control, or 0. */
static u16 power_control(void)
{
	u32 before = in32(PCI_ADDRESS), function;
	u16 port = 0;

	for (function = 0; function < 0x100; function++) {
		if (pci_read(function, 0) != PIIX4_PM_ID)
			continue;
		if (pci_read(function, PIIX4_PMREGMISC) & PMREGMISC_PMIOSE)
			port = (pci_read(function, PIIX4_PMBASE) &
				PIIX4_PMBASE_MASK) + PIIX4_PMCNTRL;
		break;
	}
	out32(PCI_ADDRESS, before);
	return port;
}

/*
 * Other chipsets are found by way of ACPI's tables, which are in memory that a
 * ROM must not touch: there the kernel does it.
 */
static s32 shutdown(void)
{
	u16 port = power_control();
	u32 patience;

	COUNT(SHUTDOWN);
	log_counts();
	if (!port)
		return -VMI64_ENOSYS;
	out16(port, (in16(port) & ~PMCNTRL_SUS_TYP) | PMCNTRL_SUS_EN);
	for (patience = 0x100000; patience; patience--)
		asm volatile("pause");
	return -VMI64_EIO;
}

static void io_delay(void)
{
	COUNT(IO_DELAY);
	out8(0x80, 0);
}

static void load_tls(const u64 *descriptors, u32 index, u64 *gdt)
{
	COUNT(LOAD_TLS);
	write_entry(gdt + index, descriptors, 3);
}

static void load_gs_index(u32 selector)
{
	COUNT(LOAD_GS_INDEX);
	vmi_load_gs_index(selector);
}

/* The CPU has no use for being told. */
static void allocate_ldt(void)
{
	COUNT(ALLOCATE_LDT);
}

static void release_ldt(void)
{
	COUNT(RELEASE_LDT);
}

static void update_io_bitmap(void)
{
	COUNT(UPDATE_IO_BITMAP);
}

/* ---- interrupts */

static __preserve void enable_interrupts(void)
{
	COUNT(ENABLE_INTERRUPTS);
	asm volatile("sti" : : : "memory");
}

static __preserve void disable_interrupts(void)
{
	COUNT(DISABLE_INTERRUPTS);
	asm volatile("cli" : : : "memory");
}

static __preserve u64 get_interrupt_mask(void)
{
	u64 flags;

	COUNT(GET_INTERRUPT_MASK);
	asm volatile("pushfq; popq %0" : "=r" (flags) : : "memory");
	return flags;
}

static void halt(void)
{
	COUNT(HALT);
	asm volatile("sti; hlt" : : : "memory");
}

static void halt_masked(void)
{
	COUNT(HALT_MASKED);
	asm volatile("hlt" : : : "memory");
}

/* The kernel may change to x2APIC mode at any time, and does not say so. */
static bool x2apic(void)
{
	u64 base;

	return !vmi_rdmsr(MSR_APIC_BASE, &base) && base & APIC_BASE_X2APIC;
}

static volatile u32 *apic_register(u32 offset)
{
	return (volatile u32 *)(rom.apic_virt + offset);
}

static void write_apic(u32 offset, u32 value)
{
	if (x2apic())
		vmi_wrmsr(MSR_X2APIC + offset / 16, value);
	else
		*apic_register(offset) = value;
}

static u32 read_apic(u32 offset)
{
	u64 value;

	if (!x2apic())
		return *apic_register(offset);
	vmi_rdmsr(MSR_X2APIC + offset / 16, &value);
	return value;
}

static u32 eoi(void)
{
	COUNT(EOI);
	write_apic(APIC_EOI, 0);
	return 1;
}

static void wait_icr(void)
{
	while (*apic_register(APIC_ICR) & ICR_BUSY)
		asm volatile("pause");
}

/* What an NMI interrupts between the two halves of the ICR it leaves as it was. */
static void send_xapic(u32 apic_id, u32 icr)
{
	u64 flags = irq_save();
	u32 before;

	wait_icr();
	before = *apic_register(APIC_ICR2);
	*apic_register(APIC_ICR2) = apic_id << 24;
	*apic_register(APIC_ICR) = icr;
	wait_icr();
	*apic_register(APIC_ICR2) = before;
	irq_restore(flags);
}

/* Each CPU in physical mode, since the kernel's logical IDs are its own. */
static s32 send_ipi(u64 low, u64 high, u64 first, u32 icr)
{
	bool wide = x2apic();
	u32 bit;

	COUNT(SEND_IPI);
	if (!wide)
		for (bit = 0; bit < 128; bit++)
			if ((bit < 64 ? low >> bit : high >> (bit - 64)) & 1 &&
			    first + bit > 0xfe)
				return -VMI64_EINVAL;
	/* What was stored before must be seen by who is interrupted. */
	asm volatile("mfence; lfence" : : : "memory");
	for (bit = 0; bit < 128; bit++) {
		if (!((bit < 64 ? low >> bit : high >> (bit - 64)) & 1))
			continue;
		if (wide)
			vmi_wrmsr(MSR_X2APIC + APIC_ICR / 16,
				  (first + bit) << 32 | icr);
		else
			send_xapic(first + bit, icr);
	}
	return 0;
}

static void apic_write(u32 offset, u32 value)
{
	COUNT(APIC_WRITE);
	write_apic(offset, value);
}

static u32 apic_read(u32 offset)
{
	COUNT(APIC_READ);
	return read_apic(offset);
}

/* ---- memory */

#define SET_ENTRY(name, NAME)						\
static void name(volatile u64 *entry, u64 value)			\
{									\
	COUNT(NAME);							\
	*entry = value;							\
}

SET_ENTRY(set_pte, SET_PTE)
SET_ENTRY(set_pmd, SET_PMD)
SET_ENTRY(set_pud, SET_PUD)
SET_ENTRY(set_p4d, SET_P4D)
SET_ENTRY(set_pgd, SET_PGD)

static __preserve u64 exchange(u64 *entry, u64 value)
{
	asm volatile("xchgq %0, %1" : "+r" (value), "+m" (*entry) : : "memory");
	return value;
}

static u64 modify_prot_start(void *owner, u64 address, u64 *entry)
{
	COUNT(MODIFY_PROT_START);
	(void)owner;
	(void)address;
	return exchange(entry, 0);
}

static void modify_prot_commit(void *owner, u64 address, volatile u64 *entry,
			       u64 value)
{
	COUNT(MODIFY_PROT_COMMIT);
	(void)owner;
	(void)address;
	*entry = value;
}

static s32 allocate_page(void)
{
	COUNT(ALLOCATE_PAGE);
	return 0;
}

static void release_page(void)
{
	COUNT(RELEASE_PAGE);
}

static void inval_page(const void *address)
{
	COUNT(INVAL_PAGE);
	asm volatile("invlpg (%0)" : : "r" (address) : "memory");
}

static void flush_tlb(u32 what)
{
	static const u64 all_contexts[2];
	u64 flags, value;

	COUNT(FLUSH_TLB);
	if (what == VMI64_FLUSH_USER) {
		asm volatile("mov %%cr3, %0; mov %0, %%cr3"
			     : "=&r" (value) : : "memory");
		return;
	}
	if (rom.invpcid) {
		asm volatile("invpcid %0, %1"
			     : : "m" (all_contexts), "r" (2ull) : "memory");
		return;
	}
	/* Changing CR4.PGE, either way, flushes all of all: SDM vol. 3, 4.10.4.1 */
	flags = irq_save();
	asm volatile("mov %%cr4, %0" : "=r" (value));
	asm volatile("mov %0, %%cr4" : : "r" (value ^ CR4_PGE) : "memory");
	asm volatile("mov %0, %%cr4" : : "r" (value) : "memory");
	irq_restore(flags);
}

/* There is no other way to reach a CPU than to interrupt it. */
static s32 flush_remote(void)
{
	COUNT(FLUSH_REMOTE);
	return 0;
}

static void set_linear_mapping(void)
{
	COUNT(SET_LINEAR_MAPPING);
}

static void set_lazy_mode(void)
{
	COUNT(SET_LAZY_MODE);
}

static __preserve u64 pte_decode(u64 entry)
{
	COUNT(PTE_DECODE);
	return entry;
}

static __preserve u64 pte_encode(u64 entry)
{
	COUNT(PTE_ENCODE);
	return entry;
}

#define GET_AND_CLEAR(name, NAME)					\
static __preserve u64 name(void *owner, u64 address, u64 *entry)	\
{									\
	COUNT(NAME);							\
	(void)owner;							\
	(void)address;							\
	return exchange(entry, 0);					\
}

GET_AND_CLEAR(pte_get_and_clear, PTE_GET_AND_CLEAR)
GET_AND_CLEAR(pmd_get_and_clear, PMD_GET_AND_CLEAR)
GET_AND_CLEAR(pud_get_and_clear, PUD_GET_AND_CLEAR)

/* Dirty goes into the kernel's own bit, which is set already or becomes so. */
static inline __attribute__((always_inline)) void wrprotect(u64 *entry)
{
	u64 old = __atomic_load_n(entry, __ATOMIC_RELAXED), new;

	do {
		new = old & ~(1ull << PTE_RW);
		if (rom.saved_dirty_bit && old & 1ull << PTE_DIRTY) {
			new &= ~(1ull << PTE_DIRTY);
			new |= 1ull << rom.saved_dirty_bit;
		}
	} while (!__atomic_compare_exchange_n(entry, &old, new, false,
					      __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}

#define SET_WRPROTECT(name, NAME)					\
static __preserve void name(void *owner, u64 address, u64 *entry)	\
{									\
	COUNT(NAME);							\
	(void)owner;							\
	(void)address;							\
	wrprotect(entry);						\
}

SET_WRPROTECT(pte_set_wrprotect, PTE_SET_WRPROTECT)
SET_WRPROTECT(pmd_set_wrprotect, PMD_SET_WRPROTECT)

#define TEST_AND_CLEAR_YOUNG(name, NAME)				\
static __preserve u32 name(void *owner, u64 address, u64 *entry)	\
{									\
	u8 was;								\
									\
	COUNT(NAME);							\
	(void)owner;							\
	(void)address;							\
	asm volatile("lock btrq %2, %1; setc %0"			\
		     : "=q" (was), "+m" (*entry)			\
		     : "i" (PTE_ACCESSED) : "memory", "cc");		\
	return was;							\
}

TEST_AND_CLEAR_YOUNG(pte_test_and_clear_young, PTE_TEST_AND_CLEAR_YOUNG)
TEST_AND_CLEAR_YOUNG(pmd_test_and_clear_young, PMD_TEST_AND_CLEAR_YOUNG)
TEST_AND_CLEAR_YOUNG(pud_test_and_clear_young, PUD_TEST_AND_CLEAR_YOUNG)

static __preserve u64 pmd_establish(void *owner, u64 address, u64 *entry, u64 value)
{
	COUNT(PMD_ESTABLISH);
	(void)owner;
	(void)address;
	return exchange(entry, value);
}

static void enter_as(void)
{
	COUNT(ENTER_AS);
}

static void exit_as(void)
{
	COUNT(EXIT_AS);
}

/* ---- time and waiting */

static u64 tsc_hz(void)
{
	return rom.tsc_khz * 1000ull;
}

static s32 get_time_info(struct vmi64_time *out)
{
	struct vmi64_time info = { .size = out->size };

	COUNT(GET_TIME_INFO);
	if (out->size < sizeof(out->size) + sizeof(out->flags))
		return -VMI64_EINVAL;
	/* Nothing is stolen from a bare machine: the three are one counter. */
	if (rom.tsc_khz)
		info.flags = VMI64_TIME_REAL | VMI64_TIME_AVAILABLE |
			     VMI64_TIME_STOLEN | VMI64_TIME_SYNC |
			     VMI64_TIME_PREFER;
	for (u32 i = sizeof(out->size); i < out->size; i++)
		((u8 *)out)[i] = i < sizeof(info) ? ((u8 *)&info)[i] : 0;
	return 0;
}

static u64 get_cycle_frequency(void)
{
	COUNT(GET_CYCLE_FREQUENCY);
	return tsc_hz();
}

/* Whoever reads later, on whichever CPU, does not see less. */
static u64 read_real(void)
{
	static u64 latest;
	u64 last = __atomic_load_n(&latest, __ATOMIC_RELAXED), now = read_tsc();

	do {
		if (now <= last)
			return last;
	} while (!__atomic_compare_exchange_n(&latest, &last, now, false,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return now;
}

static u64 get_cycle_counter(u32 kind)
{
	COUNT(GET_CYCLE_COUNTER);
	if (!rom.tsc_khz || kind == VMI64_CYCLES_STOLEN)
		return 0;
	return read_real();
}

static u8 cmos(u8 index)
{
	out8(CMOS_INDEX, CMOS_NO_NMI | index);
	return in8(CMOS_DATA);
}

struct moment {
	u8 second, minute, hour, day, month, year, mode;
};

static struct moment read_cmos(void)
{
	struct moment now = {
		cmos(0), cmos(2), cmos(4), cmos(7), cmos(8), cmos(9), cmos(11),
	};

	return now;
}

static bool same(const struct moment *a, const struct moment *b)
{
	return a->second == b->second && a->minute == b->minute &&
	       a->hour == b->hour && a->day == b->day && a->month == b->month &&
	       a->year == b->year;
}

static u32 decimal(const struct moment *now, u8 value)
{
	return now->mode & 4 ? value : (value >> 4) * 10 + (value & 15);
}

/* The battery-backed clock, of this century, in UTC. Whole seconds. */
static u64 get_wallclock_time(void)
{
	static const u16 days_before[12] = {
		0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334,
	};
	struct moment now = read_cmos(), again;
	u32 year, month, hour, patience;
	u64 days;

	COUNT(GET_WALLCLOCK_TIME);
	/* Twice alike: it did not change between two registers. */
	for (patience = 100; patience; patience--) {
		again = read_cmos();
		if (same(&now, &again))
			break;
		now = again;
	}
	out8(CMOS_INDEX, 0x0d);		/* NMIs again */
	in8(CMOS_DATA);

	year = 2000 + decimal(&now, now.year);
	month = decimal(&now, now.month);
	if (!patience || month < 1 || month > 12)
		return 0;
	hour = decimal(&now, now.hour & 0x7f);
	if (!(now.mode & 2))		/* twelve hours and a half of the day */
		hour = hour % 12 + (now.hour & 0x80 ? 12 : 0);
	days = (year - 1970) * 365ull + (year - 1969) / 4 + days_before[month - 1] +
	       decimal(&now, now.day) - 1 + (month > 2 && !(year % 4));
	return (((days * 24 + hour) * 60 + decimal(&now, now.minute)) * 60 +
		decimal(&now, now.second)) * 1000000000ull;
}

static u64 apic_hz;

static s32 start_alarm(u8 vector, u64 frequency)
{
	COUNT(START_ALARM);
	if (!frequency || !tsc_hz())
		return -VMI64_EINVAL;
	apic_hz = frequency;		/* the same on all CPUs */
	write_apic(APIC_TIMER_COUNT, 0);
	write_apic(APIC_TIMER_DIVIDE, DIVIDE_BY_16);
	write_apic(APIC_LVT_TIMER, vector);
	SET_MINE(alarm, 1);
	return 0;
}

/* a * b / c, rounded up; ~0 if it does not fit. */
static u64 scale(u64 a, u64 b, u64 c)
{
	unsigned __int128 product = (unsigned __int128)a * b + (c - 1);
	u64 high = product >> 64, low = product, result, rest;

	if (high >= c)
		return ~0ull;
	asm("divq %4" : "=a" (result), "=d" (rest)
	    : "0" (low), "1" (high), "r" (c) : "cc");
	return result;
}

static s32 set_alarm(u64 due)
{
	u64 now = read_tsc(), ticks = 1;

	COUNT(SET_ALARM);
	if (!MINE(alarm))
		return -VMI64_EINVAL;
	if (due > now)
		ticks = scale(due - now, apic_hz / DIVISOR, tsc_hz());
	if (ticks > 0xffffffff)
		return -VMI64_EINVAL;
	write_apic(APIC_TIMER_COUNT, ticks);
	return 0;
}

static s32 cancel_alarm(void)
{
	COUNT(CANCEL_ALARM);
	if (!MINE(alarm))
		return -VMI64_EINVAL;
	write_apic(APIC_TIMER_COUNT, 0);
	return 0;
}

void native_exit_cpu(void)
{
	if (!MINE(ready) || !MINE(alarm))
		return;
	write_apic(APIC_LVT_TIMER, LVT_MASKED);
	write_apic(APIC_TIMER_COUNT, 0);
	SET_MINE(alarm, 0);
}

/* Nobody else wants this CPU: a moment is all that is given away. */
static void lock_wait(const volatile u8 *byte, u32 value)
{
	COUNT(LOCK_WAIT);
	if (*byte == (u8)value)
		asm volatile("pause" : : : "memory");
}

static void lock_kick(void)
{
	COUNT(LOCK_KICK);
}

static __preserve u32 vcpu_is_preempted(u32 cpu)
{
	COUNT(VCPU_IS_PREEMPTED);
	(void)cpu;
	return 0;
}

IMPLEMENTS(CPUID, NATIVE, native_cpuid);
IMPLEMENTS(WRMSR, NATIVE, native_wrmsr);
IMPLEMENTS(RDMSR, NATIVE, native_rdmsr);
IMPLEMENTS(SET_GDT, NATIVE, set_gdt);
IMPLEMENTS(SET_IDT, NATIVE, set_idt);
IMPLEMENTS(SET_LDT, NATIVE, set_ldt);
IMPLEMENTS(SET_TR, NATIVE, set_tr);
IMPLEMENTS(GET_TR, NATIVE, get_tr);
IMPLEMENTS(WRITE_GDT_ENTRY, NATIVE, write_gdt_entry);
IMPLEMENTS(WRITE_IDT_ENTRY, NATIVE, write_idt_entry);
IMPLEMENTS(WRITE_LDT_ENTRY, NATIVE, write_ldt_entry);
IMPLEMENTS(SET_KERNEL_STACK, NATIVE, set_kernel_stack);
IMPLEMENTS(SET_CR0, NATIVE, set_cr0);
IMPLEMENTS(SET_CR2, NATIVE, set_cr2);
IMPLEMENTS(SET_CR3, NATIVE, set_cr3);
IMPLEMENTS(SET_CR4, NATIVE, set_cr4);
IMPLEMENTS(GET_CR0, NATIVE, get_cr0);
IMPLEMENTS(GET_CR2, NATIVE, get_cr2);
IMPLEMENTS(GET_CR3, NATIVE, get_cr3);
IMPLEMENTS(WBINVD, NATIVE, wbinvd);
IMPLEMENTS(SET_DR, NATIVE, set_dr);
IMPLEMENTS(GET_DR, NATIVE, get_dr);
IMPLEMENTS(RDPMC, NATIVE, rdpmc);
IMPLEMENTS(REBOOT, NATIVE, reboot);
IMPLEMENTS(SHUTDOWN, NATIVE, shutdown);
IMPLEMENTS(IO_DELAY, NATIVE, io_delay);
IMPLEMENTS(LOAD_TLS, NATIVE, load_tls);
IMPLEMENTS(LOAD_GS_INDEX, NATIVE, load_gs_index);
IMPLEMENTS(ALLOCATE_LDT, NATIVE, allocate_ldt);
IMPLEMENTS(RELEASE_LDT, NATIVE, release_ldt);
IMPLEMENTS(UPDATE_IO_BITMAP, NATIVE, update_io_bitmap);
IMPLEMENTS(ENABLE_INTERRUPTS, NATIVE, enable_interrupts);
IMPLEMENTS(DISABLE_INTERRUPTS, NATIVE, disable_interrupts);
IMPLEMENTS(GET_INTERRUPT_MASK, NATIVE, get_interrupt_mask);
IMPLEMENTS(HALT, NATIVE, halt);
IMPLEMENTS(HALT_MASKED, NATIVE, halt_masked);
IMPLEMENTS(EOI, NATIVE, eoi);
IMPLEMENTS(SEND_IPI, NATIVE, send_ipi);
IMPLEMENTS(APIC_WRITE, NATIVE, apic_write);
IMPLEMENTS(APIC_READ, NATIVE, apic_read);
IMPLEMENTS(SET_PTE, NATIVE, set_pte);
IMPLEMENTS(SET_PMD, NATIVE, set_pmd);
IMPLEMENTS(SET_PUD, NATIVE, set_pud);
IMPLEMENTS(SET_P4D, NATIVE, set_p4d);
IMPLEMENTS(SET_PGD, NATIVE, set_pgd);
IMPLEMENTS(MODIFY_PROT_START, NATIVE, modify_prot_start);
IMPLEMENTS(MODIFY_PROT_COMMIT, NATIVE, modify_prot_commit);
IMPLEMENTS(ALLOCATE_PAGE, NATIVE, allocate_page);
IMPLEMENTS(RELEASE_PAGE, NATIVE, release_page);
IMPLEMENTS(INVAL_PAGE, NATIVE, inval_page);
IMPLEMENTS(FLUSH_TLB, NATIVE, flush_tlb);
IMPLEMENTS(FLUSH_REMOTE, NATIVE, flush_remote);
IMPLEMENTS(SET_LINEAR_MAPPING, NATIVE, set_linear_mapping);
IMPLEMENTS(SET_LAZY_MODE, NATIVE, set_lazy_mode);
IMPLEMENTS(PTE_DECODE, NATIVE, pte_decode);
IMPLEMENTS(PTE_ENCODE, NATIVE, pte_encode);
IMPLEMENTS(PTE_GET_AND_CLEAR, NATIVE, pte_get_and_clear);
IMPLEMENTS(PTE_SET_WRPROTECT, NATIVE, pte_set_wrprotect);
IMPLEMENTS(PTE_TEST_AND_CLEAR_YOUNG, NATIVE, pte_test_and_clear_young);
IMPLEMENTS(PMD_GET_AND_CLEAR, NATIVE, pmd_get_and_clear);
IMPLEMENTS(PMD_SET_WRPROTECT, NATIVE, pmd_set_wrprotect);
IMPLEMENTS(PMD_TEST_AND_CLEAR_YOUNG, NATIVE, pmd_test_and_clear_young);
IMPLEMENTS(PMD_ESTABLISH, NATIVE, pmd_establish);
IMPLEMENTS(PUD_GET_AND_CLEAR, NATIVE, pud_get_and_clear);
IMPLEMENTS(PUD_TEST_AND_CLEAR_YOUNG, NATIVE, pud_test_and_clear_young);
IMPLEMENTS(ENTER_AS, NATIVE, enter_as);
IMPLEMENTS(EXIT_AS, NATIVE, exit_as);
IMPLEMENTS(GET_TIME_INFO, NATIVE, get_time_info);
IMPLEMENTS(GET_CYCLE_FREQUENCY, NATIVE, get_cycle_frequency);
IMPLEMENTS(GET_CYCLE_COUNTER, NATIVE, get_cycle_counter);
IMPLEMENTS(GET_WALLCLOCK_TIME, NATIVE, get_wallclock_time);
IMPLEMENTS(START_ALARM, NATIVE, start_alarm);
IMPLEMENTS(SET_ALARM, NATIVE, set_alarm);
IMPLEMENTS(CANCEL_ALARM, NATIVE, cancel_alarm);
IMPLEMENTS(LOCK_WAIT, NATIVE, lock_wait);
IMPLEMENTS(LOCK_KICK, NATIVE, lock_kick);
IMPLEMENTS(VCPU_IS_PREEMPTED, NATIVE, vcpu_is_preempted);
