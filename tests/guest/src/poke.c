// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel changes its text while other CPUs run it.
 *
 * Opening and closing a software event switches the static key of the
 * page-fault counter. The other CPUs take page faults all the time. The kernel
 * puts a breakpoint over the text for a moment. An emulator that keeps a
 * translation of the breakpoint makes the kernel die of it within seconds. QEMU
 * 7.2 with a thread for each CPU does so. No other machine may.
 */
#include "memory.h"

#include <linux/perf_event.h>
#include <pthread.h>
#include <sys/syscall.h>

#define SECONDS		10
#define PAGES		16

static void *fault(void *cpu)
{
	if (!pin((long)cpu))
		bail("CPU %ld is not available", (long)cpu);
	for (;;) {
		char *area = map_anon(PAGES);

		for (int i = 0; i < PAGES; i++)
			area[i * PAGE] = 1;
		munmap(area, PAGES * PAGE);
	}
	return NULL;
}

int main(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr),
		.config = PERF_COUNT_SW_PAGE_FAULTS,
	};
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	long changes = 0;
	int64_t end;

	check_begin("poke", 60);
	if (cpus < 2) {
		skip("poke", "one CPU only");
		return check_end();
	}
	for (long cpu = 1; cpu < cpus; cpu++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, fault, (void *)cpu))
			bail("no thread for CPU %ld", cpu);
	}
	if (!pin(0))
		bail("CPU 0 is not available");
	for (end = now_ns() + SECONDS * NSEC_PER_SEC; now_ns() < end; changes++) {
		int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);

		if (fd < 0)
			bail("perf_event_open: %s", strerror(errno));
		close(fd);
	}
	ok("poke", "%ld changes", changes);
	return check_end();
}
