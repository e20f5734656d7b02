/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * VMI-64, API major 4: the interface between a hypervisor's ROM and a kernel.
 *
 * This header is normative. Documentation/vmi64-abi.rst explains each part. The
 * header is for kernels, for ROMs (C and assembler) and for tools on a host,
 * and needs integer types only. All numbers are little endian. Members of
 * structures have their natural alignment, and no structure has padding.
 *
 * The names distinguish three kinds of offsets:
 *	..._off		bytes from the start of the ROM image, as it was found
 *	load_off, entry, place
 *			bytes from the start of the load area, into which the
 *			kernel copies the sections of the image
 *	percpu		bytes from the start of a CPU's per-CPU area
 */
#ifndef _VMI_VMI64_H
#define _VMI_VMI64_H

#if !defined(__ASSEMBLY__) && !defined(__ASSEMBLER__)
#define VMI64_C_SOURCE	1
#ifdef __KERNEL__
#include <linux/types.h>
typedef __u8 vmi64_u8;
typedef __u16 vmi64_u16;
typedef __u32 vmi64_u32;
typedef __u64 vmi64_u64;
typedef __s32 vmi64_s32;
typedef __s64 vmi64_s64;
#else
#include <stdint.h>
typedef uint8_t vmi64_u8;
typedef uint16_t vmi64_u16;
typedef uint32_t vmi64_u32;
typedef uint64_t vmi64_u64;
typedef int32_t vmi64_s32;
typedef int64_t vmi64_s64;
#endif
#endif

/* Version of this header. */
#define VMI64_API_MAJOR		4
#define VMI64_API_MINOR		1

/* The option-ROM window. A ROM begins at a multiple of the step. */
#define VMI64_WINDOW_START	0xc0000
#define VMI64_WINDOW_END	0xf0000
#define VMI64_WINDOW_STEP	0x800

/* The ROM in an uncompressed cpio archive in front of the initrd. */
#define VMI64_INITRD_FILE	"kernel/x86/vmi64.rom"

/* Limits. */
#define VMI64_BLOCK		512
#define VMI64_PAGE		4096
#define VMI64_MAX_IMAGE		(255 * VMI64_BLOCK)
#define VMI64_MAX_HEADER	4096
#define VMI64_MAX_LOAD		0x40000
#define VMI64_MAX_PERCPU	VMI64_PAGE
#define VMI64_MAX_SECTIONS	16
#define VMI64_MAX_CALLS		1024
#define VMI64_MAX_FIXUPS	4096
#define VMI64_MAX_STRING	64
#define VMI64_MAX_INLINE	16
#define VMI64_ENTRY_ALIGN	16
#define VMI64_STACK_CALL	512
#define VMI64_STACK_INIT	4096

/* Sizes of the structures below, as of minor 0. */
#define VMI64_ROM_SIZE		32
#define VMI64_HEADER_SIZE	96
#define VMI64_SECTION_SIZE	32
#define VMI64_CALL_SIZE		16
#define VMI64_FIXUP_SIZE	16
#define VMI64_VARIANT_SIZE	32
#define VMI64_INIT_SIZE		176
#define VMI64_CPU_SIZE		40
#define VMI64_TIME_SIZE		32
#define VMI64_FLUSH_SIZE	32

/* The bytes in memory: 55 AA; "cVmi"; "VM64"; ENDBR64. */
#define VMI64_ROM_SIGNATURE	0xaa55
#define VMI64_SIGNATURE		0x696d5663
#define VMI64_MAGIC		0x34364d56
#define VMI64_ENDBR64		0xfa1e0ff3

/* vmi64_header.flags */
#define VMI64_ROM_RING0		0x1	/* for a kernel in ring 0 */
#define VMI64_ROM_INDIRECT	0x4	/* has indirect calls or jumps */
#define VMI64_ROM_FLAGS		0x5

/* vmi64_section.type */
#define VMI64_SEC_TEXT		1	/* read, execute */
#define VMI64_SEC_RODATA	2	/* read */
#define VMI64_SEC_DATA		3	/* read, write */
#define VMI64_SEC_SHARED	4	/* read, write; user space may read it */
#define VMI64_SEC_PERCPU	5	/* read, write; one copy for each CPU */

/* vmi64_fixup.kind */
#define VMI64_FIX_PC32		1	/* *(s32 *)P = S + A - P */
#define VMI64_FIX_ABS32S	2	/* *(s32 *)P = S + A */
#define VMI64_FIX_ABS64		3	/* *(u64 *)P = S + A */
#define VMI64_FIX_PERCPU32	4	/* *(s32 *)P = S + A, used with %gs: */

/* vmi64_fixup.symbol: the meaning of S */
#define VMI64_SYM_LOAD		1	/* start of the load area */
#define VMI64_SYM_PERCPU	2	/* the per-CPU area relative to %gs */
#define VMI64_SYM_PERCPU_OFFSET	3	/* u64 [nr_cpus]: %gs base of each CPU */
#define VMI64_SYM_RETURN_THUNK	4	/* code: the kernel's return thunk */
#define VMI64_SYM_LOG		5	/* void log(const char *line) */
#define VMI64_SYM_RDMSR		6	/* s32 rdmsr(u32 msr, u64 *value) */
#define VMI64_SYM_WRMSR		7	/* s32 wrmsr(u32 msr, u64 value) */
#define VMI64_SYM_LOAD_GS_INDEX	8	/* void load_gs_index(u32 selector) */
#define VMI64_SYM_MAX		8

