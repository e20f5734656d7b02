// SPDX-License-Identifier: GPL-2.0
/*
 * Memory management under attack by programs.
 *
 * The trials use operations that are difficult for a paravirtual MMU: the
 * kernel reads entries back after writing them, walks the tables of another
 * running process, changes whole page tables at once, and ends address spaces
 * in the middle of an operation.
 *
 * Each trial is a process of its own, most of them of an unprivileged user.
 * Most run twice: with one thread, and with a second thread that sleeps,
 * because the kernel takes shortcuts for an address space with one user. A
 * trial fails if a byte differs from what was written, if its process dies or
 * hangs, or if the kernel logs a complaint. Arguments are patterns of the
 * trials to run.
 */
#include "hostile_mm.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <poll.h>
#include <sys/klog.h>
#include <sys/prctl.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SECONDS_ALL	300
#define SECONDS_TRIAL	60

/* Flags of a trial. */
#define ALONE		1
#define THREADS		2	/* with a second thread that sleeps */
#define BOTH		(ALONE | THREADS)
#define ROOT		4	/* needs privileges */
#define COMPACT		8	/* while all memory is compacted repeatedly */
#define QUIET		16	/* the kernel logs much, correctly: not on the console */

struct trial {
	const char *name;
	void (*run)(void);
	int how;
};

static const struct trial trials[] = {
	{ "uffd-wp-shmem", uffd_wp_shmem, BOTH },
	{ "uffd-wp-swap", uffd_wp_swap, BOTH },
	{ "uffd-wp-file", uffd_wp_file, BOTH },
	{ "uffd-wp-fault", uffd_wp_fault, BOTH },
	{ "uffd-fill", uffd_fill, BOTH },
	{ "uffd-fork", uffd_fork, BOTH | ROOT },
	{ "uffd-events", uffd_events, BOTH },
	{ "pagemap-scan", pagemap_scan, BOTH },
	{ "ksm", ksm, BOTH | ROOT },
	{ "compaction", compaction, BOTH | COMPACT },
	{ "mrelease", mrelease, BOTH },
	{ "pageout-remote", pageout_remote, BOTH | ROOT },
	{ "pageout", pageout_self, BOTH },
	{ "swapoff", swap_off, BOTH | ROOT },
	{ "mremap-tables", mremap_tables, BOTH },
	{ "mremap-games", mremap_games, BOTH },
	{ "sparse", sparse, BOTH },
	{ "last-user", last_user, BOTH },
	{ "shared-mm", shared_mm, BOTH },
	{ "memcg-oom", memcg_oom, BOTH | ROOT | QUIET },
	{ "exec-mem", exec_mem, BOTH },
	{ "clear-refs", clear_refs, BOTH },
	{ "soft-dirty", soft_dirty, BOTH },
	{ "dirty-mem", dirty_mem, BOTH },
	{ "dirty-aio", dirty_aio, BOTH | ROOT },
	{ "dirty-ring", dirty_ring, BOTH },
	{ "protect-tables", protect_tables, BOTH },
	{ "fork-writers", fork_writers, BOTH },
	{ "holes", holes, BOTH },
	{ "locked", locked, BOTH },
	{ "remap-file-pages", remap_files, BOTH },
	{ "stacks-devices", devices_and_stacks, BOTH },
	{ "latency", latency, BOTH | ROOT },
};

