/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The interface between the files of the benchmark program. A file calls only
 * files above it in this list:
 *
 *	common.c	helpers of the operations
 *	sample.c	times an operation
 *	cross.c		counts an operation's crossings into the hypervisor
 *	ops_*.c		the operations, which do not call each other
 *	opcost.c	main(): arguments, boot times, the order of operations
 */
#ifndef PVOPS_BENCH_H
#define PVOPS_BENCH_H

#include "check.h"

#include <sys/mman.h>

#define PAGE		4096UL
#define RANGE_PAGES	256
/*
 * Instructions of a turn of spin(): inc, cmp, je. spin_relaxed() has PAUSE
 * before them.
 */
#define SPIN_TURN	3
#define RELAXED_TURN	4

/**
 * struct op - an operation to measure
 * @name:	as in the reports
 * @setup:	called once before all rounds (optional)
 * @prepare:	called before each round, not measured (optional)
 * @once:	does the operation one time
 * @round:	instead of @once: does the operation @per_round times and stores
 *		the ticks of each. For operations that need a measurement of
 *		their own.
 * @finish:	called after each round, not measured (optional)
 * @teardown:	called once after all rounds (optional)
 * @per_round:	operations in a round; 1 for @once
 * @cpus:	number of CPUs that the operation needs
 * @u2:		in a list of operations: measure the operation once more, under its
 *		name and "-u2", with a second thread in the process, which sleeps.
 *		In an operation to measure: it has that thread
 * @samples:	maximum number of samples
 */
struct op {
	const char *name;
	void (*setup)(void);
	void (*prepare)(void);
	void (*once)(void);
	void (*round)(uint64_t *samples);
	void (*finish)(void);
	void (*teardown)(void);
	int per_round;
	int cpus;
	bool u2;
	int samples;
};

extern const struct op basic_ops[], memory_ops[], smp_ops[], process_ops[];
/* The program that fork-exec runs. It only exits. NULL if there is none. */
extern const char *program;
/* Ticks that two readings of the clock take by themselves. */
extern uint64_t overhead;

static inline uint64_t ticks(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

/* Wait until a byte is not zero; returns the number of turns of the loop. */
static inline uint64_t spin(const volatile char *flag)
{
	uint64_t turns = 0;

	__asm__ volatile("1: inc %0; cmpb $0, %1; je 1b"
			 : "+r"(turns) : "m"(*flag) : "memory", "cc");
	return turns;
}

/* The same with PAUSE, after which the emulator runs the next CPU. */
static inline uint64_t spin_relaxed(const volatile char *flag)
{
	uint64_t turns = 0;

	__asm__ volatile("1: pause; inc %0; cmpb $0, %1; je 1b"
			 : "+r"(turns) : "m"(*flag) : "memory", "cc");
	return turns;
}

/* Inline, because the operation mmap-1 counts each instruction of a call. */
static inline char *map_pages(size_t pages)
{
	char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	return p;
}

/* Write to each of some pages. */
static inline void touch_pages(char *p, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		((volatile char *)p)[i * PAGE] = 1;
}

static inline void map_touch_unmap(size_t pages)
{
	char *p = map_pages(pages);

	touch_pages(p, pages);
	munmap(p, pages * PAGE);
}

void wait_for(pid_t pid);
void fork_and_wait(void);
void set_up(const struct op *op);

void find_overhead(void);
void prove_counting(void);
void do_round(const struct op *op, uint64_t *samples);
void measure(const struct op *op, uint64_t budget);
void reference_loop(void);

bool cross_open(const char *how);
void cross_booted(const uint64_t *ends, int nr);
void cross_count(const struct op *op, int index, uint64_t budget);

#endif /* PVOPS_BENCH_H */