/* vmi64_call.type, and bits 31..28 of the result of VMI_GetRelocationInfo */
#define VMI64_RELOC_NONE	0	/* not offered: use the kernel's code */
#define VMI64_RELOC_NOP		1	/* the operation needs no code */
#define VMI64_RELOC_CALL	2	/* an entry of the call table */
#define VMI64_RELOC_INLINE	3	/* the same, with a body for call sites */

#define VMI64_RELOC(type, index)	(((type) << 28) | (index))
#define VMI64_RELOC_TYPE(answer)	(((answer) >> 28) & 0xf)
#define VMI64_RELOC_INDEX(answer)	((answer) & 0xffff)
#define VMI64_RELOC_ZERO		0x0fff0000	/* must be 0 */

/* Call classes. */
#define VMI64_CLASS_SYSV	0	/* System V AMD64 */
#define VMI64_CLASS_PRESERVE	1	/* preserves all registers but RAX */

/* Flags of a call. */
#define VMI64_F_MANDATORY	0x01	/* every ROM offers it */
#define VMI64_F_NMI	0x08	/* also made in noinstr code, in NMI and MCE */
#define VMI64_F_IRQOFF	0x10	/* made only with interrupts off */
#define VMI64_F_READY	0x20	/* only between INIT_CPU and EXIT_CPU */
#define VMI64_F_NOP	0x40	/* VMI64_RELOC_NOP is a valid answer */
#define VMI64_F_INLINE	0x80	/* VMI64_RELOC_INLINE is a valid answer */

/*
 * All calls in the order of their numbers: X(number, NAME, CLASS, flags), with
 * CLASS without its prefix VMI64_CLASS_. A number below 80 has the same
 * operation in VMI 3.0. Numbers below 80 that are not listed are unused in
 * VMI-64, and will not be assigned to other operations.
 */
