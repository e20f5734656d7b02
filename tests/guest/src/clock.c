// SPDX-License-Identifier: GPL-2.0
/*
 * Clocks must not step back between CPUs, or between the vDSO and the system
 * call. All clocks must run at the same rate. These checks find a paravirtual
 * clock with a wrong scale or offset on one CPU.
 */
#include "check.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/klog.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define MAX_CPUS	64
#define RING_ROUNDS	400
#define RACE_NS		(NSEC_PER_SEC / 2)

static const struct {
	clockid_t id;
	const char *name;
} clocks[] = {
	{ CLOCK_MONOTONIC,	"monotonic" },
	{ CLOCK_MONOTONIC_RAW,	"monotonic-raw" },
	{ CLOCK_BOOTTIME,	"boottime" },
	{ CLOCK_REALTIME,	"realtime" },
};

static int cpus[MAX_CPUS];
static int nr_cpus;

static int64_t read_vdso(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts_ns(&ts);
}

static int64_t read_syscall(clockid_t id)
{
	struct timespec ts;

	syscall(SYS_clock_gettime, id, &ts);
	return ts_ns(&ts);
}

/*
 * One shared timestamp. In a ring the CPUs read in turn, in a race all at once.
 */
static struct {
	clockid_t id;
	bool ring;
	atomic_int turn;
	atomic_int unpinned;
	atomic_bool stop;
	atomic_llong last;
	atomic_llong worst;
	atomic_llong reads;
	pthread_barrier_t start;
} shared;

static void look(bool vdso)
{
	long long before = atomic_load(&shared.last);
	long long now = vdso ? read_vdso(shared.id) : read_syscall(shared.id);
	long long seen;

	atomic_fetch_add(&shared.reads, 1);
	if (now < before) {
		seen = atomic_load(&shared.worst);
		while (before - now > seen &&
		       !atomic_compare_exchange_weak(&shared.worst, &seen,
						     before - now))
			;
	}
	seen = before;
	while (now > seen &&
	       !atomic_compare_exchange_weak(&shared.last, &seen, now))
		;
}

static void *reader(void *arg)
{
	int me = (int)(intptr_t)arg;
	bool vdso = me & 1;

	if (!pin(cpus[me]) || sched_getcpu() != cpus[me])
		atomic_fetch_add(&shared.unpinned, 1);
	pthread_barrier_wait(&shared.start);

	if (!shared.ring) {
		while (!atomic_load(&shared.stop)) {
			look(vdso);
			vdso = !vdso;
		}
		return NULL;
	}
	for (int round = 0; round < RING_ROUNDS; round++) {
		while (atomic_load(&shared.turn) != me)
			sched_yield();
		look(vdso);
		vdso = !vdso;
		atomic_store(&shared.turn, (me + 1) % nr_cpus);
	}
	return NULL;
}

static void across_cpus(int which, bool ring)
{
	pthread_t threads[MAX_CPUS];
	struct timespec race = { .tv_nsec = RACE_NS };
	char name[64];

	snprintf(name, sizeof(name), "clock-%s-%s", clocks[which].name,
		 ring ? "handed-round" : "raced");
	memset(&shared, 0, sizeof(shared));
	shared.id = clocks[which].id;
	shared.ring = ring;
	pthread_barrier_init(&shared.start, NULL, nr_cpus + 1);
	for (int i = 0; i < nr_cpus; i++)
		if (pthread_create(&threads[i], NULL, reader,
				   (void *)(intptr_t)i))
			bail("cannot start a thread: %s", strerror(errno));
	pthread_barrier_wait(&shared.start);
	if (!ring) {
		nanosleep(&race, NULL);
		atomic_store(&shared.stop, true);
	}
	for (int i = 0; i < nr_cpus; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&shared.start);

	if (shared.unpinned)
		not_ok(name, "%d threads not on their CPU", shared.unpinned);
	else if (shared.worst)
		not_ok(name, "went back by %lld ns", (long long)shared.worst);
	else
		ok(name, "%lld reads on %d CPUs", (long long)shared.reads,
		   nr_cpus);
}

/* On every CPU the vDSO and the system call must return the same clock. */
static void vdso_against_syscall(void)
{
	for (int i = 0; i < nr_cpus; i++) {
		char name[64];
		int bad = 0;

		snprintf(name, sizeof(name), "clock-vdso-syscall-cpu%d",
			 cpus[i]);
		if (!pin(cpus[i])) {
			not_ok(name, "cannot pin: %s", strerror(errno));
			continue;
		}
		for (int n = 0; n < 5000; n++) {
			int64_t a = read_vdso(CLOCK_MONOTONIC);
			int64_t b = read_syscall(CLOCK_MONOTONIC);
			int64_t c = read_vdso(CLOCK_MONOTONIC);

			bad += b < a || c < b;
		}
		if (bad)
			not_ok(name, "%d of 5000 out of order", bad);
		else
			ok(name, NULL);
	}
}

/* Two clocks that were read at nearly the same time. */
struct pair {
	int64_t a, b, width;
};

