/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the benchmark program's files share. opcost.c has main(), sample.c
 * times, cross.c has crossings counted, ops_*.c hold the operations.
 */
#ifndef PVOPS_BENCH_H
#define PVOPS_BENCH_H

#include "check.h"

#define PAGE		4096UL
#define RANGE_PAGES	256
/* A spin() turn: inc, cmp, je. A relaxed one has PAUSE before them. */
#define SPIN_TURN	3
#define RELAXED_TURN	4

/**
 * struct op - an operation to measure
 * @name:	as in the reports
 * @setup:	called once before all rounds (optional)
 * @prepare:	called before each round, not measured (optional)
 * @once:	does the operation one time
 * @round:	or: does it @per_round times, and says what each took. For
 *		operations that a clock around them does not measure right.
 * @finish:	called after each round, not measured (optional)
 * @teardown:	called once after all rounds (optional)
 * @per_round:	operations in a round; 1 for @once
 * @cpus:	CPUs that must be there
 * @samples:	to take at most
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
	int samples;
};

extern const struct op basic_ops[], memory_ops[], smp_ops[], process_ops[];
/* The program that fork-exec runs: does nothing but end. NULL if there is none. */
extern const char *program;
/* What two readings of the clock cost by themselves, in ticks. */
extern uint64_t overhead;

static inline uint64_t ticks(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

/* Wait for a byte to become nonzero; returns the turns it took. */
static inline uint64_t spin(const volatile char *flag)
{
	uint64_t turns = 0;

	__asm__ volatile("1: inc %0; cmpb $0, %1; je 1b"
			 : "+r"(turns) : "m"(*flag) : "memory", "cc");
	return turns;
}

/* The same, polite to the other CPUs: the emulator goes on with the next one. */
static inline uint64_t spin_relaxed(const volatile char *flag)
{
	uint64_t turns = 0;

	__asm__ volatile("1: pause; inc %0; cmpb $0, %1; je 1b"
			 : "+r"(turns) : "m"(*flag) : "memory", "cc");
	return turns;
}

char *map_pages(size_t pages);
void wait_for(pid_t pid);

void find_overhead(void);
void prove_counting(void);
void do_round(const struct op *op, uint64_t *samples);
void measure(const struct op *op, uint64_t budget);
void reference_loop(void);

bool cross_open(const char *how);
void cross_booted(const uint64_t *ends, int nr);
void cross_count(const struct op *op, int index, uint64_t budget);

#endif /* PVOPS_BENCH_H */