#define VMI64_CALLS(X)							\
	X(0, CPUID, SYSV, VMI64_F_NMI)					\
	X(1, WRMSR, SYSV, VMI64_F_NMI)					\
	X(2, RDMSR, SYSV, VMI64_F_NMI)					\
	X(3, SET_GDT, SYSV, VMI64_F_NMI)				\
	X(4, SET_IDT, SYSV, VMI64_F_NMI)				\
	X(5, SET_LDT, SYSV, VMI64_F_IRQOFF)				\
	X(6, SET_TR, SYSV, VMI64_F_IRQOFF)				\
	X(10, GET_TR, SYSV, VMI64_F_NMI)				\
	X(11, WRITE_GDT_ENTRY, SYSV, 0)					\
	X(12, WRITE_IDT_ENTRY, SYSV, 0)					\
	X(13, WRITE_LDT_ENTRY, SYSV, 0)					\
	X(14, SET_KERNEL_STACK, SYSV, VMI64_F_IRQOFF)			\
	X(15, SET_CR0, SYSV, VMI64_F_NMI)				\
	X(16, SET_CR2, SYSV, VMI64_F_NMI)				\
	X(17, SET_CR3, SYSV, VMI64_F_NMI)				\
	X(18, SET_CR4, SYSV, VMI64_F_NMI)				\
	X(19, GET_CR0, SYSV, VMI64_F_NMI | VMI64_F_INLINE)		\
	X(20, GET_CR2, PRESERVE, VMI64_F_NMI | VMI64_F_INLINE)		\
	X(21, GET_CR3, SYSV, VMI64_F_NMI | VMI64_F_INLINE)		\
	X(23, WBINVD, SYSV, VMI64_F_NMI | VMI64_F_NOP | VMI64_F_INLINE)	\
	X(24, SET_DR, SYSV, VMI64_F_NMI)				\
	X(25, GET_DR, SYSV, VMI64_F_NMI)				\
	X(26, RDPMC, SYSV, VMI64_F_NMI)					\
	X(29, ENABLE_INTERRUPTS, PRESERVE, VMI64_F_NMI | VMI64_F_INLINE) \
	X(30, DISABLE_INTERRUPTS, PRESERVE, VMI64_F_NMI | VMI64_F_INLINE) \
	X(31, GET_INTERRUPT_MASK, PRESERVE, VMI64_F_NMI | VMI64_F_INLINE) \
	X(35, HALT, SYSV, VMI64_F_NMI | VMI64_F_INLINE)			\
	X(36, REBOOT, SYSV, VMI64_F_NMI)				\
	X(37, SHUTDOWN, SYSV, VMI64_F_NMI)				\
	X(39, SET_PTE, SYSV, VMI64_F_INLINE)				\
	X(44, ALLOCATE_PAGE, SYSV, VMI64_F_NOP)				\
	X(45, RELEASE_PAGE, SYSV, VMI64_F_NOP)				\
	X(46, INVAL_PAGE, SYSV, VMI64_F_NMI | VMI64_F_INLINE)		\
	X(47, FLUSH_TLB, SYSV, VMI64_F_NMI)				\
	X(48, SET_LINEAR_MAPPING, SYSV, VMI64_F_NOP)			\
	X(63, APIC_WRITE, SYSV, VMI64_F_NMI)				\
	X(64, APIC_READ, SYSV, VMI64_F_NMI)				\
	X(65, IO_DELAY, SYSV, VMI64_F_NMI | VMI64_F_NOP | VMI64_F_INLINE) \
	X(66, GET_CYCLE_FREQUENCY, SYSV, 0)				\
	X(67, GET_CYCLE_COUNTER, SYSV, VMI64_F_NMI)			\
	X(68, SET_ALARM, SYSV, VMI64_F_IRQOFF | VMI64_F_READY)		\
	X(69, CANCEL_ALARM, SYSV, VMI64_F_IRQOFF | VMI64_F_READY)	\
	X(70, GET_WALLCLOCK_TIME, SYSV, VMI64_F_READY)			\
	X(73, SET_LAZY_MODE, SYSV, VMI64_F_NOP)				\
	X(80, INIT_CPU, SYSV, VMI64_F_IRQOFF | VMI64_F_MANDATORY)	\
	X(81, EXIT_CPU, SYSV, VMI64_F_IRQOFF | VMI64_F_NMI | VMI64_F_MANDATORY) \
	X(82, LOAD_TLS, SYSV, VMI64_F_IRQOFF)				\
	X(83, LOAD_GS_INDEX, SYSV, VMI64_F_IRQOFF)			\
	X(84, ALLOCATE_LDT, SYSV, VMI64_F_NOP)				\
	X(85, RELEASE_LDT, SYSV, VMI64_F_NOP)				\
	X(86, UPDATE_IO_BITMAP, SYSV, VMI64_F_IRQOFF | VMI64_F_NOP)	\
	X(87, HALT_MASKED, SYSV, VMI64_F_NMI | VMI64_F_INLINE)		\
	X(88, EOI, SYSV, VMI64_F_IRQOFF)				\
	X(89, SEND_IPI, SYSV, VMI64_F_NMI)				\
	X(90, FLUSH_REMOTE, SYSV, VMI64_F_READY)			\
	X(91, SET_PMD, SYSV, VMI64_F_INLINE)				\
	X(92, SET_PUD, SYSV, VMI64_F_INLINE)				\
	X(93, SET_P4D, SYSV, VMI64_F_INLINE)				\
	X(94, SET_PGD, SYSV, VMI64_F_INLINE)				\
	X(95, MODIFY_PROT_START, SYSV, 0)				\
	X(96, MODIFY_PROT_COMMIT, SYSV, 0)				\
	X(97, PTE_DECODE, PRESERVE, VMI64_F_NMI | VMI64_F_INLINE)	\
	X(98, PTE_ENCODE, PRESERVE, VMI64_F_NMI | VMI64_F_INLINE)	\
	X(99, PTE_GET_AND_CLEAR, PRESERVE, 0)				\
	X(100, PTE_SET_WRPROTECT, PRESERVE, 0)				\
	X(101, PTE_TEST_AND_CLEAR_YOUNG, PRESERVE, 0)			\
	X(102, PMD_GET_AND_CLEAR, PRESERVE, 0)				\
	X(103, PMD_SET_WRPROTECT, PRESERVE, 0)				\
	X(104, PMD_TEST_AND_CLEAR_YOUNG, PRESERVE, 0)			\
	X(105, PMD_ESTABLISH, PRESERVE, 0)				\
	X(106, PUD_GET_AND_CLEAR, PRESERVE, 0)				\
	X(107, PUD_TEST_AND_CLEAR_YOUNG, PRESERVE, 0)			\
	X(108, ENTER_AS, SYSV, VMI64_F_NOP)				\
	X(109, EXIT_AS, SYSV, VMI64_F_NOP)				\
	X(110, LOCK_WAIT, SYSV, VMI64_F_READY)				\
	X(111, LOCK_KICK, SYSV, VMI64_F_NMI)				\
	X(112, VCPU_IS_PREEMPTED, PRESERVE, VMI64_F_NMI)		\
	X(113, GET_TIME_INFO, SYSV, 0)					\
	X(114, START_ALARM, SYSV, VMI64_F_IRQOFF | VMI64_F_READY)	\
	X(115, TEST_AND_CLEAR_STOPPED, SYSV, VMI64_F_READY)

/* Above all numbers. A number below it that is not listed is not a call. */
#define VMI64_CALL_END		116

/* Pairs of calls of which both or none must be offered: X(NAME, NAME) */
#define VMI64_PAIRS(X)							\
	X(PTE_ENCODE, PTE_DECODE)					\
	X(MODIFY_PROT_START, MODIFY_PROT_COMMIT)			\
	X(APIC_READ, APIC_WRITE)					\
	X(LOCK_WAIT, LOCK_KICK)						\
	X(GET_CYCLE_COUNTER, GET_CYCLE_FREQUENCY)			\
	X(GET_CYCLE_COUNTER, GET_TIME_INFO)				\
	X(START_ALARM, SET_ALARM)					\
	X(START_ALARM, CANCEL_ALARM)

/*
 * The rules for a ROM: X(number, NAME, message if the rule fails). The rules
 * are checked in the order of their numbers. The first rule that fails is
 * reported. Documentation/vmi64-abi.rst has the exact condition of each rule.
 */