static struct pair read_pair(clockid_t a, clockid_t b)
{
	struct pair best = { .width = INT64_MAX };

	for (int i = 0; i < 200; i++) {
		int64_t before = read_vdso(a);
		int64_t middle = read_vdso(b);
		int64_t after = read_vdso(a);

		if (after - before < best.width) {
			best.width = after - before;
			best.a = before + (after - before) / 2;
			best.b = middle;
		}
	}
	return best;
}

static void rates(void)
{
	struct pair start[ARRAY_SIZE(clocks)], end[ARRAY_SIZE(clocks)];
	struct timespec span = { .tv_sec = 1 };

	for (size_t i = 1; i < ARRAY_SIZE(clocks); i++)
		start[i] = read_pair(CLOCK_MONOTONIC, clocks[i].id);
	nanosleep(&span, NULL);
	for (size_t i = 1; i < ARRAY_SIZE(clocks); i++)
		end[i] = read_pair(CLOCK_MONOTONIC, clocks[i].id);

	for (size_t i = 1; i < ARRAY_SIZE(clocks); i++) {
		int64_t mono = end[i].a - start[i].a;
		int64_t other = end[i].b - start[i].b;
		int64_t width = start[i].width + end[i].width;
		/*
		 * NTP does not run: the bound is only the uncertainty of the
		 * readings.
		 */
		int64_t bound = mono / 20000 + width;
		char name[64];

		snprintf(name, sizeof(name), "clock-rate-%s", clocks[i].name);
		if (llabs(mono - other) > bound)
			not_ok(name, "%lld ns, monotonic %lld ns; read to %lld ns",
			       (long long)other, (long long)mono,
			       (long long)width);
		else
			ok(name, "differs by %lld ns in %lld ms",
			   (long long)(other - mono),
			   (long long)(mono / NSEC_PER_MSEC));
	}
}

/* A clock that stands still would pass all other checks. */
static void it_runs(void)
{
	int64_t a = read_vdso(CLOCK_MONOTONIC), b = a;
	long spins = 0;

	while (b == a && spins < 100000000) {
		b = read_vdso(CLOCK_MONOTONIC);
		spins++;
	}
	if (b == a)
		not_ok("clock-runs", "the same time in %ld reads", spins);
	else
		ok("clock-runs", NULL);
}

/* Whether clock_gettime() works where the system call is refused; -1: cannot be tried. */
static int works_without_syscall(void)
{
	struct sock_filter refuse[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clock_gettime, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { ARRAY_SIZE(refuse), refuse };
	struct timespec ts;
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) ||
		    !syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts))
			_exit(2);
		for (int i = 0; i < 1000; i++)
			if (clock_gettime(CLOCK_MONOTONIC, &ts))
				_exit(1);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) > 1)
		return -1;
	return !WEXITSTATUS(status);
}

/*
 * A kernel with a VMI ROM says whether programs can read the ROM's clock. What
 * it says must be so. While the hypervisor marks the clock as invalid, programs
 * make the system call all the same. It does so if the TSC of its own machine is
 * not stable, which is not the case in our worlds.
 */
static void without_syscall(const char *source)
{
	/* The kernel prints a time before each line, so the text is longer than the buffer. */
	int room = 4 * klogctl(10, NULL, 0);
	int works = works_without_syscall();
	bool promised;
	char *log;

	if (works < 0) {
		not_ok("clock-without-syscall", "cannot refuse the system call");
		return;
	}
	note("clock_gettime() %s", works ? "needs no system call" : "is a system call");
	if (strncmp(source, "vmi", 3))
		return;
	log = room > 0 ? calloc(room, 1) : NULL;
	if (!log || klogctl(3, log, room - 1) < 0) {
		not_ok("clock-without-syscall", "kernel log: %s", strerror(errno));
		return;
	}
	if (!strstr(log, "Linux version")) {
		not_ok("clock-without-syscall", "the kernel log has lost its beginning");
		return;
	}
	promised = strstr(log, "programs can read the ROM's clock from its ");
	if (works != promised)
		not_ok("clock-without-syscall", "the kernel says it %s one",
		       promised ? "needs no" : "needs");
	else
		ok("clock-without-syscall", "%s one", works ? "without" : "with");
}

int main(void)
{
	char text[256];

	check_begin("clock", 120);
	nr_cpus = usable_cpus(cpus, MAX_CPUS);
	if (read_file("/sys/devices/system/clocksource/clocksource0/current_clocksource",
		      text, sizeof(text))) {
		note("clocksource %s", text);
		without_syscall(text);
	} else {
		not_ok("clock-source", "cannot be read: %s", strerror(errno));
	}
	if (read_file("/sys/devices/system/clocksource/clocksource0/available_clocksource",
		      text, sizeof(text)))
		note("available %s", text);

	it_runs();
	for (size_t i = 0; i < ARRAY_SIZE(clocks); i++) {
		if (nr_cpus < 2) {
			skip(clocks[i].name, "one CPU: nothing to compare");
			continue;
		}
		across_cpus(i, true);
		across_cpus(i, false);
	}
	vdso_against_syscall();
	rates();
	return check_end();
}
