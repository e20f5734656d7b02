// SPDX-License-Identifier: GPL-2.0
/*
 * Times an operation in TSC ticks. This is meant for QEMU's -icount shift=0,
 * where a tick is an instruction. Instructions of a hypervisor count too.
 *
 * The samples form batches, and the minimum of each batch is kept. A timer
 * interrupt or a refill of an allocator's cache affects some samples of a batch,
 * but not all. Sampling ends when the batches agree, when the budget is used up,
 * or when there are enough samples. One line for each operation has the minimum,
 * the quartiles and the maximum of the batches, and the median of all samples:
 *
 *	cost <name> min=<n> median=<n> max=<n> all=<n> batches=<n> of=<n> q1=<n> q3=<n>
 *
 * "all" includes the rare events that the batches exclude, and varies more.
 */
#include "bench.h"

#define BATCH		5
#define BATCHES_MIN	5
#define BATCHES_AGREE	12	/* this many batches, and half of them within ... */
#define AGREE		1000	/* ... this fraction of the median */

uint64_t overhead;

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Sort the minimum of each batch into best; returns the number of batches. */
static int batch_minima(const uint64_t *samples, int n, uint64_t *best)
{
	int batches = n / BATCH;

	for (int i = 0; i < batches; i++) {
		best[i] = UINT64_MAX;
		for (int j = 0; j < BATCH; j++)
			if (samples[i * BATCH + j] < best[i])
				best[i] = samples[i * BATCH + j];
	}
	qsort(best, batches, sizeof(*best), compare);
	return batches;
}

static bool enough(const uint64_t *samples, int n, uint64_t *best)
{
	int batches = batch_minima(samples, n, best);

	return batches >= BATCHES_AGREE &&
	       best[3 * batches / 4] - best[batches / 4] <= best[batches / 2] / AGREE;
}

static void print_cost(const char *name, uint64_t *samples, int n, uint64_t *best)
{
	int batches = batch_minima(samples, n, best);
	char line[256];
	int len;

	if (!batches) {
		not_ok(name, "no batch of samples was taken");
		return;
	}
	qsort(samples, n, sizeof(*samples), compare);
	len = snprintf(line, sizeof(line),
		       "cost %s min=%llu median=%llu max=%llu all=%llu batches=%d of=%d q1=%llu q3=%llu\n",
		       name, (unsigned long long)best[0],
		       (unsigned long long)best[batches / 2],
		       (unsigned long long)best[batches - 1],
		       (unsigned long long)samples[n / 2], batches, BATCH,
		       (unsigned long long)best[batches / 4],
		       (unsigned long long)best[3 * batches / 4]);
	if (write(STDOUT_FILENO, line, len) != len)
		check_failures++;
}

/* Run one round of an operation. Without samples nothing is measured. */
void do_round(const struct op *op, uint64_t *samples)
{
	static uint64_t scratch[RANGE_PAGES];

	if (op->round) {
		op->round(samples ? samples : scratch);
	} else {
		uint64_t start = ticks();

		op->once();
		if (samples)
			*samples = ticks() - start - overhead;
	}
}

/**
 * measure - print what an operation costs
 * @op:		the operation
 * @budget:	ticks after which the minimum number of batches is enough
 */
void measure(const struct op *op, uint64_t budget)
{
	int per = op->per_round ? op->per_round : 1;
	int max = op->samples / per * per;
	uint64_t *samples = calloc(max, sizeof(*samples));
	uint64_t *best = calloc(max / BATCH + 1, sizeof(*best));
	int warm = 3, n = 0;
	uint64_t began;

	if (!samples || !best)
		bail("no memory");
	memset(samples, 1, max * sizeof(*samples));
	set_up(op);
	began = ticks();
	while (n < max) {
		if (op->prepare)
			op->prepare();
		do_round(op, samples + n);
		if (op->finish)
			op->finish();
		if (warm) {
			warm--;
			continue;
		}
		n += per;
		if (n < BATCH * BATCHES_MIN)
			continue;
		if (ticks() - began > budget)
			break;
		if (n / per % 10 == 0 && enough(samples, n, best))
			break;
	}
	if (op->teardown)
		op->teardown();
	print_cost(op->name, samples, n, best);
	free(best);
	free(samples);
}

/* Find the ticks that two readings of the clock take by themselves. */
void find_overhead(void)
{
	uint64_t v[101];

	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		uint64_t start = ticks();

		v[i] = ticks() - start;
	}
	qsort(v, ARRAY_SIZE(v), sizeof(v[0]), compare);
	overhead = v[ARRAY_SIZE(v) / 2];
}

/*
 * Check that a tick is an instruction. The loop has two instructions a turn.
 * Two runs that differ by a known number of turns must differ by twice as many
 * ticks.
 */
static uint64_t time_loop(uint64_t turns)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 20; i++) {
		uint64_t n = turns, start = ticks(), took;

		__asm__ volatile("1: dec %0; jnz 1b" : "+r"(n));
		took = ticks() - start;
		if (took < best)
			best = took;
	}
	return best;
}

void prove_counting(void)
{
	const uint64_t small = 10000, large = 60000;
	uint64_t expected = 2 * (large - small);
	uint64_t got = time_loop(large) - time_loop(small);

	if (got == expected)
		ok("counting", "%llu instructions are %llu ticks",
		   (unsigned long long)expected, (unsigned long long)got);
	else
		not_ok("counting", "%llu instructions are %llu ticks",
		       (unsigned long long)expected, (unsigned long long)got);
}

/* The unit of relative times: 100,000 instructions of user space. */
void reference_loop(void)
{
	uint64_t n = 50000;

	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(n));
}