#define VMI64_RULES(X)							\
	X(1, SIGNATURES, "no VMI ROM signature")			\
	X(2, LENGTH, "length 0, or beyond the place it was found in")		\
	X(3, CHECKSUM, "wrong checksum")				\
	X(4, MAJOR, "made for another major version of VMI")		\
	X(5, HEADER_PLACE, "header outside of the image")		\
	X(6, MAGIC, "header without its magic number")			\
	X(7, HEADER_SIZE, "wrong header size")				\
	X(8, VERSION, "two different versions in one image")		\
	X(9, IMAGE_SIZE, "lengths of the image that do not agree")	\
	X(10, HEADER_FLAGS, "unknown flags or reserved fields set in the header") \
	X(11, RING, "not for a kernel in ring 0")			\
	X(12, INDIRECT, "has indirect branches, which this kernel mitigates") \
	X(13, STRING, "bad licence, vendor or product string")		\
	X(14, LICENCE, "licence not compatible with the GPL")		\
	X(15, SECTION_TABLE, "section table out of bounds")		\
	X(16, SECTION_TYPE, "wrong types of sections")			\
	X(17, SECTION_IMAGE, "section contents out of bounds")		\
	X(18, LOAD_SIZE, "wrong load size")				\
	X(19, SECTION_LOAD, "sections out of bounds in the load area")	\
	X(20, CALL_TABLE, "call table out of bounds")			\
	X(21, FIXUP_TABLE, "fixup table out of bounds")			\
	X(22, OVERLAP, "parts of the image overlap")			\
	X(23, INIT, "bad entry of VMI_Init or VMI_GetRelocationInfo")	\
	X(24, CALL_NUMBER, "unknown call number")			\
	X(25, CALL_ORDER, "call table not in order")			\
	X(26, CALL_ENTRY, "bad entry of a call")			\
	X(27, CALL_INLINE, "bad inline body of a call")			\
	X(28, MANDATORY, "mandatory call missing")			\
	X(29, FIXUP_KIND, "unknown or wrong kind of fixup")		\
	X(30, FIXUP_PLACE, "fixup out of bounds, out of order or overlapping") \
	X(31, FIXUP_ADDEND, "addend of a fixup out of bounds")		\
	X(32, UNIQUE, "two different VMI ROMs")				\
	X(33, CONFIDENTIAL, "memory is encrypted, and the ROM is the host's") \
	X(34, FIXUP_RANGE, "value of a fixup does not fit")		\
	X(35, INIT_FAILED, "VMI_Init failed")				\
	X(36, ANSWER, "malformed answer for a call")			\
	X(37, ANSWER_ENTRY, "answer for a call names an entry of another") \
	X(38, ANSWER_TYPE, "answer of a type that the call cannot have") \
	X(39, ANSWER_PAIR, "one call of a pair offered without the other")

/* Errors. Calls return them negated. The numbers are those of Linux. */
#define VMI64_EIO		5	/* the CPU or hypervisor refused */
#define VMI64_ENOMEM		12	/* no room */
#define VMI64_ENODEV		19	/* the hypervisor does not support it */
#define VMI64_EINVAL		22	/* invalid argument */
#define VMI64_ENOSYS		38	/* not done: the kernel has to do it */

/* vmi64_init.flags */
#define VMI64_INIT_SMP		0x1	/* nr_cpus may be more than 1 */
#define VMI64_INIT_RETHUNK	0x2	/* a plain RET is unsafe on this CPU */

/* vmi64_init.host: what the ROM knows of the machine */
#define VMI64_HOST_DEDICATED	0x1	/* each CPU has a CPU of the host */
#define VMI64_HOST_TIMER_WORKS	0x2	/* the timer interrupt needs no test */
#define VMI64_HOST_EXT_DEST_ID	0x4	/* an MSI addresses 15 bits of APIC ID */

/* vmi64_cpu.flags: INIT_CPU */
#define VMI64_CPU_EARLY		0x1	/* per-CPU area not at final address */
#define VMI64_CPU_BOOT		0x2	/* no other CPU is up: system-wide too */
#define VMI64_CPU_RESUME	0x4	/* after suspend */

/* EXIT_CPU */
#define VMI64_EXIT_LAST		0x1	/* system-wide facilities too */
#define VMI64_EXIT_OFFLINE	0x2	/* this CPU goes offline */
#define VMI64_EXIT_SUSPEND	0x4	/* the machine suspends */
#define VMI64_EXIT_KEXEC	0x8	/* another kernel will run */
#define VMI64_EXIT_CRASH	0x10	/* the same, after a crash */

/* GET_CYCLE_COUNTER */
#define VMI64_CYCLES_REAL	0
#define VMI64_CYCLES_AVAILABLE	1
#define VMI64_CYCLES_STOLEN	2

/* vmi64_time.flags */
#define VMI64_TIME_REAL		0x1	/* the counter exists */
#define VMI64_TIME_AVAILABLE	0x2	/* the counter exists */
#define VMI64_TIME_STOLEN	0x4	/* the counter exists */
#define VMI64_TIME_SYNC		0x8	/* REAL: never backwards across CPUs */
#define VMI64_TIME_TSC_RELIABLE	0x10	/* TSC: constant and synchronous */
#define VMI64_TIME_PREFER	0x20	/* REAL, unless the TSC is reliable */

