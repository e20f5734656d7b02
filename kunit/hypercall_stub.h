/* SPDX-License-Identifier: GPL-2.0 */
/* The stub of Xen, and what else the cases of pvops_hypercall share. */
#ifndef PVOPS_KUNIT_HYPERCALL_STUB_H
#define PVOPS_KUNIT_HYPERCALL_STUB_H

#include <kunit/test.h>
#include <linux/types.h>

#include <asm/pgtable_types.h>

#define HC_STUB_CALLS	300
#define HC_FLAGS	(_PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_NX)

struct hc_stub_record {
	unsigned long op;
	unsigned long nr;
	unsigned long first;	/* ptr of an update, cmd of an operation, address */
	unsigned long flush;	/* what an update by address flushes */
};

/* What the stub shall do, and what it has seen. One case runs at a time. */
struct hc_stub {
	unsigned long flags;
	u8 masked;
	u64 sets;		/* bits that another CPU sets before an update */
	u64 refuse;		/* ptr or cmd that is always refused */
	unsigned int busy;	/* number of updates that are refused next */
	u64 refuse_once;	/* ptr whose first present value is refused */
	unsigned int nr_hypercalls;
	unsigned int nr_calls;
	unsigned int longest;	/* most calls in one multicall */
	unsigned int nr_flushes;
	unsigned int nr_lines;
	unsigned int nr_fatal;	/* refusals that would stop the kernel */
	unsigned int tries;	/* refusals of updates that were tried again */
	unsigned int tries_in_transit;
	char line[160];		/* the last line that was reported */
	struct hc_stub_record calls[HC_STUB_CALLS];
	u64 *table;
	u64 *twins[2];		/* other tables that the stub updates */
	u64 *leads_to;		/* the entry to which addresses of programs lead */
	bool refuse_address;	/* refuse updates by such an address */
	u64 *in_stock;
	unsigned int nr_put;	/* number of tables put back into stock */
	unsigned int nr_charged;	/* twins charged, but for those from stock */
	unsigned int nr_uncharged;	/* the same, but for those put back */
};

extern struct hc_stub hc_stub;

/* A table of level 3, a table of level 2, and the pages of their twins. */
enum { UPPER, UPPER_TWIN, LOWER, LOWER_TWIN, NR_TABLES };

int hc_test_init(struct kunit *test);
void hc_test_exit(struct kunit *test);
void hc_test_begin(void);
void hc_test_end(void);
u64 *hc_test_page(struct kunit *test);
u64 hc_test_machine(unsigned int index);
void hc_test_free(u64 **pages, unsigned int nr);
u64 hc_test_entry(const void *table);
void hc_test_make_tables(struct kunit *test, u64 **t);
void hc_test_give_twin(u64 *table, u64 *twin);

#endif /* PVOPS_KUNIT_HYPERCALL_STUB_H */
