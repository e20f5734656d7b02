/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inside the socket: facts, registry, choice. Backends need none of this; the
 * parts of the socket and their KUnit suites do.
 */
#ifndef _PVOPS_SOCKET_H
#define _PVOPS_SOCKET_H

#include <linux/types.h>

#include <pvops/backend.h>
#include <pvops/ops.h>

#define PVOPS_REJECTED_LEN	512

/* How a request for a backend is spelled that leaves the choice to the socket. */
#define PVOPS_AUTO		"auto"

/**
 * struct pvops_socket - one choice among backends
 * @backends: the candidates; among equally confident ones the first wins
 * @nr_backends: how many
 * @table: the table to commit into
 * @staging: room for the copy of @table that a backend fills in
 * @log_decision: called once for every decision, with "warn" for what the user
 *	should know was not done as asked
 * @chosen: (out) the backend in use, never NULL after a successful choice
 * @reason: (out) why it was chosen
 * @requested: (out) what the user asked for by name, or NULL
 * @rejected: (out) who failed in setup and why, NUL-terminated
 */
struct pvops_socket {
	const struct pvops_backend * const *backends;
	size_t nr_backends;
	struct paravirt_patch_template *table;
	struct paravirt_patch_template *staging;
	void (*log_decision)(struct pvops_socket *socket, bool warn,
			     const char *line);

	const struct pvops_backend *chosen;
	struct pvops_reason reason;
	const char *requested;
	char rejected[PVOPS_REJECTED_LEN];
};

/**
 * struct pvops_request - what the command line asks for
 * @name: the last pv_backend= given, or an empty string
 * @overridden: the one given before it, where the two differ, or an empty string
 */
struct pvops_request {
	char name[24];
	char overridden[24];
};

/* facts.c */
void pvops_gather_facts(struct pvops_facts *facts,
			const struct pvops_backend * const *backends,
			size_t nr);
unsigned int pvops_scan_signatures(struct pvops_signature *found,
				   unsigned int max,
				   void (*cpuid)(u32 leaf, u32 regs[4]));

/* registry.c */
extern const struct pvops_backend * const pvops_registry[];
extern const size_t pvops_registry_size;

/* choose.c */
const struct pvops_backend *
pvops_find_backend(const struct pvops_backend * const *backends, size_t nr,
		   const char *name);
int pvops_choose(struct pvops_socket *socket, const struct pvops_facts *facts,
		 const char *request);
void pvops_complete(struct pvops_socket *socket,
		    const struct pvops_facts *facts);
void pvops_note_request(struct pvops_request *request, const char *arg);

/* platform.c */
void pvops_complete_platform(void);
extern struct pvops_socket pvops_socket;
extern struct pvops_facts pvops_facts;

#endif /* _PVOPS_SOCKET_H */
