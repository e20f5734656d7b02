// SPDX-License-Identifier: GPL-2.0
/* Trials of mremap(), mprotect(), fork() and munmap(). */
#include "hostile_mm.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sys/syscall.h>

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED	24
#endif

static char *move_to(char *from, size_t bytes, char *to)
{
	char *p = mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to);

	need(p == to, "mremap");
	return p;
}

/*
 * Moves 1 GiB by mremap(): page tables as a whole if source and target are
 * aligned, else entry by entry. An entry that is written late would show the
 * old page or none in the new place.
 */
void mremap_tables(void)
{
	const size_t step = 2 * MIB;
	char *room = map_aligned(4 * GIB, GIB, PROT_NONE), *p = room;
	pid_t child;

	need(mmap(p, GIB, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == p, "mmap");
	madvise(p, GIB, MADV_NOHUGEPAGE);
	fill_apart(p, GIB, step, 3);
	for (int round = 0; round < 6; round++) {
		p = move_to(p, GIB, room + (round % 2 ? 0 : 2 * GIB));
		none_wrong(wrong_apart(p, GIB, step, 3), "pages after a move by 2 GiB");
	}
	/* First not aligned to 1 GiB, then not aligned to 2 MiB. */
	p = move_to(p, GIB, room + 2 * GIB + 6 * MIB);
	none_wrong(wrong_apart(p, GIB, step, 3), "pages after a move by tables");
	p = move_to(p, GIB, room + 4 * PAGE);
	none_wrong(wrong_apart(p, GIB, step, 3), "pages after a move by pages");
	p = move_to(p, GIB, room + 2 * GIB);
	/* A part without rights is a VMA of its own and moves separately. */
	protect(p + 512 * MIB, 64 * MIB / PAGE, PROT_NONE);
	move_to(p + 512 * MIB, 64 * MIB, room + 512 * MIB);
	protect(room + 512 * MIB, 64 * MIB / PAGE, PROT_READ | PROT_WRITE);
	move_to(room + 512 * MIB, 64 * MIB, p + 512 * MIB);
	none_wrong(wrong_apart(p, GIB, step, 3), "pages after a move without rights");
	child = spawn();
	if (!child) {
		move_to(p, GIB, room);
		none_wrong(wrong_apart(room, GIB, step, 3), "pages of a child");
		fill_apart(room, GIB, step, 4);
		none_wrong(wrong_apart(room, GIB, step, 4), "pages written by a child");
		_exit(0);
	}
	p = move_to(p, GIB, room + GIB);
	none_wrong(wrong_apart(p, GIB, step, 3), "pages moved while a child shares them");
	fill_apart(p, GIB, step, 5);
	ends_well(child, "a child");
	none_wrong(wrong_apart(p, GIB, step, 5), "pages written after the move");
	munmap(room, 4 * GIB);
}

/*
 * Moves, shrinks and grows an area by mremap(). Vacated and new pages must be
 * zero: a stale entry would show old contents.
 */
void mremap_games(void)
{
	const size_t pages = 4 * TABLE, part = pages / 4;

	for (int round = 0; round < 5; round++) {
		char *p = map_aligned(pages * PAGE, 2 * MIB, PROT_READ | PROT_WRITE), *q;
		size_t shift = round % 2 ? 0 : 5 * PAGE;
		char *room = map_aligned(2 * pages * PAGE, 2 * MIB, PROT_NONE);

		fill_pages(p, part, round);
		q = mremap(p, part * PAGE, part * PAGE,
			   MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, room + shift);
		need(q == room + shift, "MREMAP_DONTUNMAP");
		none_wrong(wrong_pages(q, part, round), "moved pages");
		none_wrong(nonzero_pages(p, part), "pages of the emptied place");
		fill_pages(p, part, ~round);
		none_wrong(wrong_pages(q, part, round), "moved pages, later");
		/* Shrink, grow, shrink. New pages must be zero. */
		q = mremap(q, part * PAGE, part / 2 * PAGE, 0);
		need(q != MAP_FAILED, "shrink");
		q = mremap(q, part / 2 * PAGE, 3 * part * PAGE, MREMAP_MAYMOVE);
		need(q != MAP_FAILED, "grow");
		none_wrong(wrong_pages(q, part / 2, round), "pages after growing");
		none_wrong(nonzero_pages(q + part / 2 * PAGE, part), "new pages");
		need(mremap(q, 3 * part * PAGE, PAGE, 0) == q, "shrink to a page");
		none_wrong(wrong_pages(q, 1, round), "the page that is left");
		munmap(q, PAGE);
		none_wrong(wrong_pages(p, part, ~round), "pages of the old place");
		munmap(p, pages * PAGE);
		munmap(room, 2 * pages * PAGE);
	}
}

/*
 * Touches one page in each GiB, each of which needs tables of levels 1 and 2.
 * fork(), execve(), mprotect() and munmap() then handle hundreds of sparse
 * tables. If the hypervisor kept a table that the kernel frees, the kernel
 * could not use that page again.
 */
void sparse(void)
{
	const size_t bytes = 600 * GIB;
	char *p = map_aligned(bytes, GIB, PROT_READ | PROT_WRITE);
	pid_t child;

	fill_apart(p, bytes, GIB, 9);
	none_wrong(wrong_apart(p, bytes, GIB, 9), "pages");
	child = spawn();
	if (!child) {
		none_wrong(wrong_apart(p, bytes, GIB, 9), "pages of a child");
		fill_apart(p, bytes / 2, GIB, 10);
		none_wrong(wrong_apart(p, bytes / 2, GIB, 10), "pages written by a child");
		_exit(0);
	}
	fill_apart(p, bytes / 4, GIB, 11);
	ends_well(child, "a child");
	none_wrong(wrong_apart(p, bytes / 4, GIB, 11), "pages written after a fork");
	child = spawn();
	if (!child) {
		execl("/proc/self/exe", "hostile_mm", "--nothing", NULL);
		_exit(1);
	}
	ends_well(child, "a child that called exec");
	protect(p, bytes / PAGE, PROT_READ);
	protect(p, bytes / PAGE, PROT_READ | PROT_WRITE);
	/* Unmap holes first, then the end, then the rest. */
	for (size_t i = 1; i < 300; i += 2)
		munmap(p + i * GIB, GIB);
	munmap(p + 400 * GIB, 200 * GIB);
	for (size_t i = 0; i < 300; i += 2)
		if (*(uint64_t *)(p + i * GIB) != pattern(i < 150 ? 11 : 9, i))
			fail("page %zu is wrong", i);
	munmap(p, 400 * GIB);
}

/* Test if the kernel may read and write a page on behalf of this program. */
static void rights(const char *p, bool can_read, bool can_write, const char *what)
{
	char *at = (char *)p + 8;
	bool did_read, did_write;
	int fds[2];

	need(!pipe(fds), "pipe");
	did_read = write(fds[1], at, 1) == 1;
	if (!did_read)
		need(write(fds[1], "x", 1) == 1, "pipe");
	did_write = read(fds[0], at, 1) == 1;
	close(fds[0]);
	close(fds[1]);
	if (did_read != can_read || did_write != can_write)
		fail("%s: %s and %s", what, did_read ? "readable" : "not readable",
		     did_write ? "writable" : "not writable");
}

static volatile char *spin_page;

static void spin_on(void *arg)
{
	volatile unsigned long n = 0;

	(void)arg;
	while (!stopped())
		n += *spin_page;
}

/*
 * Changes the rights of whole page tables, and of ranges across two tables.
 * Linux's Xen code did not count for page_table_check when mprotect() made an
 * entry PROT_NONE. The kernel then hit a BUG() when it freed the page (patch
 * 0019).
 */
void protect_tables(void)
{
	const size_t pages = 4 * TABLE;
	char *p = map_aligned(pages * PAGE, 2 * MIB, PROT_READ | PROT_WRITE);
	int64_t end = in_ms(800);
	struct other other;
	uint64_t seed = 0;

	spin_page = map_private(1);
	other_start(&other, spin_on, NULL);
	do {
		fill_pages(p, pages, ++seed);
		protect(p, pages, PROT_NONE);
		for (size_t i = 0; i < pages; i += 300)
			rights(p + i * PAGE, false, false, "PROT_NONE");
		protect(p, pages, PROT_READ);
		for (size_t i = 0; i < pages; i += 300)
			rights(p + i * PAGE, true, false, "PROT_READ");
		none_wrong(wrong_pages(p, pages, seed), "read-only pages");
		/* Change one table, less than one, and a range across two. */
		protect(p + TABLE * PAGE, TABLE, PROT_NONE);
		rights(p + TABLE * PAGE - PAGE, true, false, "before the table");
		rights(p + 2 * TABLE * PAGE, true, false, "after the table");
		rights(p + TABLE * PAGE, false, false, "the table's first page");
		rights(p + 2 * TABLE * PAGE - PAGE, false, false, "the table's last page");
		protect(p + TABLE / 2 * PAGE, TABLE, PROT_READ | PROT_WRITE);
		rights(p + (TABLE + 5) * PAGE, true, true, "across two tables");
		protect(p, pages, PROT_READ | PROT_WRITE);
		fill_pages(p + TABLE * PAGE, TABLE, seed);
		none_wrong(wrong_pages(p + TABLE * PAGE, TABLE, seed), "writable pages");
	} while (now_ns() < end || seed < 3);
	other_end(&other);
	remark("%lu rounds", (unsigned long)seed);
}

/*
 * Forks while a second writer changes the pages. fork() write-protects entries
 * that a CPU is using. If Dirty were lost or a TLB kept a writable entry, child
 * and parent would see each other's words.
 */
void fork_writers(void)
{
	const size_t pages = 256;
	char *p = map_private(pages), *s = map_shared(pages, memory_file(pages));
	int64_t end = in_ms(600);
	struct counter mine, theirs;
	struct other other;
	unsigned long forks = 0;

	counter_init(&mine, p, pages, 1);
	counter_init(&theirs, threaded ? p : s, pages, 2);
	other_start(&other, count_on, &theirs);
	do {
		pid_t child = spawn();

		if (!child) {
			uint64_t seen[256];
			size_t wrong = 0;

			for (size_t i = 0; i < pages; i++)
				seen[i] = *(uint64_t *)(p + i * PAGE + 128);
			count(&mine);
			for (size_t i = 0; i < pages; i++)
				wrong += seen[i] != *(uint64_t *)(p + i * PAGE + 128);
			none_wrong(wrong, "words of a child that its parent writes");
			_exit(0);
		}
		count(&mine);
		if (forks++ % 2) {
			kill(child, SIGKILL);
			wait_for(child);
		} else {
			ends_well(child, "a child");
		}
		count(&mine);
	} while (now_ns() < end || forks < 4);
	other_end(&other);
	remark("%lu forks", forks);
}

/*
 * Unmaps and overmaps ranges. An unmapped page must be gone, and a newly mapped
 * page must be zero. A stale entry would show the contents of a freed page.
 */
void holes(void)
{
	const size_t pages = 2 * TABLE + 100;
	int64_t end = in_ms(400);

	for (int round = 0; now_ns() < end || round < 3; round++) {
		char *p = map_private(pages), *q;
		size_t wrong = 0;

		fill_pages(p, pages, round);
		munmap(p + 300 * PAGE, 500 * PAGE);
		none_wrong(wrong_pages(p, 300, round), "pages before a hole");
		none_wrong(wrong_from(p, 800, pages, round), "pages after a hole");
		q = mmap(p + 200 * PAGE, 700 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		need(q == p + 200 * PAGE, "MAP_FIXED");
		none_wrong(nonzero_pages(q, 700), "pages of the area put on top");
		fill_pages(q, 700, ~round);
		none_wrong(wrong_pages(p, 200, round), "pages before the area put on top");
		none_wrong(wrong_from(p, 900, pages, round), "pages behind it");
		/* Unmap every other page. */
		for (size_t i = 0; i < 700; i += 2)
			munmap(q + i * PAGE, PAGE);
		for (size_t i = 1; i < 700; i += 2)
			wrong += *(uint64_t *)(q + i * PAGE) != pattern(~round, i);
		none_wrong(wrong, "pages between holes");
		munmap(p, pages * PAGE);
	}
}

/*
 * Locks and unlocks memory, and drops locked pages. Reclaim must not take
 * locked pages. A page that MADV_DONTNEED_LOCKED dropped must be zero
 * afterwards.
 */
void locked(void)
{
	const size_t pages = 14;	/* an ordinary user's limit may be 64 KiB */
	char *p = map_private(pages), *s = map_shared(pages, memory_file(pages));

	for (int round = 0; round < 40; round++) {
		fill_pages(p, pages, round);
		need(!mlock(p, pages * PAGE), "mlock");
		if (!madvise(p, pages * PAGE, MADV_DONTNEED) || errno != EINVAL)
			fail("MADV_DONTNEED of locked memory: %s", strerror(errno));
		none_wrong(wrong_pages(p, pages, round), "locked pages");
		need(!madvise(p, pages / 2 * PAGE, MADV_DONTNEED_LOCKED), "DONTNEED_LOCKED");
		none_wrong(nonzero_pages(p, pages / 2), "locked pages that were given up");
		none_wrong(wrong_from(p, pages / 2, pages, round), "locked pages that stay");
		need(!munlock(p, pages * PAGE), "munlock");
		fill_pages(s, pages, round);
		need(!mlock2(s, pages * PAGE, MLOCK_ONFAULT), "mlock2");
		page_out(p, pages);
		need(!munlock(s, pages * PAGE), "munlock");
		page_out(s, pages);
		none_wrong(wrong_from(p, pages / 2, pages, round), "unlocked pages");
		none_wrong(wrong_pages(s, pages, round), "unlocked shared pages");
	}
}

/*
 * Maps the pages of a file in reverse order, each by remap_file_pages(). Each
 * call replaces an entry of the same table. A lost replacement shows the wrong
 * page.
 */
void remap_files(void)
{
	const size_t pages = 64;
	int fd = memory_file(pages);
	char *p = map_shared(pages, fd);
	size_t wrong = 0;

	fill_pages(p, pages, 1);
	for (size_t i = 0; i < pages; i++)
		need(!syscall(SYS_remap_file_pages, p + i * PAGE, PAGE, 0, pages - 1 - i, 0),
		     "remap_file_pages");
	for (size_t i = 0; i < pages; i++) {
		wrong += *(uint64_t *)(p + i * PAGE) != pattern(1, pages - 1 - i);
		*(uint64_t *)(p + i * PAGE) = pattern(2, pages - 1 - i);
		*(uint64_t *)(p + i * PAGE + PAGE - 8) = pattern(~2ULL, pages - 1 - i);
	}
	none_wrong(wrong, "pages in the reverse order");
	none_wrong(wrong_in_file(fd, 0, pages, 2), "pages of the file");
	munmap(p, pages * PAGE);
}

static sigjmp_buf out;

static void jump_out(int sig)
{
	siglongjmp(out, sig);
}

/*
 * Maps /dev/zero, grows a stack across a page table's border, and tries
 * addresses that no program may have. A page of the kernel or of the hypervisor
 * must never be mapped.
 */
void devices_and_stacks(void)
{
	const size_t pages = 40;
	char *room = map_aligned(4 * MIB, 2 * MIB, PROT_NONE), *top = room + 4 * MIB, *p;
	int fd = open("/dev/zero", O_RDWR | O_CLOEXEC), mem = open("/dev/mem", O_RDWR);
	pid_t child;

	if (mem >= 0)
		fail("/dev/mem was opened");
	signal(SIGSEGV, jump_out);
	/* A stack VMA grows downwards into the page table below. */
	munmap(room, 4 * MIB);
	p = mmap(top - 2 * MIB, 2 * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
	need(p == top - 2 * MIB, "MAP_GROWSDOWN");
	for (size_t i = 1; i <= pages; i++)
		*(uint64_t *)(p - i * PAGE) = i;
	for (size_t i = 1; i <= pages; i++)
		if (*(uint64_t *)(p - i * PAGE) != i)
			fail("page %zu below a stack is wrong", i);
	munmap(p - pages * PAGE, (pages + 2) * PAGE);
	if (!sigsetjmp(out, 1)) {
		*(volatile char *)p = 1;
		fail("an unmapped stack can be written");
	}
	need(fd >= 0, "/dev/zero");
	p = map(pages, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
	none_wrong(nonzero_pages(p, pages), "pages of /dev/zero");
	fill_pages(p, pages, 3);
	none_wrong(wrong_pages(p, pages, 3), "written pages of /dev/zero");
	p = map(pages, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	fill_pages(p, pages, 4);
	child = spawn();
	if (!child) {
		none_wrong(wrong_pages(p, pages, 4), "pages shared by /dev/zero");
		fill_pages(p, pages, 5);
		_exit(0);
	}
	ends_well(child, "a child");
	none_wrong(wrong_pages(p, pages, 5), "pages written by a child");
	/* The kernel's half and the gap between the halves must be refused. */
	for (size_t i = 0; i < 3; i++) {
		static const uintptr_t at[] = { 0xffff800000000000, 0xffffffff81000000,
						0x0100000000000000 };

		p = mmap((void *)at[i], PAGE, PROT_READ,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		if (p != MAP_FAILED)
			fail("a page was mapped at %p", (void *)p);
		if (!mprotect((void *)at[i], PAGE, PROT_READ) ||
		    !madvise((void *)at[i], PAGE, MADV_DONTNEED) ||
		    !munmap((void *)at[i], PAGE))
			fail("%#lx can be changed", (unsigned long)at[i]);
	}
}
