/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The inside of the socket: facts, choice, registry. Only the files of the
 * socket and their KUnit suites need this header. Backends do not.
 */
#ifndef _PVOPS_SOCKET_H
#define _PVOPS_SOCKET_H

#include <linux/types.h>

#include <pvops/backend.h>
#include <pvops/ops.h>

#define PVOPS_REJECTED_LEN	512

/* The value of pv_backend= that leaves the choice to the socket. */
#define PVOPS_AUTO		"auto"

/**
 * struct pvops_socket - one choice among backends
 * @backends: the candidates; among equally confident ones the first wins
 * @nr_backends: number of candidates
 * @table: the table to commit into
 * @staging: room for the copy of @table that a backend fills in
 * @log_decision: called once for every decision; "warn" is true if something
 *	was not done as asked, and the user should know
 * @chosen: (out) the backend in use, never NULL after a successful choice
 * @reason: (out) the reason for the choice
 * @requested: (out) the backend that the user requested by name, or NULL
 * @rejected: (out) the backends that failed and their reasons, NUL-terminated
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
 * struct pvops_request - the request for a backend on the command line
 * @name: the value of the last pv_backend=, or an empty string
 * @overridden: the value before @name if the two differ, or an empty string
 */
struct pvops_request {
	char name[24];
	char overridden[24];
};

/* platform.c; patch 0029 declares it for asm/kvm_para.h as well */
bool pvops_was_stopped(void);

/* facts.c */
void pvops_gather_facts(struct pvops_facts *facts,
			const struct pvops_backend * const *backends,
			size_t nr, const struct pvops_backend *requested);
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
