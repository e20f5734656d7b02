/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The description of a backend, and the facts that a backend gets.
 *
 * A backend is a constant description. The socket probes all backends and tries
 * the most confident first. The backend fills in a copy of pv_ops. The socket
 * commits the copy only if the backend reports success.
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
 * struct pvops_signature - the signature of a hypervisor in CPUID
 * @leaf: the leaf of the signature, 0x40000000 and up in steps of 0x100
 * @text: EBX, ECX, EDX as text, NUL-terminated
 *
 * CPUs leave the leaves from 0x40000000 on to software: Intel SDM vol. 2A,
 * CPUID; AMD APM vol. 3, appendix E.3.
 */
struct pvops_signature {
	u32 leaf;
	char text[PVOPS_SIGNATURE_LEN + 1];
};

/**
 * struct pvops_rom - a VMI-64 ROM that was found, see vmi-backend/
 * @image: a copy of the ROM that passed all checks, or NULL. It belongs to the
 *	backend that is chosen
 * @size: bytes of @image
 * @where: physical address of the ROM
 * @api_major: major version of the interface that the ROM was made for
 * @api_minor: minor version of that interface
 * @product: the name that the ROM gives itself
 * @refused: half a sentence about a ROM that was found and refused, or empty
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
 * enum pvops_entry - the way in by which this kernel was started
 * @PVOPS_ENTRY_NATIVE: the ordinary 64-bit entry in ring 0: bare metal, or a
 *	hypervisor that uses hardware virtualization (PVH included)
 * @PVOPS_ENTRY_XEN_PV: Xen's PV entry, with the kernel in ring 3
 */
enum pvops_entry {
	PVOPS_ENTRY_NATIVE,
	PVOPS_ENTRY_XEN_PV,
};

struct pvops_backend;

/**
 * struct pvops_facts - the facts about the machine before the choice
 * @entry: the entry point by which the kernel was started
 * @hypervisor_bit: CPUID.1:ECX[31], set by a hypervisor that does not hide
 *	itself
 * @nopv: "nopv" is on the command line
 * @requested: the backend that pv_backend= asks for, or NULL
 * @nr_signatures: number of valid @signatures
 * @signatures: the signatures in the order of their leaves
 * @hyper: the result of the kernel's own detection, or NULL; init data, so no
 *	backend may keep the pointer
 * @hyper_name: the name of @hyper, which stays after boot, or NULL
 * @rom: the ROM that the machine offers
 *
 * The facts are gathered once and are constant afterwards, so that a probe
 * needs no side effects.
 */
struct pvops_facts {
	enum pvops_entry entry;
	bool hypervisor_bit;
	bool nopv;
	const struct pvops_backend *requested;
	unsigned int nr_signatures;
	struct pvops_signature signatures[PVOPS_MAX_SIGNATURES];
	const struct hypervisor_x86 *hyper;
	const char *hyper_name;
	struct pvops_rom rom;
};

/**
 * enum pvops_confidence - how sure a backend is that it suits the machine
 * @PVOPS_ABSENT: something that the backend needs is missing
 * @PVOPS_POSSIBLE: the backend would work, but nothing asks for it (native)
 * @PVOPS_DETECTED: the kernel's own detection found the backend's hypervisor
 * @PVOPS_OFFERED: the hypervisor offers the very interface of the backend
 */
enum pvops_confidence {
	PVOPS_ABSENT,
	PVOPS_POSSIBLE,
	PVOPS_DETECTED,
	PVOPS_OFFERED,
};

/**
 * struct pvops_reason - the reason for the answer of a probe or of a setup
 * @text: a part of one line in the kernel log, without a full stop
 */
struct pvops_reason {
	char text[PVOPS_REASON_LEN];
};

/* arch-x86-paravirt/facts.c */
__printf(2, 3) void pvops_set_reason(struct pvops_reason *reason, const char *fmt, ...);
void pvops_describe_facts(const struct pvops_facts *facts, struct seq_buf *out);
bool pvops_is_lockdown(const char *arg);
bool pvops_signed_code_only(void);

/**
 * struct pvops_backend - description of a backend
 * @name: the name for pv_backend=
 * @desc: the description for debugfs
 * @type: the type that detection gives to the in-tree guest that this backend
 *	is, or builds on
 * @find_rom: look for a ROM that a hypervisor offers for this backend, and
 *	describe the ROM in @rom. Called before any probe, unless the kernel was
 *	started as a Xen PV guest, with nopv or with pv_backend=native. Of
 *	@facts those are valid that need no detection. Nothing but @rom and the
 *	backend's own memory may change. NULL for a backend that needs no ROM.
 * @probe: return how sure the backend is that it suits the machine, and set
 *	@reason for any answer. No side effects: the socket may probe a backend
 *	and not choose it.
 * @setup: check all requirements, then replace ops in @ops, a copy of pv_ops.
 *	Nothing but @ops and the backend's own memory may change, since the
 *	socket goes on with the next backend after any error. Set @reason for an
 *	error. Returns 0 or a negative errno. NULL for a backend without a
 *	setup.
 * @complete: the same as @setup, at the last moment before call sites are
 *	patched. A backend needs this callback if it builds on platform code of
 *	the kernel that changes pv_ops after @setup, such as the code for Xen
 *	PV. After an error pv_ops keeps the ops of that platform code, under the
 *	name of the in-tree backend of the same @type. NULL if @setup is
 *	sufficient.
 * @body: get code that may stand in place of a call of an op. @slot is the slot
 *	of the op, and @op is the content of the slot in pv_ops. The code is
 *	straight-line code that does the same at any address, takes arguments
 *	and returns the result where the op does, and changes no register that
 *	the op preserves. The socket asks at each site, also for modules, so
 *	this callback is not __init. Returns the length in bytes with *@code
 *	set, or 0 if @op must be called. NULL for a backend that has no such
 *	code.
 * @was_stopped: has the hypervisor stopped this CPU for long since the last
 *	call? If so, tell the watchdogs. Called in any context but NMI, by a
 *	task that stays on its CPU. NULL if the backend cannot know.
 * @hyper: the callbacks for x86_init and x86_platform that go with the ops, or
 *	NULL for those of bare metal. Not used if @type is set: detection
 *	provides the callbacks then.
 *
 * @find_rom, @probe and @setup run on the boot CPU with interrupts off. They are
 * called from setup_arch() after early parameters were parsed: early_memremap(),
 * extend_brk() and memblock_reserve() work. memblock_alloc() does not, because
 * memblock knows no memory yet. @complete and @body are called from
 * alternative_instructions() with interrupts on, before the other CPUs are started,
 * and may allocate. @body is called for modules, too. The first four callbacks may
 * be __init.
 */
struct pvops_backend {
	const char *name;
	const char *desc;
	enum x86_hypervisor_type type;
	void (*find_rom)(const struct pvops_backend *self,
			 const struct pvops_facts *facts,
			 struct pvops_rom *rom);
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
	bool (*was_stopped)(void);
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