/* ALLOCATE_PAGE, RELEASE_PAGE: exactly one level, and further flags */
#define VMI64_PAGE_PT		0x01
#define VMI64_PAGE_PD		0x02
#define VMI64_PAGE_PDP		0x04
#define VMI64_PAGE_PML4		0x08
#define VMI64_PAGE_PML5		0x80
#define VMI64_PAGE_TOP		0x100	/* will be loaded into CR3 */

/* FLUSH_TLB */
#define VMI64_FLUSH_USER	0x1	/* all but global entries */
#define VMI64_FLUSH_GLOBAL	0x2	/* all entries */

/* vmi64_flush.flags */
#define VMI64_FLUSH_TABLES	0x1	/* page-table pages will be freed */

/* SET_LAZY_MODE */
#define VMI64_LAZY_NONE		0
#define VMI64_LAZY_MMU		1
#define VMI64_LAZY_CPU		2
#define VMI64_LAZY_FLUSH	3	/* execute the queue, keep the mode */

/* REBOOT */
#define VMI64_REBOOT_SOFT	0
#define VMI64_REBOOT_HARD	1

#ifdef VMI64_C_SOURCE

enum vmi64_call_number {
#define VMI64_X(number, name, class, flags)	VMI64_CALL_##name = (number),
	VMI64_CALLS(VMI64_X)
#undef VMI64_X
};

enum vmi64_rule {
	VMI64_V_OK = 0,
#define VMI64_X(number, name, message)	VMI64_V_##name = (number),
	VMI64_RULES(VMI64_X)
#undef VMI64_X
};

/**
 * struct vmi64_rom - the start of the image, which is that of an option ROM
 * @signature: VMI64_ROM_SIGNATURE
 * @blocks: length of the image in units of VMI64_BLOCK
 * @entry: code that the BIOS calls in real mode. A far return (CB) is enough
 * @vmi_signature: VMI64_SIGNATURE, the same since VMI 1.0
 * @api_minor: minor version for which the ROM was made
 * @api_major: VMI64_API_MAJOR. 32-bit ROMs have 3
 * @reserved0: 0
 * @header_off: offset of struct vmi64_header, a multiple of 8
 * @reserved1: 0
 * @pcir_off: offset of the PCI data structure ("PCIR"), or 0
 * @pnp_off: offset of the plug and play header ("$PnP"), or 0
 * @reserved2: 0
 */
struct vmi64_rom {
	vmi64_u16 signature;
	vmi64_u8 blocks;
	vmi64_u8 entry[5];
	vmi64_u32 vmi_signature;
	vmi64_u8 api_minor;
	vmi64_u8 api_major;
	vmi64_u16 reserved0;
	vmi64_u32 header_off;
	vmi64_u32 reserved1;
	vmi64_u16 pcir_off;
	vmi64_u16 pnp_off;
	vmi64_u32 reserved2;
};

/**
 * struct vmi64_header - describes the contents of the image
 * @magic: VMI64_MAGIC
 * @header_size: size of this structure in the ROM's minor version, not less
 *	than VMI64_HEADER_SIZE
 * @api_minor: as in struct vmi64_rom
 * @api_major: as in struct vmi64_rom
 * @image_size: size of the image in bytes: blocks times VMI64_BLOCK
 * @flags: VMI64_ROM_*
 * @load_size: size of the load area in bytes, a multiple of VMI64_PAGE
 * @rom_version: version number of the vendor, for messages
 * @licence_off: offset of the licence, a NUL-terminated string of at most
 *	VMI64_MAX_STRING bytes including the NUL
 * @vendor_off: offset of the name of the vendor, such a string
 * @product_off: offset of the name of the product, such a string
 * @init_entry: entry of VMI_Init, in the load area
 * @reloc_entry: entry of VMI_GetRelocationInfo, in the load area
 * @section_off: offset of struct vmi64_section[nr_sections]
 * @nr_sections: number of sections
 * @call_off: offset of struct vmi64_call[nr_calls]
 * @nr_calls: number of entries of the call table
 * @fixup_off: offset of struct vmi64_fixup[nr_fixups]
 * @nr_fixups: number of fixups; may be 0
 * @variant_off: offset of struct vmi64_variant[nr_variants]; since 4.1
 * @nr_variants: number of names of variants; may be 0. The kernel does not read
 *	them; since 4.1
 * @reserved: 0
 */
struct vmi64_header {
	vmi64_u32 magic;
	vmi64_u16 header_size;
	vmi64_u8 api_minor;
	vmi64_u8 api_major;
	vmi64_u32 image_size;
	vmi64_u32 flags;
	vmi64_u32 load_size;
	vmi64_u32 rom_version;
	vmi64_u32 licence_off;
	vmi64_u32 vendor_off;
	vmi64_u32 product_off;
	vmi64_u32 init_entry;
	vmi64_u32 reloc_entry;
	vmi64_u32 section_off;
	vmi64_u32 nr_sections;
	vmi64_u32 call_off;
	vmi64_u32 nr_calls;
	vmi64_u32 fixup_off;
	vmi64_u32 nr_fixups;
	vmi64_u32 variant_off;
	vmi64_u32 nr_variants;
	vmi64_u32 reserved[5];
};

