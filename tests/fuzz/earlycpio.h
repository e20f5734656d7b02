/* SPDX-License-Identifier: GPL-2.0 */
/* What lib/earlycpio.c uses and the kernel's headers for tools do not have. */
#include <stdio.h>
#include <string.h>

#include <linux/align.h>
#include <linux/kernel.h>
#include <linux/string.h>

#define PTR_ALIGN(p, a)		((typeof(p))ALIGN((unsigned long)(p), (a)))
#define pr_warn(...)		fuzz_ignore_line(__VA_ARGS__)

/* The line is composed, because that reads the name. */
#define fuzz_ignore_line(...)	(void)snprintf((char[64]){ 0 }, 64, __VA_ARGS__)

#undef strscpy
static inline void strscpy(char *to, const char *from, size_t room)
{
	to[strnlen(from, room - 1)] = 0;
	memcpy(to, from, strnlen(from, room - 1));
}
