/* SPDX-License-Identifier: GPL-2.0 */
/* Code that may stand at a call site: of a native op, or of a backend's op. */
#ifndef _PVOPS_BODY_H
#define _PVOPS_BODY_H

#include <linux/types.h>

/* No call site has room for code that is longer. */
#define PVOPS_MAX_BODY	32

/* native_code.c */
int pvops_native_code(const void *func, u8 *code, unsigned int room);
bool pvops_native_fits(const void *func, unsigned int room);

/* body.c */
bool pvops_body_fits(const u8 *code, unsigned int len, unsigned int room);
bool pvops_body_is_native(const u8 *code, unsigned int len, const void *native);

#endif /* _PVOPS_BODY_H */
