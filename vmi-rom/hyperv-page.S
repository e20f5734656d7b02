/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The hypercall page: Hyper-V puts the instructions of a hypercall here. INT3
 * until then, because a hypercall before INIT_CPU is a mistake.
 */
	.section .text.hypercall, "ax", @progbits
	.balign	4096
	.globl	hyperv_page
	.hidden	hyperv_page
hyperv_page:
	.fill	4096, 1, 0xcc
	.size	hyperv_page, . - hyperv_page
