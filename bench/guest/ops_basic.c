// SPDX-License-Identifier: GPL-2.0
/*
 * Operations: system calls, the clock, context switches, signals, timers,
 * idling.
 */
#include "bench.h"

#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define FIRE_AFTER	100000		/* ns: setting the timer takes less in any world */
#define SLEEP		500000		/* ns: a CPU goes idle within it in any world */

static void nothing(void)
{
	__asm__ volatile("" : : : "memory");
}

static void do_getppid(void)
{
	syscall(SYS_getppid);
}

static void do_clock_gettime(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
}

static void on_signal(int sig)
{
	(void)sig;
}

static void signal_setup(void)
{
	signal(SIGUSR1, on_signal);
}

static void do_signal(void)
{
	syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
}

static int there[2], back[2];
static pid_t partner;

static void pipe_setup(void)
{
	char c;

	if (pipe(there) || pipe(back))
		bail("pipe: %s", strerror(errno));
	partner = fork();
	if (partner < 0)
		bail("fork: %s", strerror(errno));
	if (!partner) {
		close(there[1]);
		close(back[0]);
		while (read(there[0], &c, 1) == 1)
			if (write(back[1], &c, 1) != 1)
				_exit(1);
		_exit(0);
	}
	close(there[0]);
	close(back[1]);
}

static void do_pipe(void)
{
	char c = 0;

	if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
		bail("pipe: %s", strerror(errno));
}

static void pipe_teardown(void)
{
	close(there[1]);
	close(back[0]);
	wait_for(partner);
}

/*
 * The state: 0 it is the parent's turn, 1 the partner's turn, 2 the partner
 * exits.
 */
static volatile uint32_t *turn;

static void futex_wait(uint32_t value)
{
	syscall(SYS_futex, turn, FUTEX_WAIT, value, NULL, NULL, 0);
}

static void futex_wake(void)
{
	syscall(SYS_futex, turn, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void futex_setup(void)
{
	turn = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (turn == MAP_FAILED)
		bail("mmap: %s", strerror(errno));
	*turn = 0;
	partner = fork();
	if (partner < 0)
		bail("fork: %s", strerror(errno));
	while (!partner) {
		while (*turn == 0)
			futex_wait(0);
		if (*turn == 2)
			_exit(0);
		*turn = 0;
		futex_wake();
	}
}

static void do_futex(void)
{
	*turn = 1;
	futex_wake();
	while (*turn == 1)
		futex_wait(1);
}

static void futex_teardown(void)
{
	*turn = 2;
	futex_wake();
	wait_for(partner);
	munmap((void *)turn, PAGE);
}

static timer_t timer;
static volatile char fired;

static void on_timer(int sig)
{
	(void)sig;
	fired = 1;
}

static void timer_setup(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2 };

	signal(SIGUSR2, on_timer);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer))
		bail("timer_create: %s", strerror(errno));
}

/*
 * The wait is subtracted: it is not a cost of the timer, and its length is
 * known.
 */
static void timer_round(uint64_t *samples)
{
	const struct itimerspec when = { .it_value.tv_nsec = FIRE_AFTER };
	uint64_t start, turns;

	fired = 0;
	start = ticks();
	if (timer_settime(timer, 0, &when, NULL))
		bail("timer_settime: %s", strerror(errno));
	turns = spin(&fired);
	*samples = ticks() - start - overhead - SPIN_TURN * turns;
}

static void timer_teardown(void)
{
	timer_delete(timer);
}

static void idle_setup(void)
{
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
}

/*
 * An idle CPU executes no instructions while the clock advances. The sample is
 * the delay from the timer's expiry until user space runs. A nanosecond is a
 * tick.
 */
static void idle_round(uint64_t *samples)
{
	int64_t until = now_ns() + SLEEP;
	struct timespec ts = { .tv_sec = until / NSEC_PER_SEC, .tv_nsec = until % NSEC_PER_SEC };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
	*samples = now_ns() - until;
}

const struct op basic_ops[] = {
	{ .name = "nothing", .once = nothing, .samples = 500 },
	{ .name = "getppid", .once = do_getppid, .samples = 1000 },
	{ .name = "clock-gettime", .once = do_clock_gettime, .samples = 1000 },
	{ .name = "signal", .setup = signal_setup, .once = do_signal, .samples = 600 },
	{ .name = "pipe-ping-pong", .setup = pipe_setup, .once = do_pipe,
	  .teardown = pipe_teardown, .samples = 600 },
	{ .name = "futex-ping-pong", .setup = futex_setup, .once = do_futex,
	  .teardown = futex_teardown, .samples = 600 },
	{ .name = "timer-fire", .setup = timer_setup, .round = timer_round,
	  .teardown = timer_teardown, .per_round = 1, .samples = 300 },
	{ .name = "idle-wake", .setup = idle_setup, .round = idle_round, .per_round = 1,
	  .samples = 300 },
	{ }
};
