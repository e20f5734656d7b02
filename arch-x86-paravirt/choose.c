// SPDX-License-Identifier: GPL-2.0
/*
 * Choosing a backend: probe all, try the most confident first, commit once.
 *
 * Works on a struct pvops_socket and knows neither the command line nor the
 * kernel's own pv_ops, so that all of it can be tested with made-up backends.
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
	/* One at a time: the boot CPU, or a KUnit case with its own socket. */
	char line[PVOPS_REASON_LEN + 96];
	va_list args;

	va_start(args, fmt);
	vscnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	socket->log_decision(socket, warn, line);
}

/**
 * pvops_note_request() - take in one pv_backend= of the command line
 * @request: what was asked for so far
 * @arg: the new value; NULL is an empty one
 *
 * The last one counts, as for other parameters. That there were two different
 * ones is remembered, since the user may have edited the wrong one.
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
 * pvops_find_backend() - look a backend up by name
 * @backends: the candidates
 * @nr: how many
 * @name: as given to pv_backend=
 *
 * Context: any.
 * Return: the backend, or NULL if none is called that.
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
 * The backend asked for by name, if it can run here at all. The user who asks
 * for one that cannot still gets a kernel that boots.
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
 * Word by word, since the table is in use: an NMI between two words finds the
 * old op or the new one, never half a pointer.
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

/* Both phases for one callback; the table changes only if all of it is well. */
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

/* Who is next: at this level of confidence from this index on, then below. */
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
 * @socket: the candidates and the table; gets the choice
 * @facts: what is known about the machine
 * @request: what pv_backend= says, or NULL
 *
 * A backend asked for by name is tried first, then the others by confidence.
 * Each failure is one line that says why; the table is then as it was.
 *
 * Context: boot CPU, interrupts off; see struct pvops_backend.
 * Return: 0, or -ENODEV if no candidate could be set up, with the table as it
 * was.
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

/* Whose ops stand in the table when the one on top of them gave up. */
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
 * @socket: as pvops_choose() left it, with @staging; the choice may change
 * @facts: what is known about the machine, without @facts->hyper
 *
 * If it cannot, the ops stay those of the platform code that it stands on.
 *
 * Context: boot CPU, interrupts off, before call sites are patched.
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