/**
 * struct vmi64_section - a part of the load area, or of the per-CPU area
 * @type: VMI64_SEC_*
 * @flags: 0
 * @image_off: offset of the contents in the image. The rest of the section, up
 *	to @load_size, is filled with zeroes
 * @image_size: size of the contents in bytes; 0 if the section is all zero
 * @load_off: offset of the section in the load area, a multiple of VMI64_PAGE;
 *	0 for VMI64_SEC_PERCPU
 * @load_size: size of the section there, in bytes
 * @reserved: 0
 */
struct vmi64_section {
	vmi64_u32 type;
	vmi64_u32 flags;
	vmi64_u32 image_off;
	vmi64_u32 image_size;
	vmi64_u32 load_off;
	vmi64_u32 load_size;
	vmi64_u32 reserved[2];
};

/**
 * struct vmi64_call - one implementation of one call
 * @call: number of the call, see VMI64_CALLS
 * @type: VMI64_RELOC_CALL or VMI64_RELOC_INLINE
 * @variant: distinguishes the implementations of one call
 * @entry: the entry, in the load area
 * @length: CALL: number of bytes from @entry to the end of the code. INLINE:
 *	length of the body, which begins 4 bytes behind @entry and is followed
 *	by a return
 * @reserved: 0
 */
struct vmi64_call {
	vmi64_u16 call;
	vmi64_u8 type;
	vmi64_u8 variant;
	vmi64_u32 entry;
	vmi64_u32 length;
	vmi64_u32 reserved;
};

/**
 * struct vmi64_variant - the name of a variant, for tools
 * @variant: as in struct vmi64_call
 * @name: the hypervisor or machine for which implementations of this variant
 *	are; printable ASCII, not empty, and filled up with NULs, at least one
 */
struct vmi64_variant {
	vmi64_u8 variant;
	vmi64_u8 name[31];
};

/**
 * struct vmi64_fixup - a place for a value that only the kernel knows
 * @place: where the value is stored, in the load area
 * @kind: VMI64_FIX_*
 * @symbol: VMI64_SYM_*
 * @reserved0: 0
 * @addend: number that is added to the value of @symbol
 * @reserved1: 0
 */
struct vmi64_fixup {
	vmi64_u32 place;
	vmi64_u8 kind;
	vmi64_u8 symbol;
	vmi64_u16 reserved0;
	vmi64_s32 addend;
	vmi64_u32 reserved1;
};

/**
 * struct vmi64_init - input and output of VMI_Init
 * @size: size of this structure in the kernel's version of the API
 * @api_minor: minor version of the kernel
 * @api_major: VMI64_API_MAJOR
 * @ring: ring in which the kernel runs, 0 or 3
 * @levels: number of page-table levels, 4 or 5
 * @flags: VMI64_INIT_*
 * @nr_cpus: all CPU numbers are less than this. It is an upper bound, and may be
 *	far more than the machine has: the kernel counts its CPUs later
 * @load_virt: address of the load area
 * @load_phys: physical address of the load area, which is contiguous
 * @percpu: VMI64_SYM_PERCPU: offset of the per-CPU area from a CPU's %gs base
 * @percpu_offset: VMI64_SYM_PERCPU_OFFSET: address of the array
 * @apic_virt: address at which the registers of the local APIC are mapped while
 *	it is in xAPIC mode. Calls that concern the local APIC may use it
 * @options: address of the user's options for the ROM, a NUL-terminated string
 *	that may be empty; valid during the call
 * @saved_dirty_bit: number of the bit of a page-table entry to which Dirty is
 *	moved when Write is cleared, or 0 if Dirty is not moved
 * @host: (out) VMI64_HOST_*; since 4.1
 * @reserved: 0
 * @variant: (out) name of the variant that the ROM chose, NUL-terminated, for
 *	the log
 * @why: (out) half a sentence on why VMI_Init failed, NUL-terminated
 */
struct vmi64_init {
	vmi64_u32 size;
	vmi64_u8 api_minor;
	vmi64_u8 api_major;
	vmi64_u8 ring;
	vmi64_u8 levels;
	vmi64_u32 flags;
	vmi64_u32 nr_cpus;
	vmi64_u64 load_virt;
	vmi64_u64 load_phys;
	vmi64_s64 percpu;
	vmi64_u64 percpu_offset;
	vmi64_u64 apic_virt;
	vmi64_u64 options;
	vmi64_u32 saved_dirty_bit;
	vmi64_u32 host;
	vmi64_u32 reserved[2];
	char variant[32];
	char why[64];
};

/**
 * struct vmi64_cpu - input of INIT_CPU
 * @size: size of this structure in the kernel's version of the API
 * @cpu: number of the calling CPU
 * @apic_id: local APIC ID of the CPU, 32 bits wide in x2APIC mode
 * @flags: VMI64_CPU_*
 * @percpu_virt: address of the CPU's per-CPU area, page aligned; 0 with EARLY
 * @percpu_phys: physical address of that page; 0 with EARLY
 * @tsc_khz: TSC frequency, or 0 if the kernel does not know it
 * @reserved: 0
 */
struct vmi64_cpu {
	vmi64_u32 size;
	vmi64_u32 cpu;
	vmi64_u32 apic_id;
	vmi64_u32 flags;
	vmi64_u64 percpu_virt;
	vmi64_u64 percpu_phys;
	vmi64_u32 tsc_khz;
	vmi64_u32 reserved;
};

