/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The interface between the files of hostile_mm. A file calls only common.c and
 * files above it in this list:
 *
 *	common.c	what all trials use
 *	uffd.c		trials of userfaultfd
 *	reclaim.c	trials of pages that are merged, moved and swapped out
 *	ends.c		trials of address spaces that end
 *	outside.c	trials of memory that is read and written from outside
 *	tables.c	trials of page tables that move, change and are freed
 *	latency.c	the trial that measures how long other processes wait
 *	main.c		the list of the trials, and main()
 */
#ifndef PVOPS_HOSTILE_MM_H
#define PVOPS_HOSTILE_MM_H

#include "memory.h"

#include <pthread.h>
#include <stdatomic.h>

#define MIB		(1024 * 1024UL)
#define GIB		(1024 * MIB)
#define TABLE		512UL	/* pages that one page table maps */
#define SWAP_DEVICE	"/dev/ram0"

/* Memory that all processes of a trial share. */
struct control {
	atomic_bool failed, stop;
	atomic_ulong events[4];
	char failure[200], remark[200];
};

extern struct control *control;
/* Whether the trial runs with a second thread. */
extern bool threaded;

/*
 * The second party of a trial: a thread if the trial has threads, otherwise a
 * process. A process shares only shared mappings with the victim. It reaches
 * other memory of the victim by the victim's process number.
 */
struct other {
	pthread_t thread;
	pid_t pid;
	void (*run)(void *arg);
	void *arg;
};

extern pid_t victim;

/*
 * A word in each page of an area, which one writer increments. The writer keeps
 * a copy of each word, and so detects a lost write.
 */
struct counter {
	char *base;
	size_t pages, slot;
	uint64_t *wrote;
	unsigned long loops;
};

/* ---- common.c */

/* Results. fail(), need() and none_wrong() end a trial that has failed. */
__attribute__((format(printf, 1, 2), noreturn))
void fail(const char *fmt, ...);
__attribute__((format(printf, 1, 2)))
void remark(const char *fmt, ...);
void need(bool good, const char *what);
void none_wrong(size_t wrong, const char *what);

/* Memory. Sizes are in pages of 4 KiB, except those of map_aligned(). */
void *map(size_t pages, int prot, int flags, int fd);
char *map_private(size_t pages);
char *map_aligned(size_t bytes, size_t align, int prot);
int memory_file(size_t pages);
char *map_shared(size_t pages, int fd);
size_t pages_with(const char *p, size_t pages, int bit);
void page_out(void *p, size_t pages);
void protect(void *p, size_t pages, int prot);
void flip(void *p, size_t pages);

/* Contents, beside fill_pages() and wrong_pages(). Each returns a count. */
size_t wrong_in_file(int fd, size_t first, size_t pages, uint64_t seed);
size_t wrong_from(const char *p, size_t first, size_t pages, uint64_t seed);
size_t nonzero_pages(const char *p, size_t pages);
size_t wrong_apart(const char *p, size_t bytes, size_t step, uint64_t seed);
void fill_apart(char *p, size_t bytes, size_t step, uint64_t seed);

/* Processes and threads. stopped() is true while other_end() waits. */
pid_t spawn(void);
int wait_for(pid_t pid);
void ends_well(pid_t pid, const char *what);
void idle_thread(void);
void become_nobody(void);
void other_process(struct other *other, void (*run)(void *arg), void *arg);
void other_start(struct other *other, void (*run)(void *arg), void *arg);
void other_end(struct other *other);
bool stopped(void);

/* A counter fails the trial if a word is not what it wrote. */
void counter_init(struct counter *c, char *base, size_t pages, size_t slot);
void count(struct counter *c);
void count_on(void *arg);

int64_t in_ms(long ms);
int proc_open(pid_t pid, const char *file, int flags);
void must_write(const char *path, const char *text);

/* ---- uffd.c */

void uffd_wp_shmem(void);
void uffd_wp_swap(void);
void uffd_wp_file(void);
void uffd_wp_fault(void);
void uffd_fill(void);
void uffd_fork(void);
void uffd_events(void);
void pagemap_scan(void);

/* ---- reclaim.c */

void ksm(void);
void compaction(void);
void pageout_remote(void);
void pageout_self(void);
void swap_off(void);
void compact_all(void);
bool swap_on(void);

/* ---- ends.c */

void mrelease(void);
void last_user(void);
void shared_mm(void);
void memcg_oom(void);

/* ---- outside.c */

void exec_mem(void);
void clear_refs(void);
void soft_dirty(void);
void dirty_mem(void);
void dirty_aio(void);
void dirty_ring(void);
int exec_again(char **argv);

/* ---- tables.c */

void mremap_tables(void);
void mremap_games(void);
void sparse(void);
void protect_tables(void);
void fork_writers(void);
void holes(void);
void locked(void);
void remap_files(void);
void devices_and_stacks(void);

/* ---- latency.c */

void latency(void);

#endif /* PVOPS_HOSTILE_MM_H */
