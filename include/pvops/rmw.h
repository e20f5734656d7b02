/* SPDX-License-Identifier: GPL-2.0 */
/* The switch for the read-modify-write page-table ops. */
#ifndef _PVOPS_RMW_H
#define _PVOPS_RMW_H

#ifdef CONFIG_PVOPS_RMW
void pvops_rmw_arm(void);
#else
static inline void pvops_rmw_arm(void) { }
#endif

#endif /* _PVOPS_RMW_H */
