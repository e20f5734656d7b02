// SPDX-License-Identifier: GPL-2.0
/*
 * A program grants pages to a domain, and maps granted pages, by /dev/xen.
 *
 * Xen itself writes and clears the page-table entries of a mapped grant. The
 * kernel must neither queue an update of such an entry past that nor lose it.
 * The job is for dom0, which grants its pages to itself.
 */
#include "memory.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <xen/gntalloc.h>

/* <xen/gntdev.h> uses these types and does not define them. */
typedef uint32_t grant_ref_t;
typedef uint16_t domid_t;

#include <xen/gntdev.h>

#define DOM0		0
#define PAGES		64
#define ROUNDS		16
#define NO_GRANT	0xfffffff0u	/* no table has so many entries */

/* Room for PAGES references behind the one that each structure has. */
static union {
	struct ioctl_gntalloc_alloc_gref op;
	char room[sizeof(struct ioctl_gntalloc_alloc_gref) + PAGES * sizeof(uint32_t)];
} alloc;

static union {
	struct ioctl_gntdev_map_grant_ref op;
	char room[sizeof(struct ioctl_gntdev_map_grant_ref) +
		  PAGES * sizeof(struct ioctl_gntdev_grant_ref)];
} map;

static int gntalloc, gntdev;

/* Grant PAGES pages to dom0. Return the program's own view of them. */
static char *share(void)
{
	char *own;

	memset(&alloc, 0, sizeof(alloc));
	alloc.op.domid = DOM0;
	alloc.op.flags = GNTALLOC_FLAG_WRITABLE;
	alloc.op.count = PAGES;
	if (ioctl(gntalloc, IOCTL_GNTALLOC_ALLOC_GREF, &alloc))
		bail("grant of %d pages: %s", PAGES, strerror(errno));
	own = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, gntalloc,
		   alloc.op.index);
	if (own == MAP_FAILED)
		bail("mmap of the granted pages: %s", strerror(errno));
	return own;
}

static void unshare_pages(char *own)
{
	struct ioctl_gntalloc_dealloc_gref dealloc = {
		.index = alloc.op.index, .count = PAGES,
	};

	munmap(own, PAGES * PAGE);
	if (ioctl(gntalloc, IOCTL_GNTALLOC_DEALLOC_GREF, &dealloc))
		bail("end of the grant: %s", strerror(errno));
}

/* Tell gntdev the references of share(), or one that does not exist. */
static int announce(bool good)
{
	const uint32_t *granted = alloc.op.gref_ids;

	memset(&map, 0, sizeof(map));
	map.op.count = PAGES;
	for (int i = 0; i < PAGES; i++) {
		map.op.refs[i].domid = DOM0;
		map.op.refs[i].ref = good ? granted[i] : NO_GRANT;
	}
	return ioctl(gntdev, IOCTL_GNTDEV_MAP_GRANT_REF, &map);
}

static int withdraw(void)
{
	struct ioctl_gntdev_unmap_grant_ref unmap = {
		.index = map.op.index, .count = PAGES,
	};

	return ioctl(gntdev, IOCTL_GNTDEV_UNMAP_GRANT_REF, &unmap);
}

static char *map_grants(void)
{
	return mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, gntdev, map.op.index);
}

static void check_shared(void)
{
	size_t wrong = 0;

	for (int round = 0; round < ROUNDS; round++) {
		char *own = share(), *other;

		if (announce(true))
			bail("references of the grant: %s", strerror(errno));
		other = map_grants();
		if (other == MAP_FAILED)
			bail("mmap of grants: %s", strerror(errno));
		fill_pages(own, PAGES, round);
		wrong += wrong_pages(other, PAGES, round);
		fill_pages(other, PAGES, ~round);
		wrong += wrong_pages(own, PAGES, ~round);
		munmap(other, PAGES * PAGE);
		wrong += wrong_pages(own, PAGES, ~round);
		if (withdraw())
			bail("end of the map: %s", strerror(errno));
		unshare_pages(own);
	}
	if (wrong)
		not_ok("grants-shared", "%zu pages differ", wrong);
	else
		ok("grants-shared", "%d times %d pages", ROUNDS, PAGES);
}

