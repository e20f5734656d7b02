// SPDX-License-Identifier: GPL-2.0
/*
 * The smallest possible program: it exits with 0. It has no C library, so that
 * a measurement of fork and exec contains only the kernel's work.
 */
void _start(void);

void _start(void)
{
	for (;;)
		__asm__ volatile("syscall"
				 : : "a"(231 /* exit_group */), "D"(0)
				 : "rcx", "r11", "memory");
}
