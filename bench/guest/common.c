// SPDX-License-Identifier: GPL-2.0
/* Helpers that the operations of several files use. */
#include "bench.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/wait.h>

const char *program;

void wait_for(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		bail("a child failed: %s", strerror(errno));
}

/* Fork a child that only exits, and wait for it. */
void fork_and_wait(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	wait_for(pid);
}

static sem_t there;

/* The second thread of a process. It sleeps until the process ends. */
static void *sleeper(void *unused)
{
	sem_post(&there);
	for (;;)
		pause();
	return unused;
}

/**
 * set_up - what an operation needs once before all its rounds
 * @op:		the operation
 */
void set_up(const struct op *op)
{
	pthread_t id;

	if (op->u2) {
		sem_init(&there, 0, 0);
		if (pthread_create(&id, NULL, sleeper, NULL))
			bail("a thread could not be made");
		sem_wait(&there);
		/* Let the thread go to sleep. */
		sched_yield();
	}
	if (op->setup)
		op->setup();
}
