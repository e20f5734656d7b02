/* SPDX-License-Identifier: GPL-2.0 */
/* How an op that is written in assembly begins. */
#ifndef HYPERCALL_LINKAGE_H
#define HYPERCALL_LINKAGE_H

#include <linux/linkage.h>
#include <linux/objtool.h>

/*
 * SYM_FUNC_START() without ENDBR. The kernel of a PV guest runs in ring 3,
 * where branches of a kernel are not tracked, and these ops are called most
 * often.
 */
.macro OP_START name
SYM_START(\name, SYM_L_GLOBAL, SYM_F_ALIGN)
	ANNOTATE_NOENDBR
.endm

#endif /* HYPERCALL_LINKAGE_H */
