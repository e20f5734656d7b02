/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a backend is, and what it is told about the machine.
 *
 * A backend is a constant description. The socket probes all of them, tries the
 * most confident first, gives it a copy of pv_ops to fill in, and commits the
 * copy only when the backend says that all is well.
 */
#ifndef _PVOPS_BACKEND_H
#define _PVOPS_BACKEND_H

#include <linux/compiler.h>
#include <linux/seq_buf.h>
#include <linux/stdarg.h>
#include <linux/types.h>

#include <asm/hypervisor.h>
#include <asm/paravirt_types.h>
#include <asm/pvops.h>

#define PVOPS_MAX_SIGNATURES	4
#define PVOPS_SIGNATURE_LEN	12
#define PVOPS_REASON_LEN	256

/**
 * struct pvops_signature - a hypervisor's name as CPUID gives it
 * @leaf: the leaf it was found at, 0x40000000 and up in steps of 0x100
 * @text: EBX, ECX, EDX as text, NUL-terminated
 *
 * Leaves from 0x40000000 are left to software: Intel SDM vol. 2A, CPUID; AMD
 * APM vol. 3, appendix E.3.
 */
struct pvops_signature {
	u32 leaf;
	char text[PVOPS_SIGNATURE_LEN + 1];
};

/**
 * struct pvops_rom - a VMI-64 ROM that was found, see vmi-backend/
 * @image: a copy of it that passed all checks, or NULL; init data
 * @size: bytes of @image
 * @where: physical address it was found at
 * @api_major: version it was made for
 * @api_minor: the same
 * @product: what it calls itself
 * @refused: half a sentence about one that was found and refused, or empty
 */
struct pvops_rom {
	const void *image;
	u32 size;
	u64 where;
	u8 api_major;
	u8 api_minor;
	char product[64];
	char refused[96];
};

/**
 * struct pvops_facts - what is known about the machine before a choice is made
 * @entry: the way in by which the kernel was started
 * @hypervisor_bit: CPUID.1:ECX[31], set by a hypervisor that admits to be one
 * @nopv: "nopv" is on the command line
 * @nr_signatures: how many of @signatures are valid
 * @signatures: in the order of their leaves
 * @hyper: what the kernel's own detection found, or NULL; init data, not to be
 *	kept
 * @hyper_name: its name, which stays, or NULL
 * @rom: the ROM that the machine offers
 *
 * Gathered once and constant from then on, so that probing has no side effects.
 */
struct pvops_facts {
	enum pvops_entry entry;
	bool hypervisor_bit;
	bool nopv;
	unsigned int nr_signatures;
	struct pvops_signature signatures[PVOPS_MAX_SIGNATURES];
	const struct hypervisor_x86 *hyper;
	const char *hyper_name;
	struct pvops_rom rom;
};

/**
 * enum pvops_confidence - how sure a backend is that it belongs here
 * @PVOPS_ABSENT: what it needs is not there
 * @PVOPS_POSSIBLE: it would work, but nothing asks for it (native)
 * @PVOPS_DETECTED: the kernel's own detection names its hypervisor
 * @PVOPS_OFFERED: the hypervisor offers this very interface
 */
enum pvops_confidence {
	PVOPS_ABSENT,
	PVOPS_POSSIBLE,
	PVOPS_DETECTED,
	PVOPS_OFFERED,
};

/**
 * struct pvops_reason - half a sentence that gives a reason
 * @text: for one line of the kernel log, without a full stop
 */
struct pvops_reason {
	char text[PVOPS_REASON_LEN];
};

/* arch-x86-paravirt/facts.c */
__printf(2, 3) void pvops_set_reason(struct pvops_reason *reason, const char *fmt, ...);
void pvops_describe_facts(const struct pvops_facts *facts, struct seq_buf *out);

/**
 * struct pvops_backend - description of a backend
 * @name: what pv_backend= calls it
 * @desc: what it is, for the list in debugfs
 * @type: for a guest that is part of the kernel: what detection calls it
 * @find_rom: look for a ROM that a hypervisor offers for this backend, and
 *	describe the ROM in @rom. Called before any probe, unless the kernel was
 *	started as a Xen PV guest or with nopv. Nothing but the backend's own memory
 *	and @rom may change. NULL for a backend that needs no ROM.
 * @probe: say how sure the backend is that it belongs here, and set @reason for
 *	any answer. No side effects: it may be asked and then not chosen.
 * @setup: check all that is needed, then replace ops in @ops, which holds a
 *	copy of pv_ops. Nothing outside of @ops and of the backend's own memory
 *	may change, since any error makes the socket go on with the next
 *	backend. Set @reason for an error. NULL where there is nothing to do.
 *	Return: 0 or a negative errno.
 * @complete: the same as @setup, at the last moment before call sites are
 *	patched; for a backend that stands on platform code of the kernel which
 *	itself goes on changing pv_ops after @setup, as that for Xen PV does. An
 *	error leaves pv_ops to that code, under the name of the in-tree backend
 *	of the same @type. NULL where @setup has said everything.
 * @body: is there code that may stand in place of a call of an op? @slot is the
 *	op's, @op what pv_ops holds. Straight-line code that does the same at any
 *	address, takes its arguments and gives its result where the op does, and
 *	changes no register that the op preserves. Asked at each site, for modules
 *	too, so it is not __init. It says the length in bytes and sets *@code, or
 *	says 0 if @op must be called. NULL where there is no code for any.
 * @hyper: the callbacks for x86_init and x86_platform that go with the ops, or
 *	NULL to run with those of bare metal. Not used where @type is set, since
 *	detection has them.
 *
 * All callbacks run on the boot CPU with interrupts off. @probe and @setup are
 * called from setup_arch() after early parameters were parsed: memblock and
 * early_memremap() work, the page allocator does not. @complete is called from
 * alternative_instructions(), before the other CPUs are started; it may
 * allocate. They may be __init.
 */
struct pvops_backend {
	const char *name;
	const char *desc;
	enum x86_hypervisor_type type;
	void (*find_rom)(struct pvops_rom *rom);
	enum pvops_confidence (*probe)(const struct pvops_backend *self,
				       const struct pvops_facts *facts,
				       struct pvops_reason *reason);
	int (*setup)(const struct pvops_backend *self,
		     const struct pvops_facts *facts,
		     struct paravirt_patch_template *ops,
		     struct pvops_reason *reason);
	int (*complete)(const struct pvops_backend *self,
			const struct pvops_facts *facts,
			struct paravirt_patch_template *ops,
			struct pvops_reason *reason);
	unsigned int (*body)(unsigned int slot, const void *op, const u8 **code);
	const struct hypervisor_x86 *hyper;
};

/* native-backend/ */
extern const struct pvops_backend pvops_backend_native;

/* hypercall-backend/ */
extern const struct pvops_backend pvops_backend_hypercall;

/* vmi-backend/ */
extern const struct pvops_backend pvops_backend_vmi;

/* arch-x86-paravirt/intree.c */
extern const struct pvops_backend pvops_backend_xen;
extern const struct pvops_backend pvops_backend_xen_hvm;
extern const struct pvops_backend pvops_backend_kvm;
extern const struct pvops_backend pvops_backend_hyperv;
extern const struct pvops_backend pvops_backend_vmware;
extern const struct pvops_backend pvops_backend_jailhouse;
extern const struct pvops_backend pvops_backend_acrn;

#endif /* _PVOPS_BACKEND_H */
