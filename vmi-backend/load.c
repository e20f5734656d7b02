// SPDX-License-Identifier: GPL-2.0
/*
 * The load area: the memory in which the ROM's code runs.
 *
 * The backend is chosen before the kernel has an allocator. The load area is
 * therefore taken from the kernel's early heap (brk), whose unused rest the
 * kernel frees. Memory of the early heap is contiguous, as the kernel image is.
 *
 * The load area has three mappings: behind the kernel image, in the direct map,
 * and in the module space. The ROM runs in the last one and thus, like all
 * kernel text, in the topmost 2 GiB. Where KASLR is on, its address is random:
 * each entry of the ROM is a valid target of an indirect branch, and nobody
 * should know where SET_CR4 or WRMSR is. Each page has its final rights there
 * from the start: TEXT is never writable, and nothing but TEXT is executable.
 * The kernel writes through the first mapping. TEXT and RODATA become read-only
 * in the other two after the last fixup.
 */
#define pr_fmt(fmt) "pvops: vmi: " fmt

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/pgtable.h>
#include <linux/printk.h>
#include <linux/set_memory.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <asm/cpufeature.h>
#include <asm/kaslr.h>
#include <asm/nospec-branch.h>
#include <asm/pgtable.h>
#include <asm/setup.h>
#include <asm/text-patching.h>

#include "vmi.h"

/* The addresses from which one is chosen: all in one page table of level 2. */
#define AREA_FIRST	max(MODULES_VADDR, MODULES_END & PUD_MASK)

static_assert(PMD_SIZE % VMI64_MAX_LOAD == 0 && MODULES_END % PMD_SIZE == 0,
	      "the load area needs more than one page table");

/* The load area and its page table, each aligned to a page. */
RESERVE_BRK(vmi_area, VMI64_MAX_LOAD + 2 * PAGE_SIZE);

static unsigned long vmi_brk_before_load __initdata;
static unsigned long vmi_brk_after_load __initdata;

static pgprot_t __init vmi_page_rights(const struct vmi_image *image, u32 off)
{
	u32 i;

	for (i = 0; i < image->header->nr_sections; i++) {
		const struct vmi64_section *s = &image->sections[i];

		if (s->type == VMI64_SEC_PERCPU || off < s->load_off ||
		    off - s->load_off >= s->load_size)
			continue;
		switch (s->type) {
		case VMI64_SEC_TEXT:
			return PAGE_KERNEL_ROX;
		case VMI64_SEC_DATA:
		case VMI64_SEC_SHARED:
			return PAGE_KERNEL;
		}
		break;
	}
	return PAGE_KERNEL_RO;
}

/*
 * The entries are not global. With page-table isolation, a global entry would
 * stay in the TLB while user space runs.
 */
static void __init vmi_map_area(const struct vmi_rom *rom, pmd_t *pmd,
				pte_t *table)
{
	unsigned long pfn = __pa(rom->mem) >> PAGE_SHIFT;
	u32 off;

	for (off = 0; off < rom->size; off += PAGE_SIZE) {
		pgprot_t prot = vmi_page_rights(&rom->image, off);

		pgprot_val(prot) &= ~_PAGE_GLOBAL;
		native_set_pte(&table[pte_index(rom->virt + off)],
			       pfn_pte(pfn + (off >> PAGE_SHIFT), prot));
	}
	native_set_pmd(pmd, __pmd(__pa(table) | _KERNPG_TABLE));
}

/* The address of a per-CPU symbol is relative to the %gs base of each CPU. */
static void __init vmi_fill_symbols(const struct vmi_rom *rom,
				    struct vmi_symbols *symbols)
{
	u64 *value = symbols->value;

	memset(symbols, 0, sizeof(*symbols));
	value[VMI64_SYM_LOAD] = rom->virt;
	value[VMI64_SYM_PERCPU] = (unsigned long)&vmi_percpu;
	value[VMI64_SYM_PERCPU_OFFSET] = (unsigned long)__per_cpu_offset;
	value[VMI64_SYM_LOG] = (unsigned long)vmi_service_log;
	value[VMI64_SYM_RDMSR] = (unsigned long)vmi_service_rdmsr;
	value[VMI64_SYM_WRMSR] = (unsigned long)vmi_service_wrmsr;
	value[VMI64_SYM_LOAD_GS_INDEX] =
		(unsigned long)vmi_service_load_gs_index;
	/* Mitigations are selected later: see vmi_set_return_thunks(). */
	symbols->plain_ret = true;
}

static unsigned long __init vmi_choose_address(void)
{
	unsigned long slots = (MODULES_END - AREA_FIRST) / VMI64_MAX_LOAD;
	unsigned long slot = slots - 1;

#ifdef CONFIG_RANDOMIZE_BASE
	if (kaslr_enabled())
		slot = kaslr_get_random_long("VMI-64 ROM") % slots;
#endif
	return AREA_FIRST + slot * VMI64_MAX_LOAD;
}