/**
 * struct vmi64_time - output of GET_TIME_INFO
 * @size: (in) size of this structure in the kernel's version of the API
 * @flags: VMI64_TIME_*
 * @tsc_khz: TSC frequency, or 0 if the hypervisor does not tell
 * @apic_khz: frequency of the local APIC timer before its divider, or 0
 * @user_clock: place of CPU 0's struct pvclock_vcpu_time_info in the load area,
 *	in a VMI64_SEC_SHARED section, or 0. User space may read the REAL
 *	counter from it
 * @tsc_page: place of a page in the load area, in a VMI64_SEC_SHARED section,
 *	that begins with struct vmi64_tsc_page, or 0. User space may read the
 *	REAL counter from it; since 4.1
 * @reserved: 0
 */
struct vmi64_time {
	vmi64_u32 size;
	vmi64_u32 flags;
	vmi64_u32 tsc_khz;
	vmi64_u32 apic_khz;
	vmi64_u32 user_clock;
	vmi64_u32 tsc_page;
	vmi64_u32 reserved[2];
};

/**
 * struct vmi64_tsc_page - the REAL counter, by the TSC; since 4.1
 * @sequence: 0 while the other fields change or are not valid; then
 *	GET_CYCLE_COUNTER has to be called. Another value after each change
 * @reserved: not to be used
 * @scale: counts per tick of the TSC, times 2^64
 * @offset: what is added: REAL is (TSC * @scale >> 64) + @offset
 *
 * A reader reads @sequence, the other fields and the TSC, and @sequence again.
 * If @sequence has changed, the reader begins anew.
 */
struct vmi64_tsc_page {
	vmi64_u32 sequence;
	vmi64_u32 reserved;
	vmi64_u64 scale;
	vmi64_s64 offset;
};

/**
 * struct vmi64_flush - input of FLUSH_REMOTE: the addresses to flush
 * @start: first address
 * @end: first address behind the range. All ones: flush all but global entries
 * @top_pfn: page frame of the top-level page table of the address space, or 0
 *	for the one that is in use
 * @stride_shift: distance between entries, as a power of 2
 * @flags: VMI64_FLUSH_TABLES
 */
struct vmi64_flush {
	vmi64_u64 start;
	vmi64_u64 end;
	vmi64_u64 top_pfn;
	vmi64_u32 stride_shift;
	vmi64_u32 flags;
};

/*
 * The C prototype of each call: X(NAME, result, parameters). vmi64_fn_NAME is
 * the function type. Owner and the contents of descriptors are opaque to C.
 */
