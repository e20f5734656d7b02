// SPDX-License-Identifier: GPL-2.0
/* Helpers that the operations of several files use. */
#include "bench.h"

#include <sys/wait.h>

const char *program;

void wait_for(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		bail("a child failed: %s", strerror(errno));
}