/**
 * vmi_load() - copy a ROM into the load area and map the area
 * @rom: (in/out) @rom->image is set; gets @mem, @virt and @size
 * @refusal: (out) why the ROM cannot be loaded
 *
 * Context: boot CPU, before reserve_brk().
 * Return: 0, or the rule that failed. All changes are undone then.
 */
int __init vmi_load(struct vmi_rom *rom, struct vmi_refusal *refusal)
{
	unsigned long virt = vmi_choose_address();
	pmd_t *pmd = pmd_off_k(virt);
	struct vmi_symbols symbols;
	unsigned int rule;
	pte_t *table;

	if (!pmd_none(*pmd))
		return vmi_refuse(refusal, VMI64_V_LOAD_SIZE,
				  "no address space left for it");

	vmi_brk_before_load = _brk_end;
	rom->size = rom->image.header->load_size;
	rom->virt = virt;
	table = extend_brk(PAGE_SIZE, PAGE_SIZE);
	rom->mem = extend_brk(rom->size, PAGE_SIZE);
	vmi_brk_after_load = _brk_end;

	vmi_image_load(&rom->image, rom->mem);
	vmi_image_load_percpu(&rom->image, this_cpu_ptr(&vmi_percpu));
	vmi_fill_symbols(rom, &symbols);
	rule = vmi_image_fix(&rom->image, rom->mem, &symbols, refusal);
	vmi_map_area(rom, pmd, table);
	if (rule)
		vmi_unload(rom);
	return rule;
}

/**
 * vmi_unload() - undo vmi_load()
 * @rom: the ROM. None of its code runs now or later
 *
 * Context: as vmi_load(), in the same setup.
 */
void __init vmi_unload(struct vmi_rom *rom)
{
	native_pmd_clear(pmd_off_k(rom->virt));
	__flush_tlb_all();
	memset(this_cpu_ptr(&vmi_percpu), 0, sizeof(vmi_percpu));
	/* If the early heap was extended since, the memory is lost. */
	if (_brk_end == vmi_brk_after_load)
		_brk_end = vmi_brk_before_load;
	rom->mem = NULL;
	rom->virt = 0;
}

static struct vm_struct vmi_area_vm;

/**
 * vmi_claim_area() - reserve the addresses of the load area
 * @rom: the ROM that is loaded
 *
 * Modules and other users of the module space do not get these addresses then.
 *
 * Context: boot CPU, before vmalloc is initialized.
 */
void __init vmi_claim_area(const struct vmi_rom *rom)
{
	vmi_area_vm.addr = (void *)rom->virt;
	vmi_area_vm.size = VMI64_MAX_LOAD;
	vmi_area_vm.flags = VM_MAP;
	vmi_area_vm.caller = vmi_claim_area;
	vm_area_add_early(&vmi_area_vm);
}

#ifdef CONFIG_MITIGATION_RETHUNK
/*
 * Each place holds a RET until here (vmi_symbols.plain_ret). The displacement
 * of the JMP is written first. It is behind the RET, where nothing executes it,
 * not even an NMI. Then one byte turns the RET into the complete JMP.
 */
static int __init vmi_set_return_thunks(void)
{
	const struct vmi_image *image = &vmi_rom.image;
	u32 i;

	if (!vmi_rom.committed || !cpu_feature_enabled(X86_FEATURE_RETHUNK))
		return 0;

	for (i = 0; i < image->header->nr_fixups; i++) {
		const struct vmi64_fixup *fix = &image->fixups[i];
		u8 *place = vmi_rom.mem + fix->place;
		s32 disp;

		if (fix->symbol != VMI64_SYM_RETURN_THUNK)
			continue;
		disp = (unsigned long)x86_return_thunk + fix->addend -
		       (vmi_rom.virt + fix->place);
		memcpy(place, &disp, sizeof(disp));
		barrier();
		WRITE_ONCE(place[-1], JMP32_INSN_OPCODE);
	}
	sync_core();
	return 0;
}
early_initcall(vmi_set_return_thunks);
#endif

/*
 * The mapping in which the ROM runs has its final rights already. The same
 * pages have two other mappings, in the direct map and behind the kernel image:
 * make TEXT and RODATA read-only there.
 */
static int __init vmi_protect_area(void)
{
	const struct vmi_image *image = &vmi_rom.image;
	u32 i;

	if (!vmi_rom.committed)
		return 0;

	for (i = 0; i < image->header->nr_sections; i++) {
		const struct vmi64_section *s = &image->sections[i];
		int err;

		if (s->type != VMI64_SEC_TEXT && s->type != VMI64_SEC_RODATA)
			continue;
		err = set_memory_ro((unsigned long)__va(__pa(vmi_rom.mem)) +
				    s->load_off,
				    PAGE_ALIGN(s->load_size) >> PAGE_SHIFT);
		if (err)
			pr_warn("second mapping of the ROM stays writable (%d)\n",
				err);
	}
	return 0;
}
late_initcall(vmi_protect_area);
