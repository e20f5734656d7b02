// SPDX-License-Identifier: GPL-2.0
/*
 * Choice of a backend: probe all, and try the most confident first. Its table is
 * committed after its setup(), and once more after its complete(), if it has one.
 *
 * This file works on a struct pvops_socket. It knows neither the command line
 * nor the kernel's own pv_ops, so tests can run all of it with made-up
 * backends. There is no locking: the callers are the boot CPU, and KUnit cases
 * that have their own socket.
 */
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/seq_buf.h>
#include <linux/string.h>

#include <pvops/socket.h>

__printf(3, 4) static void pvops_log_decision(struct pvops_socket *socket,
					      bool warn, const char *fmt, ...)
{
	char line[PVOPS_REASON_LEN + 96];
	va_list args;

	va_start(args, fmt);
	vscnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	socket->log_decision(socket, warn, line);
}

/**
 * pvops_note_request() - record one pv_backend= of the command line
 * @request: (in/out) the request so far
 * @arg: the new value; NULL counts as an empty value
 *
 * The last value is used, as for other parameters. An earlier value that
 * differs is kept for a warning, since the user may have edited the wrong one.
 *
 * Context: boot CPU, while early parameters are parsed.
 */
void pvops_note_request(struct pvops_request *request, const char *arg)
{
	if (!arg)
		arg = "";
	if (request->name[0] && strcmp(request->name, arg))
		strscpy(request->overridden, request->name);
	strscpy(request->name, arg);
}

/**
 * pvops_find_backend() - look up a backend by its name
 * @backends: the candidates
 * @nr: number of candidates
 * @name: the name, as given to pv_backend=
 *
 * Context: any.
 * Return: the backend, or NULL if no candidate has that name.
 */
const struct pvops_backend *
pvops_find_backend(const struct pvops_backend * const *backends, size_t nr,
		   const char *name)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (!strcmp(backends[i]->name, name))
			return backends[i];
	return NULL;
}

static void pvops_list_backend_names(const struct pvops_socket *socket,
				     struct seq_buf *buf)
{
	size_t i;

	seq_buf_puts(buf, PVOPS_AUTO);
	for (i = 0; i < socket->nr_backends; i++)
		seq_buf_printf(buf, " %s", socket->backends[i]->name);
}

/*
 * Return the backend that the user requests, or NULL if that backend cannot run
 * on this machine. A kernel with a request that cannot be met must still boot,
 * so the choice becomes automatic, with a warning.
 */
static const struct pvops_backend *
pvops_find_requested_backend(struct pvops_socket *socket,
			     const struct pvops_facts *facts,
			     const char *request, struct pvops_reason *reason)
{
	const struct pvops_backend *backend;

	if (!request || !request[0] || !strcmp(request, PVOPS_AUTO))
		return NULL;

	backend = pvops_find_backend(socket->backends, socket->nr_backends,
				     request);
	if (!backend) {
		DECLARE_SEQ_BUF(names, 160);

		pvops_list_backend_names(socket, &names);
		pvops_log_decision(socket, true,
				   "pv_backend=%s is not known to this kernel (known: %s); choosing automatically",
				   request, seq_buf_str(&names));
		return NULL;
	}

	socket->requested = backend->name;
	if (backend->probe(backend, facts, reason) == PVOPS_ABSENT) {
		pvops_log_decision(socket, true,
				   "pv_backend=%s cannot be used here (%s); choosing automatically",
				   request, reason->text);
		return NULL;
	}
	return backend;
}

static void pvops_record_rejection(struct pvops_socket *socket,
				   const struct pvops_backend *backend, int err,
				   const char *reason)
{
	size_t len = strlen(socket->rejected);

	scnprintf(socket->rejected + len, sizeof(socket->rejected) - len,
		  "%s%s (%d: %s)", len ? ", " : "", backend->name, err, reason);
}

/*
 * An NMI may call ops during the commit, since the table is in use. Each slot
 * is written as one word, so an NMI between two words finds the old op or the
 * new op, and never a part of a pointer.
 */
static void pvops_commit_table(struct paravirt_patch_template *table,
			       const struct paravirt_patch_template *staging)
{
	const union pvops_table *src = (const union pvops_table *)staging;
	union pvops_table *dst = (union pvops_table *)table;
	unsigned int i;

	for (i = 0; i < PVOPS_NR_SLOTS; i++)
		if (dst->slot[i] != src->slot[i])
			WRITE_ONCE(dst->slot[i], src->slot[i]);
}

typedef int (*pvops_fill_table_fn)(const struct pvops_backend *self,
				   const struct pvops_facts *facts,
				   struct paravirt_patch_template *ops,
				   struct pvops_reason *reason);

/* Let a callback fill in a copy of the table, and commit it after success. */
static int pvops_fill_and_commit_table(struct pvops_socket *socket,
				       const struct pvops_facts *facts,
				       const struct pvops_backend *backend,
				       pvops_fill_table_fn fill_in,
				       struct pvops_reason *reason)
{
	const char *hole;
	int err;

	pvops_set_reason(reason, "no reason given");
	*socket->staging = *socket->table;
	err = fill_in(backend, facts, socket->staging, reason);
	if (err)
		return err;

