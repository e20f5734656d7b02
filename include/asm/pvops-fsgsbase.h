/* SPDX-License-Identifier: GPL-2.0 */
/* Tasks for which a backend carries out the FSGSBASE instructions. */
#ifndef _ASM_X86_PVOPS_FSGSBASE_H
#define _ASM_X86_PVOPS_FSGSBASE_H

#include <linux/sched.h>

/* A flag of thread_info.flags that nothing else uses. A child inherits it. */
#define TIF_PVOPS_FSGSBASE	26

#ifdef CONFIG_PVOPS_HYPERCALL
/**
 * pvops_fsgsbase() - may the base of FS or GS be another than its selector says?
 * @task: the task
 *
 * Context: any.
 * Return: true if FSGSBASE was carried out for the task, and the CPU does not
 * know it.
 */
static __always_inline bool pvops_fsgsbase(struct task_struct *task)
{
	return test_tsk_thread_flag(task, TIF_PVOPS_FSGSBASE);
}
#else
/* Not a function: the compiler is not to see the task, or it orders code anew. */
#define pvops_fsgsbase(task)	false
#endif

#endif /* _ASM_X86_PVOPS_FSGSBASE_H */