#define VMI64_PROTOTYPES(X)						\
	X(CPUID, void, vmi64_u32 *regs)					\
	X(WRMSR, vmi64_s32, vmi64_u32 msr, vmi64_u64 value)		\
	X(RDMSR, vmi64_s32, vmi64_u32 msr, vmi64_u64 *value)		\
	X(SET_GDT, void, const void *desc)				\
	X(SET_IDT, void, const void *desc)				\
	X(SET_LDT, void, vmi64_u32 selector, const void *ldt,		\
	  vmi64_u32 entries)						\
	X(SET_TR, void, vmi64_u32 selector)				\
	X(GET_TR, vmi64_u32, void)					\
	X(WRITE_GDT_ENTRY, void, void *gdt, vmi64_u32 index, const void *desc, \
	  vmi64_u32 size)						\
	X(WRITE_IDT_ENTRY, void, void *idt, vmi64_u32 vector,		\
	  const void *gate)						\
	X(WRITE_LDT_ENTRY, void, void *ldt, vmi64_u32 index, const void *desc) \
	X(SET_KERNEL_STACK, void, vmi64_u64 sp0, void *tss)		\
	X(SET_CR0, void, vmi64_u64 value)				\
	X(SET_CR2, void, vmi64_u64 value)				\
	X(SET_CR3, void, vmi64_u64 value)				\
	X(SET_CR4, void, vmi64_u64 value)				\
	X(GET_CR0, vmi64_u64, void)					\
	X(GET_CR2, vmi64_u64, void)					\
	X(GET_CR3, vmi64_u64, void)					\
	X(WBINVD, void, void)						\
	X(SET_DR, void, vmi64_u32 number, vmi64_u64 value)		\
	X(GET_DR, vmi64_u64, vmi64_u32 number)				\
	X(RDPMC, vmi64_u64, vmi64_u32 counter)				\
	X(ENABLE_INTERRUPTS, void, void)				\
	X(DISABLE_INTERRUPTS, void, void)				\
	X(GET_INTERRUPT_MASK, vmi64_u64, void)				\
	X(HALT, void, void)						\
	X(REBOOT, vmi64_s32, vmi64_u32 how)				\
	X(SHUTDOWN, vmi64_s32, void)					\
	X(SET_PTE, void, void *entry, vmi64_u64 value)			\
	X(ALLOCATE_PAGE, vmi64_s32, vmi64_u64 pfn, vmi64_u32 flags,	\
	  vmi64_u64 top)						\
	X(RELEASE_PAGE, void, vmi64_u64 pfn, vmi64_u32 flags)		\
	X(INVAL_PAGE, void, vmi64_u64 addr)				\
	X(FLUSH_TLB, void, vmi64_u32 how)				\
	X(SET_LINEAR_MAPPING, void, vmi64_u64 virt, vmi64_u64 phys,	\
	  vmi64_u64 size)						\
	X(APIC_WRITE, void, vmi64_u32 reg, vmi64_u32 value)		\
	X(APIC_READ, vmi64_u32, vmi64_u32 reg)				\
	X(IO_DELAY, void, void)						\
	X(GET_CYCLE_FREQUENCY, vmi64_u64, void)				\
	X(GET_CYCLE_COUNTER, vmi64_u64, vmi64_u32 which, vmi64_u32 cpu)	\
	X(SET_ALARM, vmi64_s32, vmi64_u64 when)				\
	X(CANCEL_ALARM, void, void)					\
	X(GET_WALLCLOCK_TIME, vmi64_u64, void)				\
	X(SET_LAZY_MODE, void, vmi64_u32 mode)				\
	X(INIT_CPU, vmi64_s32, const struct vmi64_cpu *cpu)		\
	X(EXIT_CPU, void, vmi64_u32 flags)				\
	X(LOAD_TLS, void, const void *tls, vmi64_u32 index, void *gdt)	\
	X(LOAD_GS_INDEX, void, vmi64_u32 selector)			\
	X(ALLOCATE_LDT, void, void *ldt, vmi64_u32 entries)		\
	X(RELEASE_LDT, void, void *ldt, vmi64_u32 entries)		\
	X(UPDATE_IO_BITMAP, void, const void *bitmap, vmi64_u32 ports)	\
	X(HALT_MASKED, void, void)					\
	X(EOI, vmi64_u32, void)						\
	X(SEND_IPI, vmi64_s32, vmi64_u64 low, vmi64_u64 high, vmi64_u64 base, \
	  vmi64_u32 vector)						\
	X(FLUSH_REMOTE, vmi64_s32, const struct vmi64_flush *flush,	\
	  unsigned long *cpus, vmi64_u32 nr)				\
	X(SET_PMD, void, void *entry, vmi64_u64 value)			\
	X(SET_PUD, void, void *entry, vmi64_u64 value)			\
	X(SET_P4D, void, void *entry, vmi64_u64 value)			\
	X(SET_PGD, void, void *entry, vmi64_u64 value)			\
	X(MODIFY_PROT_START, vmi64_u64, const void *owner, vmi64_u64 addr, \
	  void *entry)							\
	X(MODIFY_PROT_COMMIT, void, const void *owner, vmi64_u64 addr,	\
	  void *entry, vmi64_u64 value)					\
	X(PTE_DECODE, vmi64_u64, vmi64_u64 entry)			\
	X(PTE_ENCODE, vmi64_u64, vmi64_u64 entry)			\
	X(PTE_GET_AND_CLEAR, vmi64_u64, const void *owner, vmi64_u64 addr, \
	  void *entry, vmi64_u32 full)					\
	X(PTE_SET_WRPROTECT, void, const void *owner, vmi64_u64 addr,	\
	  void *entry)							\
	X(PTE_TEST_AND_CLEAR_YOUNG, vmi64_u32, const void *owner,	\
	  vmi64_u64 addr, void *entry)					\
	X(PMD_GET_AND_CLEAR, vmi64_u64, const void *owner, vmi64_u64 addr, \
	  void *entry)							\
	X(PMD_SET_WRPROTECT, void, const void *owner, vmi64_u64 addr,	\
	  void *entry)							\
	X(PMD_TEST_AND_CLEAR_YOUNG, vmi64_u32, const void *owner,	\
	  vmi64_u64 addr, void *entry)					\
	X(PMD_ESTABLISH, vmi64_u64, const void *owner, vmi64_u64 addr,	\
	  void *entry, vmi64_u64 value)					\
	X(PUD_GET_AND_CLEAR, vmi64_u64, const void *owner, vmi64_u64 addr, \
	  void *entry)							\
	X(PUD_TEST_AND_CLEAR_YOUNG, vmi64_u32, const void *owner,	\
	  vmi64_u64 addr, void *entry)					\
	X(ENTER_AS, void, vmi64_u64 top)				\
	X(EXIT_AS, void, vmi64_u64 top)					\
	X(LOCK_WAIT, void, const vmi64_u8 *byte, vmi64_u32 value)	\
	X(LOCK_KICK, void, vmi64_u32 apic_id)				\
	X(VCPU_IS_PREEMPTED, vmi64_u32, vmi64_u32 cpu)			\
	X(GET_TIME_INFO, vmi64_s32, struct vmi64_time *time)		\
	X(START_ALARM, vmi64_s32, vmi64_u32 vector, vmi64_u64 hz)	\
	X(TEST_AND_CLEAR_STOPPED, vmi64_u32, void)

#define VMI64_X(name, result, ...)	typedef result vmi64_fn_##name(__VA_ARGS__);
VMI64_PROTOTYPES(VMI64_X)
#undef VMI64_X

/* VMI_Init returns 0, or a negative error with @why set. */
typedef vmi64_s32 (*vmi64_init_fn)(struct vmi64_init *init);

/* VMI_GetRelocationInfo returns VMI64_RELOC() for the number of a call. */
typedef vmi64_u32 (*vmi64_reloc_fn)(vmi64_u32 call);

#else /* assembler */

#define VMI64_X(number, name, class, flags)	.set VMI64_CALL_##name, number;
VMI64_CALLS(VMI64_X)
#undef VMI64_X

#endif /* VMI64_C_SOURCE */

#endif /* _VMI_VMI64_H */
