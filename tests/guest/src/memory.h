/* SPDX-License-Identifier: GPL-2.0 */
/* Pages with a pattern, for finding lost data. */
#ifndef PVOPS_GUEST_MEMORY_H
#define PVOPS_GUEST_MEMORY_H

#include "check.h"

#include <sys/mman.h>

#define PAGE		4096UL

static inline void *map_anon(size_t pages)
{
	void *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		bail("mmap of %zu pages: %s", pages, strerror(errno));
	return p;
}

static inline uint64_t pattern(uint64_t seed, size_t i)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15ULL + i;

	x ^= x >> 31;
	x *= 0xbf58476d1ce4e5b9ULL;
	return x ^ (x >> 29);
}

/*
 * Write two words in each page, the first and the last: a partial copy shows.
 */
static inline void fill_pages(char *base, size_t pages, uint64_t seed)
{
	for (size_t i = 0; i < pages; i++) {
		*(uint64_t *)(base + i * PAGE) = pattern(seed, i);
		*(uint64_t *)(base + i * PAGE + PAGE - 8) = pattern(~seed, i);
	}
}

/* Is page I after BASE as fill_pages() has left it? */
static inline bool page_is_right(const char *base, size_t i, uint64_t seed)
{
	return *(uint64_t *)(base + i * PAGE) == pattern(seed, i) &&
	       *(uint64_t *)(base + i * PAGE + PAGE - 8) == pattern(~seed, i);
}

static inline size_t wrong_pages(const char *base, size_t pages, uint64_t seed)
{
	size_t wrong = 0;

	for (size_t i = 0; i < pages; i++)
		wrong += !page_is_right(base, i, seed);
	return wrong;
}

#endif /* PVOPS_GUEST_MEMORY_H */