	hole = pvops_slot_hole(socket->staging, socket->table);
	if (hole) {
		pvops_set_reason(reason, "left %s empty", hole);
		return -EINVAL;
	}

	pvops_commit_table(socket->table, socket->staging);
	return 0;
}

static bool pvops_try_backend(struct pvops_socket *socket,
			      const struct pvops_facts *facts,
			      const struct pvops_backend *backend)
{
	struct pvops_reason reason;
	int err;

	if (!backend->setup)
		return true;

	err = pvops_fill_and_commit_table(socket, facts, backend, backend->setup,
					  &reason);
	if (!err)
		return true;

	pvops_record_rejection(socket, backend, err, reason.text);
	pvops_log_decision(socket, true,
			   "backend %s failed in setup (%d: %s); trying the next",
			   backend->name, err, reason.text);
	return false;
}

/* Search from *index on at *level of confidence, then all at lower levels. */
static const struct pvops_backend *
pvops_find_next_candidate(struct pvops_socket *socket,
			  const struct pvops_facts *facts,
			  enum pvops_confidence *level, size_t *index,
			  struct pvops_reason *reason)
{
	while (*level > PVOPS_ABSENT) {
		for (; *index < socket->nr_backends; (*index)++) {
			const struct pvops_backend *b = socket->backends[*index];

			if (b->probe(b, facts, reason) == *level) {
				(*index)++;
				return b;
			}
		}
		(*level)--;
		*index = 0;
	}
	return NULL;
}

/**
 * pvops_choose() - choose a backend and commit its ops
 * @socket: (in/out) the candidates and the table; gets the choice
 * @facts: the facts about the machine
 * @request: the value of pv_backend=, or NULL
 *
 * A backend that is requested by name is tried first. The others follow by
 * confidence. A failure leaves the table unchanged and logs one line with the
 * reason.
 *
 * Context: boot CPU, interrupts off; see struct pvops_backend.
 * Return: 0, or -ENODEV if no candidate could be set up. The table is unchanged
 * then.
 */
int pvops_choose(struct pvops_socket *socket, const struct pvops_facts *facts,
		 const char *request)
{
	enum pvops_confidence level = PVOPS_OFFERED;
	const struct pvops_backend *wanted, *backend;
	struct pvops_reason reason = {};
	size_t index = 0;

	socket->chosen = NULL;
	socket->requested = NULL;
	socket->rejected[0] = '\0';

	wanted = pvops_find_requested_backend(socket, facts, request, &reason);
	if (wanted && pvops_try_backend(socket, facts, wanted)) {
		socket->chosen = wanted;
		pvops_set_reason(&socket->reason, "asked for by pv_backend=%s; %s",
				 wanted->name, reason.text);
		goto chosen;
	}

	while ((backend = pvops_find_next_candidate(socket, facts, &level,
						    &index, &reason))) {
		if (backend == wanted || !pvops_try_backend(socket, facts, backend))
			continue;
		socket->chosen = backend;
		socket->reason = reason;
		goto chosen;
	}

	pvops_log_decision(socket, true,
			   "no backend could be set up; the ops stay as they are");
	return -ENODEV;

chosen:
	pvops_log_decision(socket, false, "backend %s: %s",
			   socket->chosen->name, socket->reason.text);
	return 0;
}

/*
 * Find the in-tree backend of the same type. If @backend cannot complete its
 * ops, the table keeps those of that in-tree guest.
 */
static const struct pvops_backend *
pvops_find_intree_backend(const struct pvops_socket *socket,
			  const struct pvops_backend *backend)
{
	size_t i;

	for (i = 0; i < socket->nr_backends; i++) {
		const struct pvops_backend *b = socket->backends[i];

		if (b->type == backend->type && !b->complete)
			return b;
	}
	return NULL;
}

/**
 * pvops_complete() - let the chosen backend put its last ops into the table
 * @socket: (in/out) as pvops_choose() left it, with @staging; the choice may
 *	change
 * @facts: the facts about the machine, without @facts->hyper
 *
 * If the backend fails, the table keeps the ops of the platform code that the
 * backend builds on.
 *
 * Context: boot CPU, from alternative_instructions(): interrupts on, NMIs stopped,
 * no other CPU up. May allocate.
 */
void pvops_complete(struct pvops_socket *socket,
		    const struct pvops_facts *facts)
{
	const struct pvops_backend *backend = socket->chosen;
	const struct pvops_backend *next;
	struct pvops_reason reason;
	int err;

	if (!backend || !backend->complete)
		return;

	err = pvops_fill_and_commit_table(socket, facts, backend,
					  backend->complete, &reason);
	if (!err)
		return;

	next = pvops_find_intree_backend(socket, backend);
	pvops_record_rejection(socket, backend, err, reason.text);
	pvops_log_decision(socket, true,
			   "backend %s could not be completed (%d: %s); going on with %s",
			   backend->name, err, reason.text,
			   next ? next->name : "the ops as they are");
	socket->chosen = next;
	pvops_set_reason(&socket->reason, "%s could not be completed", backend->name);
}
