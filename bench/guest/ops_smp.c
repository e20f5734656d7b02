// SPDX-License-Identifier: GPL-2.0
/*
 * Operations that involve other CPUs. Ticks are the instructions of all CPUs
 * together: under -icount the emulator runs the CPUs in turn, on one clock. The
 * other CPUs spin with PAUSE, after which the emulator runs the next CPU.
 */
#include "bench.h"

#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>

#define OTHERS	3
#define SETTLE	2000	/* turns until the other CPU is idle again */

static pthread_t others[OTHERS];
static volatile int running;
static volatile char stop;
static char *page;

static void *spinner(void *arg)
{
	if (!pin((int)(intptr_t)arg))
		bail("CPU %d is not available", (int)(intptr_t)arg);
	__atomic_add_fetch(&running, 1, __ATOMIC_SEQ_CST);
	spin_relaxed(&stop);
	return NULL;
}

static void start_others(int count, void *(*function)(void *))
{
	stop = 0;
	running = 0;
	if (!pin(0))
		bail("CPU 0 is not available");
	for (int i = 0; i < count; i++)
		if (pthread_create(&others[i], NULL, function, (void *)(intptr_t)(i + 1)))
			bail("a thread could not be made");
	while (running < count)
		sched_yield();
}

static void stop_others(int count)
{
	stop = 1;
	for (int i = 0; i < count; i++)
		pthread_join(others[i], NULL);
}

static void barrier_on(int cpus)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0))
		bail("membarrier: %s", strerror(errno));
	start_others(cpus - 1, spinner);
}

static void barrier_2(void)
{
	barrier_on(2);
}

static void barrier_4(void)
{
	barrier_on(4);
}

/*
 * Send an IPI to each CPU that runs a thread of this process, and wait for all
 * of them.
 */
static void do_barrier(void)
{
	syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

static void shootdown_on(int cpus)
{
	page = map_pages(1);
	*page = 1;
	start_others(cpus - 1, spinner);
}

static void shootdown_2(void)
{
	shootdown_on(2);
}

static void shootdown_4(void)
{
	shootdown_on(4);
}

static void do_shootdown(void)
{
	if (mprotect(page, PAGE, PROT_READ) ||
	    mprotect(page, PAGE, PROT_READ | PROT_WRITE))
		bail("mprotect: %s", strerror(errno));
}

static void stop_1(void)
{
	stop_others(1);
}

static void stop_3(void)
{
	stop_others(3);
}

static uint32_t asked, answered;
static volatile char answer;

static void *sleeper(void *arg)
{
	pin((int)(intptr_t)arg);
	__atomic_add_fetch(&running, 1, __ATOMIC_SEQ_CST);
	while (!stop) {
		while (__atomic_load_n(&asked, __ATOMIC_SEQ_CST) == answered && !stop)
			syscall(SYS_futex, &asked, FUTEX_WAIT_PRIVATE, answered, NULL, NULL, 0);
		answered = asked;
		answer = 1;
	}
	return NULL;
}

static void wake(void)
{
	__atomic_add_fetch(&asked, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &asked, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void wake_setup(void)
{
	asked = answered;
	start_others(1, sleeper);
}

static void wake_prepare(void)
{
	answer = 0;
	for (int i = 0; i < SETTLE; i++)
		__asm__ volatile("pause");
}

static void wake_round(uint64_t *samples)
{
	uint64_t start = ticks(), turns;

	wake();
	turns = spin_relaxed(&answer);
	*samples = ticks() - start - overhead - RELAXED_TURN * turns;
}

static void wake_teardown(void)
{
	stop = 1;
	wake();
	pthread_join(others[0], NULL);
}

const struct op smp_ops[] = {
	{ .name = "ipi-2", .setup = barrier_2, .once = do_barrier, .teardown = stop_1,
	  .cpus = 2, .samples = 300 },
	{ .name = "ipi-4", .setup = barrier_4, .once = do_barrier, .teardown = stop_3,
	  .cpus = 4, .samples = 300 },
	{ .name = "tlb-2", .setup = shootdown_2, .once = do_shootdown, .teardown = stop_1,
	  .cpus = 2, .samples = 300 },
	{ .name = "tlb-4", .setup = shootdown_4, .once = do_shootdown, .teardown = stop_3,
	  .cpus = 4, .samples = 300 },
	{ .name = "wake-2", .setup = wake_setup, .prepare = wake_prepare, .round = wake_round,
	  .teardown = wake_teardown, .per_round = 1, .cpus = 2, .samples = 300 },
	{ }
};
