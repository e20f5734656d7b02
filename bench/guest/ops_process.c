// SPDX-License-Identifier: GPL-2.0
/* Operations: processes and threads. */
#include "bench.h"

#include <pthread.h>

#define FORK_PAGES	300
#define FORK_MANY	3000

static void *thread(void *arg)
{
	return arg;
}

static void do_thread(void)
{
	pthread_t id;

	if (pthread_create(&id, NULL, thread, NULL) || pthread_join(id, NULL))
		bail("a thread could not be made");
}

static char *pages, *more;

static void fork_setup(void)
{
	pages = map_pages(FORK_PAGES);
	memset(pages, 1, FORK_PAGES * PAGE);
}

static void fork_teardown(void)
{
	munmap(pages, FORK_PAGES * PAGE);
}

/* The child writes to pages that it shares with its parent until then. */
static void do_fork_write(void)
{
	pid_t pid = fork();

	if (!pid) {
		touch_pages(pages, RANGE_PAGES);
		_exit(0);
	}
	wait_for(pid);
}

static void do_exec(void)
{
	pid_t pid = fork();

	if (!pid) {
		execl(program, program, NULL);
		_exit(1);
	}
	wait_for(pid);
}

static void do_vfork_exec(void)
{
	pid_t pid = vfork();

	if (!pid) {
		execl(program, program, NULL);
		_exit(1);
	}
	wait_for(pid);
}

static void many_setup(void)
{
	fork_setup();
	more = map_pages(FORK_MANY);
	memset(more, 1, FORK_MANY * PAGE);
}

static void many_teardown(void)
{
	munmap(more, FORK_MANY * PAGE);
	fork_teardown();
}

const struct op process_ops[] = {
	{ .name = "thread-create", .once = do_thread, .samples = 300 },
	{ .name = "fork-exit", .setup = fork_setup, .once = fork_and_wait,
	  .teardown = fork_teardown, .u2 = true, .samples = 150 },
	{ .name = "fork-write", .setup = fork_setup, .once = do_fork_write,
	  .teardown = fork_teardown, .u2 = true, .samples = 60 },
	{ .name = "fork-exec", .setup = fork_setup, .once = do_exec,
	  .teardown = fork_teardown, .u2 = true, .samples = 150 },
	{ .name = "vfork-exec", .setup = fork_setup, .once = do_vfork_exec,
	  .teardown = fork_teardown, .samples = 150 },
	{ .name = "fork-many", .setup = many_setup, .once = fork_and_wait,
	  .teardown = many_teardown, .samples = 30 },
	{ }
};