/* A child has no grants: only one entry for each can be known to Xen. */
static void check_fork(void)
{
	char *own = share(), *other;
	int status = 0;
	pid_t child;

	if (announce(true))
		bail("references of the grant: %s", strerror(errno));
	other = map_grants();
	if (other == MAP_FAILED)
		bail("mmap of grants: %s", strerror(errno));
	fill_pages(other, PAGES, 1);
	child = fork();
	if (!child) {
		*(volatile char *)other = 0;
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		bail("fork: %s", strerror(errno));
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV)
		not_ok("grants-fork", "the child reached the page, status 0x%x", status);
	else if (wrong_pages(own, PAGES, 1))
		not_ok("grants-fork", "pages differ after a fork");
	else
		ok("grants-fork", NULL);
	munmap(other, PAGES * PAGE);
	withdraw();
	unshare_pages(own);
}

static void check_bad_reference(void)
{
	char *other;

	if (announce(false))
		bail("references that do not exist: %s", strerror(errno));
	other = map_grants();
	if (other != MAP_FAILED)
		not_ok("grants-bad-reference", "a grant that does not exist can be mapped");
	else
		ok("grants-bad-reference", "%s", strerror(errno));
	withdraw();
}

/* Where an answer cannot be stored, the map must be gone, and its place free. */
static void check_bad_answer(void)
{
	char *page = map_anon(1);
	uint64_t first;
	int rc, error;

	if (announce(false) || withdraw())
		bail("references that do not exist: %s", strerror(errno));
	first = map.op.index;

	memcpy(page, &map, sizeof(map.op));
	((struct ioctl_gntdev_map_grant_ref *)page)->count = 1;
	mprotect(page, PAGE, PROT_READ);
	rc = ioctl(gntdev, IOCTL_GNTDEV_MAP_GRANT_REF, page);
	error = errno;

	if (announce(false))
		bail("references that do not exist: %s", strerror(errno));
	if (!rc || error != EFAULT)
		not_ok("grants-bad-answer", "result %d, %s", rc, strerror(error));
	else if (map.op.index != first)
		not_ok("grants-bad-answer", "the map without an answer is at 0x%llx still",
		       (unsigned long long)first);
	else
		ok("grants-bad-answer", NULL);
	withdraw();
	munmap(page, PAGE);
}

static void *announce_page(void *page)
{
	int rc = ioctl(gntdev, IOCTL_GNTDEV_MAP_GRANT_REF, page);

	return (void *)(long)(rc ? errno : 0);
}

/* Stop writes to the page. Return where they are reported. */
static int watch(char *page)
{
	struct uffdio_api api = {
		.api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};
	struct uffdio_register area = {
		.range = { (unsigned long)page, PAGE }, .mode = UFFDIO_REGISTER_MODE_WP,
	};
	struct uffdio_writeprotect protect = {
		.range = { (unsigned long)page, PAGE }, .mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &area) ||
	    ioctl(uffd, UFFDIO_WRITEPROTECT, &protect))
		bail("userfaultfd: %s", strerror(errno));
	return uffd;
}

/*
 * While a thread stores its answer, another one removes its map and has one of
 * its own in the same place. A kernel that stores the answer with the lock held
 * hangs here, as it does if that thread calls mmap().
 */
static void check_race(void)
{
	char *page = map_anon(1);
	struct uffd_msg fault;
	pthread_t thread;
	uint64_t first;
	void *error;
	int uffd;

	if (announce(false) || withdraw())
		bail("references that do not exist: %s", strerror(errno));
	first = map.op.index;

	memcpy(page, &map, sizeof(map));
	uffd = watch(page);
	if (pthread_create(&thread, NULL, announce_page, page))
		bail("no thread");
	if (read(uffd, &fault, sizeof(fault)) != sizeof(fault) ||
	    fault.event != UFFD_EVENT_PAGEFAULT)
		bail("the answer was not stored");

	if (withdraw() || announce(false) || map.op.index != first)
		bail("another map in the same place: %s", strerror(errno));
	munmap(page, PAGE);
	close(uffd);
	if (pthread_join(thread, &error))
		bail("the thread does not end");

	if ((long)error != EFAULT)
		not_ok("grants-race", "%s", strerror((long)error));
	else if (withdraw())
		not_ok("grants-race", "the other map is gone, too");
	else
		ok("grants-race", NULL);
}

int main(void)
{
	check_begin("grants", 60);
	gntdev = open("/dev/xen/gntdev", O_RDWR | O_CLOEXEC);
	gntalloc = open("/dev/xen/gntalloc", O_RDWR | O_CLOEXEC);
	if (gntdev < 0 || gntalloc < 0)
		bail("/dev/xen/gntdev, gntalloc: %s", strerror(errno));

	check_shared();
	check_fork();
	check_bad_reference();
	check_bad_answer();
	check_race();
	return check_end();
}
