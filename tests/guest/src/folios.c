// SPDX-License-Identifier: GPL-2.0
/*
 * Private and shared anonymous memory, used in pieces that fit no large folio. The
 * job folios runs this with large folios of one size switched on, whose name is the
 * argument.
 */
#include "memory.h"

#include <sys/wait.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25	/* Debian 12's headers do not have it */
#endif

#define PAGES	1024UL		/* more than the largest folio below 2 MiB */
#define ROUNDS	2
#define SIZES	"/sys/kernel/mm/transparent_hugepage/"

/* Pages at and after which something changes: borders of no folio. */
#define CUT	37UL
#define CUTS	5UL

static size_t wrong;

static void expect_pages(const char *what, const char *map, size_t first, size_t pages,
			 uint64_t seed)
{
	for (size_t i = first; i < first + pages; i++)
		if (!page_is_right(map, i, seed) && !wrong++)
			printf("# %s: page %zu is wrong\n", what, i);
}

static size_t in_child(char *map, uint64_t seed)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		bail("fork: %s", strerror(errno));
	if (!pid) {
		expect_pages("child", map, 0, PAGES, seed);
		fill_pages(map, PAGES, seed + 1);
		expect_pages("child's own", map, 0, PAGES, seed + 1);
		fflush(stdout);
		_exit(wrong != 0);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		bail("the child died: status %#x", status);
	return WEXITSTATUS(status);
}

static void use(int flags, uint64_t seed)
{
	const bool shared = flags & MAP_SHARED;
	char *map, *moved;

	map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	fill_pages(map, PAGES, seed);
	expect_pages("new", map, 0, PAGES, seed);
	wrong += in_child(map, seed);
	expect_pages("after the child", map, 0, PAGES, seed + shared);
	fill_pages(map, PAGES, seed);

	for (size_t i = CUT; i + CUTS < PAGES; i += CUT)
		if (mprotect(map + i * PAGE, CUTS * PAGE, PROT_READ))
			bail("mprotect: %s", strerror(errno));
	expect_pages("protected", map, 0, PAGES, seed);
	mprotect(map, PAGES * PAGE, PROT_READ | PROT_WRITE);
	wrong += in_child(map, seed);
	fill_pages(map, PAGES, seed);
	if (madvise(map + CUT * PAGE, PAGES / 2 * PAGE, MADV_PAGEOUT))
		bail("MADV_PAGEOUT: %s", strerror(errno));
	expect_pages("paged out", map, 0, PAGES, seed);

	/* A hole, and what is behind it somewhere else. */
	munmap(map + CUT * PAGE, CUTS * PAGE);
	expect_pages("before the hole", map, 0, CUT, seed);
	moved = mmap(NULL, (PAGES + 1) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (moved == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	moved = mremap(map + (CUT + CUTS) * PAGE, (PAGES - CUT - CUTS) * PAGE,
		       (PAGES - CUT - CUTS) * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       moved + PAGE);
	if (moved == MAP_FAILED)
		bail("mremap: %s", strerror(errno));
	expect_pages("moved", moved - (CUT + CUTS) * PAGE, CUT + CUTS,
		     PAGES - CUT - CUTS, seed);
	munmap(moved - PAGE, (PAGES + 1) * PAGE);
	munmap(map, CUT * PAGE);
}

/* How many folios of this size there were, according to a counter of the kernel. */
static unsigned long counter(const char *size, const char *name)
{
	unsigned long value;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), SIZES "hugepages-%s/stats/%s", size, name);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%lu", &value) != 1)
		bail("%s cannot be read", path);
	fclose(f);
	return value;
}

static void check(const char *size, const char *kind, int flags, const char *made)
{
	unsigned long before = counter(size, made), swapped = counter(size, "swpout");
	char name[64];

	snprintf(name, sizeof(name), "folios-%s-%s", kind, size);
	wrong = 0;
	for (int round = 0; round < ROUNDS; round++)
		use(flags, 10 * round);
	before = counter(size, made) - before;
	swapped = counter(size, "swpout") - swapped;
	if (wrong)
		not_ok(name, "%zu pages wrong", wrong);
	else if (!before)
		not_ok(name, "no folio of this size was made");
	else
		ok(name, "%lu folios, %lu swapped out", before, swapped);
}

/* Without pages of 2 MiB there is nothing that could be collapsed. */
static void check_collapse(const char *size)
{
	bool pmd = !access(SIZES "hugepages-2048kB", F_OK);
	char *map = map_anon(PAGES), name[64];
	int err;

	snprintf(name, sizeof(name), "folios-collapse-%s", size);
	fill_pages(map, PAGES, 1);
	err = madvise(map, PAGES * PAGE, MADV_COLLAPSE) ? errno : 0;
	if (wrong_pages(map, PAGES, 1))
		not_ok(name, "data is lost");
	else if (!pmd && err != EINVAL)
		not_ok(name, "error %d instead of EINVAL", err);
	else
		ok(name, "%s", err ? strerror(err) : "collapsed");
	munmap(map, PAGES * PAGE);
}

int main(int argc, char **argv)
{
	check_begin("folios", 120);
	if (argc != 2)
		bail("one size is wanted, such as 64kB");
	check(argv[1], "private", MAP_PRIVATE, "anon_fault_alloc");
	check(argv[1], "shared", MAP_SHARED, "shmem_alloc");
	check_collapse(argv[1]);
	return check_end();
}
