/* SPDX-License-Identifier: GPL-2.0 */
/* Switching the read-modify-write page-table ops on. */
#ifndef _PVOPS_RMW_H
#define _PVOPS_RMW_H

#ifdef CONFIG_PVOPS_RMW
void pvops_rmw_arm(void);
#else
static inline void pvops_rmw_arm(void) { }
#endif

#endif /* _PVOPS_RMW_H */