/* Find the first complaint in the kernel log since the last call. */
static bool kernel_complained(int log, char *line, size_t size)
{
	static const char *const signs[] = {
		"WARNING: ", "BUG: ", "cut here", "Oops", "Bad page", "bad pte", "Bad rss",
		"general protection", "rcu: INFO", "blocked for more", "swap_info_get",
		"Bad swap", "swap_dup", "hypercall: ", "INFO: ", "unchecked MSR",
	};
	char record[2048];
	bool found = false;
	ssize_t n;

	while ((n = read(log, record, sizeof(record) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		char *text;

		if (n < 0)
			continue;
		record[n] = 0;
		text = strchr(record, ';');
		/* The line "cut here" has no content: the next line has. */
		if (!text || (found && !strstr(line, "cut here")))
			continue;
		text++;
		text[strcspn(text, "\n")] = 0;
		for (size_t i = 0; i < ARRAY_SIZE(signs); i++) {
			if (!strstr(text, signs[i]))
				continue;
			snprintf(line, size, "%s", text);
			found = true;
			break;
		}
	}
	return found;
}

static void trial_child(const struct trial *trial)
{
	setpgid(0, 0);
	if (!(trial->how & ROOT))
		become_nobody();
	if (threaded)
		idle_thread();
	trial->run();
	_exit(0);
}

/* Kill and reap all processes of a trial, including orphans. */
static void reap_group(pid_t group)
{
	kill(-group, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static pid_t background(const struct trial *trial)
{
	pid_t pid;

	if (!(trial->how & COMPACT))
		return 0;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		compact_all();
	}
	return pid;
}

/*
 * An OOM kill prints a call trace, which would fail the run if it were on the
 * console.
 */
static void console(bool quiet)
{
	static const char ignore[] = "/sys/module/printk/parameters/ignore_loglevel";
	static char was_ignored[8], was_level[64];

	if (quiet) {
		if (!read_file(ignore, was_ignored, sizeof(was_ignored)) ||
		    !read_file("/proc/sys/kernel/printk", was_level, sizeof(was_level)))
			bail("%s or /proc/sys/kernel/printk: %s", ignore, strerror(errno));
		write_file(ignore, "N");
	} else {
		write_file(ignore, was_ignored);
	}
	klogctl(8, NULL, quiet ? 1 : atoi(was_level));
}

static void run_trial(const struct trial *trial, int log)
{
	char name[64], line[240] = "";
	int64_t start = now_ns();
	unsigned int seconds = check_seconds(SECONDS_TRIAL);
	struct pollfd done;
	bool in_time, complained;
	int status = 0;
	pid_t pid, helper;

	snprintf(name, sizeof(name), "mm-%s%s", trial->name, threaded ? "-threads" : "");
	memset(control, 0, sizeof(*control));
	/*
	 * Without this, a warning that the kernel prints once would appear only
	 * in the first trial.
	 */
	write_file("/sys/kernel/debug/clear_warn_once", "1");
	if (trial->how & QUIET)
		console(true);
	helper = background(trial);
	pid = fork();
	if (!pid)
		trial_child(trial);
	done = (struct pollfd){ .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	if (pid < 0 || helper < 0 || done.fd < 0)
		bail("cannot start %s: %s", name, strerror(errno));
	in_time = poll(&done, 1, seconds * 1000) == 1;
	close(done.fd);
	if (!in_time)
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	if (helper) {
		kill(helper, SIGKILL);
		waitpid(helper, NULL, 0);
	}
	reap_group(pid);
	if (trial->how & QUIET)
		console(false);
	complained = kernel_complained(log, line, sizeof(line));
	if (!in_time)
		not_ok(name, "no end within %u s", seconds);
	else if (atomic_load(&control->failed))
		not_ok(name, "%s%s%s", control->failure, complained ? "; " : "", line);
	else if (status)
		not_ok(name, "ended with status %#x %s", status, line);
	else if (complained)
		not_ok(name, "the kernel says: %s", line);
	else
		ok(name, "%s%s%.1f s", control->remark, *control->remark ? ", " : "",
		   (now_ns() - start) / 1e9);
}

static bool wanted(const struct trial *trial, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!fnmatch(argv[i], trial->name, 0))
			return true;
	return argc == 1;
}

int main(int argc, char **argv)
{
	int log;

	if (argc == 2 && !strcmp(argv[1], "--nothing"))
		return 0;
	if (argc == 4 && !strcmp(argv[1], "--exec"))
		return exec_again(argv);
	check_begin("hostile_mm", SECONDS_ALL);
	control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (control == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (log < 0 || lseek(log, 0, SEEK_END) < 0)
		bail("/dev/kmsg: %s", strerror(errno));
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (!swap_on())
		not_ok("mm-swap", "no swap on " SWAP_DEVICE ": %s", strerror(errno));
	for (size_t i = 0; i < ARRAY_SIZE(trials); i++) {
		if (!wanted(&trials[i], argc, argv))
			continue;
		threaded = false;
		if (trials[i].how & ALONE)
			run_trial(&trials[i], log);
		threaded = true;
		if (trials[i].how & THREADS)
			run_trial(&trials[i], log);
	}
	if (swapoff(SWAP_DEVICE) && errno != EINVAL)
		not_ok("mm-swap", "swapoff: %s", strerror(errno));
	else
		ok("mm-swap", NULL);
	return check_end();
}
