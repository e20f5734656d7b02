// SPDX-License-Identifier: GPL-2.0
/*
 * Each kind of timer on each CPU. No timer may fire early. The delay depends on
 * the load of the host, so each shot has a wide bound. Only the best of several
 * shots has a narrow one.
 */
#include "check.h"

#include <poll.h>
#include <sys/time.h>
#include <sys/timerfd.h>

#define MAX_CPUS	64
#define SHOTS		6
#define ASKED_NS	(10 * NSEC_PER_MSEC)
#define LATE_EACH_NS	(2 * NSEC_PER_SEC)
#define LATE_BEST_NS	(200 * NSEC_PER_MSEC)

static volatile sig_atomic_t fired;

static void on_signal(int sig)
{
	(void)sig;
	fired = 1;
}

/*
 * Each function waits for ASKED_NS and then returns 0. It returns a negative
 * value if the timer cannot be set. The caller reads the clock before and
 * after, so "early" is defined by the clock that programs see.
 */
static int by_nanosleep(void)
{
	struct timespec ts = { .tv_nsec = ASKED_NS };

	return nanosleep(&ts, NULL);
}

static int by_abstime(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_nsec += ASKED_NS;
	if (ts.tv_nsec >= NSEC_PER_SEC) {
		ts.tv_nsec -= NSEC_PER_SEC;
		ts.tv_sec++;
	}
	return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static int by_timerfd(void)
{
	struct itimerspec its = { .it_value.tv_nsec = ASKED_NS };
	uint64_t count = 0;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	int ret = -1;

	if (fd < 0)
		return -1;
	if (!timerfd_settime(fd, 0, &its, NULL) &&
	    read(fd, &count, sizeof(count)) == sizeof(count) && count == 1)
		ret = 0;
	close(fd);
	return ret;
}

/*
 * Sleep until the handler has run. The signal is unblocked only while asleep.
 */
static void wait_for_signal(void)
{
	sigset_t block, old;

	sigemptyset(&block);
	sigaddset(&block, SIGALRM);
	sigaddset(&block, SIGUSR1);
	sigprocmask(SIG_BLOCK, &block, &old);
	while (!fired)
		sigsuspend(&old);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static int by_setitimer(void)
{
	struct itimerval itv = { .it_value.tv_usec = ASKED_NS / 1000 };

	fired = 0;
	if (setitimer(ITIMER_REAL, &itv, NULL))
		return -1;
	wait_for_signal();
	return 0;
}

static int by_posix_timer(void)
{
	struct sigevent sev = {
		.sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = SIGUSR1,
	};
	struct itimerspec its = { .it_value.tv_nsec = ASKED_NS };
	timer_t timer;

	fired = 0;
	if (timer_create(CLOCK_MONOTONIC, &sev, &timer))
		return -1;
	if (timer_settime(timer, 0, &its, NULL)) {
		timer_delete(timer);
		return -1;
	}
	wait_for_signal();
	timer_delete(timer);
	return 0;
}

static int by_poll(void)
{
	return poll(NULL, 0, ASKED_NS / NSEC_PER_MSEC);
}

static const struct {
	const char *name;
	int (*shot)(void);
} ways[] = {
	{ "nanosleep",	by_nanosleep },
	{ "abstime",	by_abstime },
	{ "timerfd",	by_timerfd },
	{ "setitimer",	by_setitimer },
	{ "posix",	by_posix_timer },
	{ "poll",	by_poll },
};

static void shots(int cpu, int way)
{
	int64_t best = INT64_MAX, worst = INT64_MIN;
	char name[64];

	snprintf(name, sizeof(name), "timer-%s-cpu%d", ways[way].name, cpu);
	for (int i = 0; i < SHOTS; i++) {
		int64_t start = now_ns(), late;

		if (ways[way].shot()) {
			not_ok(name, "cannot be set: %s", strerror(errno));
			return;
		}
		late = now_ns() - start - ASKED_NS;
		if (late < best)
			best = late;
		if (late > worst)
			worst = late;
	}
	if (best < 0)
		not_ok(name, "fired %lld us early", (long long)-best / 1000);
	else if (worst > LATE_EACH_NS)
		not_ok(name, "%lld ms late", (long long)(worst / NSEC_PER_MSEC));
	else if (best > LATE_BEST_NS)
		not_ok(name, "never less than %lld ms late",
		       (long long)(best / NSEC_PER_MSEC));
	else
		ok(name, "late by %lld..%lld us", (long long)best / 1000,
		   (long long)worst / 1000);
}

/*
 * A periodic timer may skip periods, but may not count more than have passed.
 */
static void periodic(int cpu)
{
	struct itimerspec its = {
		.it_value.tv_nsec = ASKED_NS,
		.it_interval.tv_nsec = ASKED_NS,
	};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	int64_t start, elapsed;
	uint64_t count, total = 0;
	char name[64];

	snprintf(name, sizeof(name), "timer-periodic-cpu%d", cpu);
	start = now_ns();
	if (fd < 0 || timerfd_settime(fd, 0, &its, NULL)) {
		not_ok(name, "cannot be set: %s", strerror(errno));
		return;
	}
	while (total < 10) {
		if (read(fd, &count, sizeof(count)) != sizeof(count)) {
			not_ok(name, "read: %s", strerror(errno));
			close(fd);
			return;
		}
		total += count;
	}
	elapsed = now_ns() - start;
	close(fd);
	if ((int64_t)total * ASKED_NS > elapsed)
		not_ok(name, "%llu periods of 10 ms in %lld us",
		       (unsigned long long)total, (long long)elapsed / 1000);
	else if (elapsed > (int64_t)total * ASKED_NS + LATE_EACH_NS)
		not_ok(name, "%llu periods of 10 ms took %lld ms",
		       (unsigned long long)total,
		       (long long)(elapsed / NSEC_PER_MSEC));
	else
		ok(name, "%llu periods in %lld us", (unsigned long long)total,
		   (long long)elapsed / 1000);
}

int main(void)
{
	int cpus[MAX_CPUS], n;
	pid_t watchdog;

	check_job = "timer";
	n = usable_cpus(cpus, MAX_CPUS);
	/*
	 * The watchdog is a process of its own. This program tests SIGALRM, and
	 * the clock may be broken.
	 */
	watchdog = fork();
	if (watchdog < 0)
		bail("cannot fork: %s", strerror(errno));
	if (!watchdog) {
		sleep(120);
		not_ok("watchdog", "did not finish in time");
		kill(getppid(), SIGKILL);
		_exit(1);
	}
	signal(SIGALRM, on_signal);
	signal(SIGUSR1, on_signal);
	for (int i = 0; i < n; i++) {
		if (!pin(cpus[i])) {
			not_ok("timer-pin", "CPU %d: %s", cpus[i],
			       strerror(errno));
			continue;
		}
		for (size_t way = 0; way < ARRAY_SIZE(ways); way++)
			shots(cpus[i], way);
		periodic(cpus[i]);
	}
	kill(watchdog, SIGKILL);
	return check_end();
}
