// SPDX-License-Identifier: GPL-2.0
/*
 * The all-call ROM: page tables and the TLB.
 */
#include "native.h"

#define CR4_PGE			(1 << 7)
#define PTE_RW			1	/* bit numbers */
#define PTE_ACCESSED		5
#define PTE_DIRTY		6

#define SET_ENTRY(name, NAME)						\
static void name(void *entry, u64 value)				\
{									\
	COUNT(NAME);							\
	*(volatile u64 *)entry = value;					\
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

static u64 modify_prot_start(const void *owner, u64 address, void *entry)
{
	COUNT(MODIFY_PROT_START);
	(void)owner;
	(void)address;
	return exchange(entry, 0);
}

static void modify_prot_commit(const void *owner, u64 address, void *entry,
			       u64 value)
{
	COUNT(MODIFY_PROT_COMMIT);
	(void)owner;
	(void)address;
	*(volatile u64 *)entry = value;
}

static s32 allocate_page(u64 pfn, u32 flags, u64 top)
{
	COUNT(ALLOCATE_PAGE);
	return 0;
}

static void release_page(u64 pfn, u32 flags)
{
	COUNT(RELEASE_PAGE);
}

static void inval_page(u64 address)
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
	/* Any change of CR4.PGE flushes all entries: SDM vol. 3, 4.10.4.1. */
	flags = irq_save();
	asm volatile("mov %%cr4, %0" : "=r" (value));
	asm volatile("mov %0, %%cr4" : : "r" (value ^ CR4_PGE) : "memory");
	asm volatile("mov %0, %%cr4" : : "r" (value) : "memory");
	irq_restore(flags);
}

/* The CPU has no way to flush another CPU but an IPI: leave all bits set. */
static s32 flush_remote(const struct vmi64_flush *flush, u64 *cpus, u32 nr)
{
	COUNT(FLUSH_REMOTE);
	return 0;
}

static void set_linear_mapping(u64 virt, u64 phys, u64 size)
{
	COUNT(SET_LINEAR_MAPPING);
}

static void set_lazy_mode(u32 mode)
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

static __preserve u64 pte_get_and_clear(const void *owner, u64 address,
					void *entry, u32 full)
{
	COUNT(PTE_GET_AND_CLEAR);
	(void)owner;
	(void)address;
	return exchange(entry, 0);
}

#define GET_AND_CLEAR(name, NAME)					\
static __preserve u64 name(const void *owner, u64 address, void *entry)	\
{									\
	COUNT(NAME);							\
	(void)owner;							\
	(void)address;							\
	return exchange(entry, 0);					\
}

GET_AND_CLEAR(pmd_get_and_clear, PMD_GET_AND_CLEAR)
GET_AND_CLEAR(pud_get_and_clear, PUD_GET_AND_CLEAR)

/* Dirty is moved to the kernel's saved-dirty bit, which may be set already. */
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
static __preserve void name(const void *owner, u64 address, void *entry) \
{									\
	COUNT(NAME);							\
	(void)owner;							\
	(void)address;							\
	wrprotect(entry);						\
}

SET_WRPROTECT(pte_set_wrprotect, PTE_SET_WRPROTECT)
SET_WRPROTECT(pmd_set_wrprotect, PMD_SET_WRPROTECT)

#define TEST_AND_CLEAR_YOUNG(name, NAME)				\
static __preserve u32 name(const void *owner, u64 address, void *entry)	\
{									\
	u8 was;								\
									\
	COUNT(NAME);							\
	(void)owner;							\
	(void)address;							\
	asm volatile("lock btrq %2, %1; setc %0"			\
		     : "=q" (was), "+m" (*(u64 *)entry)			\
		     : "i" (PTE_ACCESSED) : "memory", "cc");		\
	return was;							\
}

TEST_AND_CLEAR_YOUNG(pte_test_and_clear_young, PTE_TEST_AND_CLEAR_YOUNG)
TEST_AND_CLEAR_YOUNG(pmd_test_and_clear_young, PMD_TEST_AND_CLEAR_YOUNG)
TEST_AND_CLEAR_YOUNG(pud_test_and_clear_young, PUD_TEST_AND_CLEAR_YOUNG)

static __preserve u64 pmd_establish(const void *owner, u64 address, void *entry,
				    u64 value)
{
	COUNT(PMD_ESTABLISH);
	(void)owner;
	(void)address;
	return exchange(entry, value);
}

static void enter_as(u64 top)
{
	COUNT(ENTER_AS);
}

static void exit_as(u64 top)
{
	COUNT(EXIT_AS);
}

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
