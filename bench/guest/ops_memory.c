// SPDX-License-Identifier: GPL-2.0
/* Operations: mappings, protection, page faults. */
#include "bench.h"

#define FAULTS		64
#define FILE_FAULTS	32
#define FAULT_AROUND	16	/* pages that one file fault may map */
#define HUGE		(2 * RANGE_PAGES * PAGE)
#define FILE_SIZE	((FILE_FAULTS + 1) * FAULT_AROUND * PAGE)

static void map_1(void)
{
	map_touch_unmap(1);
}

static void map_256(void)
{
	map_touch_unmap(RANGE_PAGES);
}

/* The range whose first half moves to the second. One page table has both halves. */
static char *halves;

static void remap_setup(void)
{
	char *p = map_pages(4 * RANGE_PAGES);

	halves = (char *)(((uintptr_t)p + HUGE - 1) / HUGE * HUGE);
	munmap(p, 4 * RANGE_PAGES * PAGE);
}

static void remap_256(void)
{
	const size_t size = RANGE_PAGES * PAGE;
	char *p = mmap(halves, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (p == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	touch_pages(p, RANGE_PAGES);
	p = mremap(p, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, p + size);
	if (p == MAP_FAILED)
		bail("mremap: %s", strerror(errno));
	munmap(p, size);
}

static char *area;

static void area_setup(void)
{
	area = map_pages(RANGE_PAGES);
	memset(area, 1, RANGE_PAGES * PAGE);
}

static void area_teardown(void)
{
	munmap(area, RANGE_PAGES * PAGE);
}

static void protect(size_t pages)
{
	if (mprotect(area, pages * PAGE, PROT_READ) ||
	    mprotect(area, pages * PAGE, PROT_READ | PROT_WRITE))
		bail("mprotect: %s", strerror(errno));
}

static void protect_1(void)
{
	protect(1);
}

static void protect_256(void)
{
	protect(RANGE_PAGES);
}

/*
 * Each fault is timed separately, FAULTS of them in one mapping. The first
 * fault of a mapping may also allocate a page table, so it happens before the
 * round.
 */
static void write_faults(uint64_t *samples)
{
	for (int i = 0; i < FAULTS; i++) {
		uint64_t start = ticks();

		((volatile char *)area)[i * PAGE] = 2;
		samples[i] = ticks() - start - overhead;
	}
}

static void anonymous_prepare(void)
{
	area = map_pages(FAULTS + 1);
	area[FAULTS * PAGE] = 1;
}

static void anonymous_finish(void)
{
	munmap(area, (FAULTS + 1) * PAGE);
}

static int hold[2];
static pid_t sharer;

static void cow_setup(void)
{
	area = map_pages(FAULTS + 1);
	memset(area, 1, (FAULTS + 1) * PAGE);
}

/*
 * A child shares the pages during the round, so that each write copies a page.
 */
static void cow_prepare(void)
{
	char c;

	if (pipe(hold))
		bail("pipe: %s", strerror(errno));
	sharer = fork();
	if (sharer < 0)
		bail("fork: %s", strerror(errno));
	if (!sharer) {
		close(hold[1]);
		_exit(read(hold[0], &c, 1) ? 1 : 0);
	}
	close(hold[0]);
	area[FAULTS * PAGE] = 2;
}

static void cow_finish(void)
{
	close(hold[1]);
	wait_for(sharer);
}

static void cow_teardown(void)
{
	munmap(area, (FAULTS + 1) * PAGE);
}

static int file;

static void file_setup(void)
{
	char *p;

	file = memfd_create("file", MFD_CLOEXEC);
	if (file < 0 || ftruncate(file, FILE_SIZE))
		bail("memfd: %s", strerror(errno));
	p = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (p == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	memset(p, 1, FILE_SIZE);
	munmap(p, FILE_SIZE);
}

static void file_prepare(void)
{
	char sink;

	area = mmap(NULL, FILE_SIZE, PROT_READ, MAP_SHARED, file, 0);
	if (area == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	sink = ((volatile char *)area)[FILE_FAULTS * FAULT_AROUND * PAGE];
	(void)sink;
}

/* A read fault also maps the pages around it that the page cache has. */
static void file_faults(uint64_t *samples)
{
	char sink;

	for (int i = 0; i < FILE_FAULTS; i++) {
		uint64_t start = ticks();

		sink = ((volatile char *)area)[i * FAULT_AROUND * PAGE];
		samples[i] = ticks() - start - overhead;
	}
	(void)sink;
}

static void file_finish(void)
{
	munmap(area, FILE_SIZE);
}

static void file_teardown(void)
{
	close(file);
}

static void write_shared_256(void)
{
	char *p = mmap(NULL, RANGE_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

	if (p == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	touch_pages(p, RANGE_PAGES);
	munmap(p, RANGE_PAGES * PAGE);
}

const struct op memory_ops[] = {
	{ .name = "mmap-1", .once = map_1, .u2 = true, .samples = 500 },
	{ .name = "mmap-256", .once = map_256, .u2 = true, .samples = 60 },
	{ .name = "mremap-256", .setup = remap_setup, .once = remap_256, .u2 = true,
	  .samples = 60 },
	{ .name = "mprotect-1", .setup = area_setup, .once = protect_1,
	  .teardown = area_teardown, .u2 = true, .samples = 500 },
	{ .name = "mprotect-256", .setup = area_setup, .once = protect_256,
	  .teardown = area_teardown, .u2 = true, .samples = 150 },
	{ .name = "fault-anonymous", .prepare = anonymous_prepare, .round = write_faults,
	  .finish = anonymous_finish, .per_round = FAULTS, .u2 = true,
	  .samples = 10 * FAULTS },
	{ .name = "fault-cow", .setup = cow_setup, .prepare = cow_prepare,
	  .round = write_faults, .finish = cow_finish, .teardown = cow_teardown,
	  .per_round = FAULTS, .u2 = true, .samples = 10 * FAULTS },
	{ .name = "fault-file", .setup = file_setup, .prepare = file_prepare,
	  .round = file_faults, .finish = file_finish, .teardown = file_teardown,
	  .per_round = FILE_FAULTS, .samples = 15 * FILE_FAULTS },
	{ .name = "shared-256", .setup = file_setup, .once = write_shared_256,
	  .teardown = file_teardown, .u2 = true, .samples = 60 },
	{ }
};
