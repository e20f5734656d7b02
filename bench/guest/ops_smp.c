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
#define FAULTS	64	/* pages that each thread touches */
#define MAPPED	16	/* pages that each thread maps */
#define PASS_SETTLE	100	/* turns until who has passed it sleeps */
#define SETTLE	2000	/* turns until the other CPU is idle again */
#define SETTLE_TURN	3

/* Let the other CPUs run. A turn has SETTLE_TURN instructions. */
static void settle(uint64_t turns)
{
	__asm__ volatile("1: pause; dec %0; jnz 1b" : "+r"(turns) : : "cc");
}

static pthread_t others[OTHERS];
static volatile int running;
static volatile char stop;
static char *page;

/* What each other thread does first: move to its CPU, and say that it is there. */
static void arrive(void *arg)
{
	if (!pin((int)(intptr_t)arg))
		bail("CPU %d is not available", (int)(intptr_t)arg);
	__atomic_add_fetch(&running, 1, __ATOMIC_SEQ_CST);
}

static void *spinner(void *arg)
{
	arrive(arg);
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
	arrive(arg);
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
	settle(SETTLE);
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
	stop_others(1);
}

/*
 * Threads on all CPUs, this one included, do the same work. The emulator runs the
 * CPUs in turn, so they seldom wait for each other's locks.
 */
static volatile char go[OTHERS + 1];
static void (*work)(int cpu);
static int working;
static volatile char all_done;
static char *area;

static void *work_when_told(void *arg)
{
	int cpu = (int)(intptr_t)arg;

	arrive(arg);
	for (;;) {
		spin_relaxed(&go[cpu]);
		go[cpu] = 0;
		if (stop)
			return NULL;
		work(cpu);
		if (!__atomic_sub_fetch(&working, 1, __ATOMIC_SEQ_CST))
			all_done = 1;
	}
}

static void tell_all(void)
{
	for (int cpu = 1; cpu <= OTHERS; cpu++)
		go[cpu] = 1;
}

static void together_round(uint64_t *samples)
{
	uint64_t start, turns;

	working = OTHERS;
	all_done = 0;
	start = ticks();
	tell_all();
	work(0);
	turns = spin_relaxed(&all_done);
	*samples = ticks() - start - overhead - RELAXED_TURN * turns;
}

static void together_stop(void)
{
	stop = 1;
	tell_all();
	stop_others(OTHERS);
}

static void touch_mine(int cpu)
{
	touch_pages(area + cpu * FAULTS * PAGE, FAULTS);
}

static void faults_setup(void)
{
	work = touch_mine;
	start_others(OTHERS, work_when_told);
}

static void faults_prepare(void)
{
	area = map_pages((OTHERS + 1) * FAULTS);
}

static void faults_finish(void)
{
	munmap(area, (OTHERS + 1) * FAULTS * PAGE);
}

static void map_mine(int cpu)
{
	(void)cpu;
	map_touch_unmap(MAPPED);
}

static void maps_setup(void)
{
	work = map_mine;
	start_others(OTHERS, work_when_told);
}

/*
 * Each side waits before it passes on, so that the other one sleeps. Otherwise the
 * turns that the emulator gives to CPUs decide whether it does. The waiting is not
 * in the figure.
 */
static void pass_once(uint64_t *samples, void (*there_and_back)(void))
{
	uint64_t start = ticks();

	there_and_back();
	*samples = ticks() - start - overhead - 2 * PASS_SETTLE * SETTLE_TURN;
}

/* Whose turn it is: 0 this thread's, 1 the other's. */
static uint32_t turn;

static void pass_to(uint32_t whom)
{
	settle(PASS_SETTLE);
	__atomic_store_n(&turn, whom, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void wait_until(uint32_t mine)
{
	while (__atomic_load_n(&turn, __ATOMIC_SEQ_CST) != mine)
		syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, !mine, NULL, NULL, 0);
}

static void *passes_back(void *arg)
{
	arrive(arg);
	for (;;) {
		wait_until(1);
		if (stop)
			return NULL;
		pass_to(0);
	}
}

static void futex_setup(void)
{
	turn = 0;
	start_others(1, passes_back);
}

static void futex_there_and_back(void)
{
	pass_to(1);
	wait_until(0);
}

static void futex_round(uint64_t *samples)
{
	pass_once(samples, futex_there_and_back);
}

static void futex_teardown(void)
{
	stop = 1;
	pass_to(1);
	stop_others(1);
}

static int there[2], back[2];

static void *writes_back(void *arg)
{
	char byte;

	arrive(arg);
	while (read(there[0], &byte, 1) == 1) {
		settle(PASS_SETTLE);
		if (write(back[1], &byte, 1) != 1)
			break;
	}
	return NULL;
}

static void pipe_setup(void)
{
	if (pipe(there) || pipe(back))
		bail("pipe: %s", strerror(errno));
	start_others(1, writes_back);
}

static void pipe_there_and_back(void)
{
	char byte = 0;

	settle(PASS_SETTLE);
	if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
		bail("pipe: %s", strerror(errno));
}

static void pipe_round(uint64_t *samples)
{
	pass_once(samples, pipe_there_and_back);
}

static void pipe_teardown(void)
{
	close(there[1]);
	stop_others(1);
	close(there[0]);
	close(back[0]);
	close(back[1]);
}

/*
 * fork() write-protects the pages. The threads in user space on other CPUs share
 * them, so the TLBs of these CPUs have to be flushed.
 */
static void fork_setup(void)
{
	area = map_pages(RANGE_PAGES);
	touch_pages(area, RANGE_PAGES);
	start_others(OTHERS, spinner);
}

static void fork_teardown(void)
{
	stop_3();
	munmap(area, RANGE_PAGES * PAGE);
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
	{ .name = "futex-2", .setup = futex_setup, .round = futex_round,
	  .teardown = futex_teardown, .per_round = 1, .cpus = 2, .samples = 300 },
	{ .name = "pipe-2", .setup = pipe_setup, .round = pipe_round,
	  .teardown = pipe_teardown, .per_round = 1, .cpus = 2, .samples = 300 },
	{ .name = "fault-4", .setup = faults_setup, .prepare = faults_prepare,
	  .round = together_round, .finish = faults_finish, .teardown = together_stop,
	  .per_round = 1, .cpus = 4, .samples = 100 },
	{ .name = "mmap-4", .setup = maps_setup, .round = together_round,
	  .teardown = together_stop, .per_round = 1, .cpus = 4, .samples = 100 },
	{ .name = "fork-4", .setup = fork_setup, .once = fork_and_wait, .teardown = fork_teardown,
	  .cpus = 4, .samples = 100 },
	{ }
};
