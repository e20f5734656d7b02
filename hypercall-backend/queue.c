// SPDX-License-Identifier: GPL-2.0
/*
 * The queue of requests to Xen.
 *
 * Most requests are page-table updates. All updates go into one array, and one
 * call covers as many as follow each other: 512 updates cost one hypercall. If
 * the queue holds a single call, the call is made directly, since a multicall
 * adds a loop of its own in Xen.
 */
#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include <trace/events/xen.h>

#include "call.h"
#include "detach.h"
#include "queue.h"
#include "refused.h"

DEFINE_PER_CPU(struct hc_queue, hc_queue);

/* The page table that Xen has loaded on this CPU, as Linux's own L4. */
DEFINE_PER_CPU(unsigned long, hc_current_cr3);

/*
 * Make what Xen refused again, as far as possible, and report the rest. The
 * calls behind the refused one have been carried out already. A TLB flush among
 * them came too early for a request that is made again. So all TLBs are
 * flushed.
 */
static noinline void hc_handle_refusal(struct hc_queue *q, unsigned int index,
				       long err)
{
	struct multicall_entry *call = &q->calls[index];
	unsigned int first = q->slice[index].first;
	unsigned int nr = q->slice[index].nr;

	switch (call->op) {
	case __HYPERVISOR_mmu_update:
		hc_reissue_updates(&q->updates[first + q->done[index]],
				   nr - q->done[index]);
		break;
	case __HYPERVISOR_mmuext_op:
		hc_reissue_mmuexts(&q->exts[first], nr, q->done[index]);
		break;
	default:
		hc_report_refused_call(call, err);
		break;
	}
	hc_flush_all_tlbs();
}

static noinline void hc_handle_refusals(struct hc_queue *q, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if ((long)q->calls[i].result < 0)
			hc_handle_refusal(q, i, q->calls[i].result);
}

static void hc_issue_updates(struct mmu_update *updates, unsigned int nr)
{
	int done = 0;

	if (unlikely(nr && hc_issue_array(__HYPERVISOR_mmu_update, updates, nr,
					  &done) < 0)) {
		hc_reissue_updates(updates + done, nr - done);
		hc_flush_all_tlbs();
	}
}

/* The number of updates at the beginning of the array that are of one table. */
static unsigned int hc_count_same_table(const struct mmu_update *updates,
					unsigned int nr)
{
	unsigned int i;

	for (i = 1; i < nr; i++)
		if ((updates[i].ptr ^ updates->ptr) & PAGE_MASK)
			break;
	return i;
}

/* Many updates and nothing else: some tables may be worth detaching. */
static noinline void hc_issue_many_updates(struct hc_queue *q)
{
	unsigned int first = 0, i = 0, run, nr = q->nr_updates;
	struct mmu_update *updates = q->updates;

	for (; i < nr; i += run) {
		run = q->nr_tables == 1 ?
		      nr : hc_count_same_table(updates + i, nr - i);
		if (run < HC_DETACH_MIN)
			continue;
		/*
		 * Updates stay in order, though they are of different tables.
		 */
		hc_issue_updates(updates + first, i - first);
		first = i;
		if (hc_write_detached(updates + i, run))
			first += run;
	}
	hc_issue_updates(updates + first, nr - first);
}

/*
 * The number of updates of a call is known when another request follows them.
 */
static void __kprobes hc_close_update_call(struct hc_queue *q)
{
	unsigned int index, nr;

	if (!q->run)
		return;
	index = q->run - q->calls;
	nr = q->nr_updates - q->slice[index].first;
	q->run->args[1] = nr;
	/* Xen can stop on the way only if there is more than one update. */
	if (nr > 1)
		q->run->args[2] = (unsigned long)&q->done[index];
	q->slice[index].nr = nr;
	q->run = NULL;
	q->table = 0;
}

/* The removals have been issued: collect the pages whose entries are Dirty. */
static noinline void hc_collect_dirty(struct hc_queue *q)
{
	unsigned int i, nr = q->nr_removals;

	q->nr_removals = 0;
	for (i = 0; i < nr; i++)
		if (READ_ONCE(*q->removals[i].entry) & _PAGE_DIRTY)
			q->dirty[q->nr_dirty++] = q->removals[i].pfn;
}

/**
 * hc_mark_pages_dirty() - mark pages that were written before their removal
 *
 * Marking a page may take locks, with events on. So hc_flush_queue() only
 * collects the pages, and the task that owns the lazy section marks them.
 *
 * The page may have no reverse mapping any more, as after any write through a
 * stale TLB entry. File systems can stand that: if a file system wants to know
 * of writes to a page, a writable entry for the page has Dirty from the
 * beginning. What remains is anonymous and shared memory, which is not written
 * back during the lazy section.
 *
 * Context: the page-table lock is held; not after hc_begin().
 */
void __no_kprobe hc_mark_pages_dirty(void)
{
	struct hc_queue *q = this_cpu_ptr(&hc_queue);
	unsigned long pfn;
	u8 masked;

	while (q->nr_dirty) {
		/* An interrupt may issue the queue, and append to @dirty. */
		masked = hc_begin();
		pfn = q->dirty[--q->nr_dirty];
		hc_release(masked);
		folio_mark_dirty(page_folio(pfn_to_page(pfn)));
	}
}

/**
 * hc_is_queued() - is an update of an entry queued?
 * @entry: the entry
 *
 * Context: any. The whole queue is searched.
 * Return: true if so. Memory then does not hold the value that Linux has
 * written.
 */
bool hc_is_queued(const void *entry)
{
	const struct hc_queue *q = raw_cpu_ptr(&hc_queue);
	unsigned int i;
	u64 ma;

	if (!q->nr_updates || !hc_lazy(XEN_LAZY_MMU))
		return false;
	ma = virt_to_machine(entry).maddr;
	for (i = 0; i < q->nr_updates; i++)
		if ((q->updates[i].ptr & ~3ULL) == ma)
			return true;
	return false;
}

#ifdef CONFIG_PVOPS_CHECK_READS
/**
 * pvops_check_read() - warn if an entry is read whose update is still queued
 * @ptep: the entry
 *
 * Context: any.
 */
void pvops_check_read(const pte_t *ptep)
{
	WARN_ONCE(hc_is_queued(ptep),
		  "pvops: hypercall: a page-table entry is read that is still to be written\n");
}
EXPORT_SYMBOL(pvops_check_read);	/* headers call it, for every module */
#endif

/*
 * Tracepoints fire after the queue has been issued. During a task switch the
 * queue holds the page tables of the next task. A tracer may read user memory,
 * and would read it through the page tables of the wrong task before.
 */
static noinline __cold __kprobes void hc_trace_flush(struct hc_queue *q,
						     unsigned int nr)
{
	unsigned int i, bytes = 0;

	/*
	 * The page tables of the next task are loaded before current changes.
	 */
	if (this_cpu_read(xen_lazy_mode) == XEN_LAZY_CPU)
		return;
	for (i = 0; i < nr; i++) {
		struct multicall_entry *call = &q->calls[i];

		switch (call->op) {
		case __HYPERVISOR_mmu_update:
			bytes += q->slice[i].nr * sizeof(*q->updates);
			trace_xen_mc_entry(call, 4);
			break;
		case __HYPERVISOR_mmuext_op:
			bytes += q->slice[i].nr * sizeof(*q->exts);
			trace_xen_mc_entry(call, 4);
			break;
		case __HYPERVISOR_update_va_mapping:
			trace_xen_mc_entry(call, 3);
			break;
		default:
			trace_xen_mc_entry(call, 2);
			break;
		}
	}
	trace_xen_mc_flush(nr, bytes, 0);
}

/**
 * hc_flush_queue() - issue everything that this CPU has queued
 *
 * Each request that Xen refuses is reported in a line of its own. The requests
 * behind a refused one are carried out.
 *
 * Context: after hc_begin(), or with events off for another reason.
 */
void __kprobes hc_flush_queue(void)
{
	struct hc_queue *q = this_cpu_ptr(&hc_queue);
	unsigned int i, nr = q->nr_calls;
	long all = 0;

	hc_close_update_call(q);
	if (nr == 1 && q->nr_updates >= HC_DETACH_MIN) {
		hc_issue_many_updates(q);
	} else if (nr == 1) {
		long err = hc_issue(&q->calls[0]);

		if (unlikely(err < 0))
			hc_handle_refusal(q, 0, err);
	} else if (nr) {
		if (unlikely(hc_issue_multi(q->calls, nr)))
			panic("Xen does not know multicalls");
		/* Errors are negative: one of them makes the OR negative. */
		for (i = 0; i < nr; i++)
			all |= q->calls[i].result;
		if (unlikely(all < 0))
			hc_handle_refusals(q, nr);
	}

	q->nr_calls = 0;
	q->nr_updates = 0;
	q->nr_exts = 0;
	q->nr_tables = 0;
	if (q->nr_removals)
		hc_collect_dirty(q);
	if (trace_xen_mc_flush_enabled() || trace_xen_mc_entry_enabled())
		hc_trace_flush(q, nr);
	if (q->cr3) {
		this_cpu_write(hc_current_cr3, q->cr3);
		q->cr3 = 0;
	}
}

static noinline __cold __kprobes void
hc_flush_full_queue(enum xen_mc_flush_reason reason)
{
	hc_flush_queue();
	if (this_cpu_read(xen_lazy_mode) != XEN_LAZY_CPU)
		trace_xen_mc_flush_reason(reason);
}

/**
 * hc_make_room_for_call() - let the next request be a hypercall of its own
 *
 * Context: after hc_begin(), or with interrupts off for another reason.
 * Return: the queue. So the caller need not keep it over this call.
 */
struct hc_queue __kprobes *hc_make_room_for_call(void)
{
	struct hc_queue *q = this_cpu_ptr(&hc_queue);

	if (q->nr_calls == HC_CALLS)
		hc_flush_full_queue(XEN_MC_FL_BATCH);
	hc_close_update_call(q);
	return q;
}

/*
 * Open a call for the updates or operations from @first on. This is not
 * hc_queue_call(), since flushing the queue would lose what the caller has put
 * into the array. The caller has checked that there is room for a call.
 */
static struct multicall_entry *hc_open_array_call(struct hc_queue *q,
						  unsigned long op, void *args,
						  unsigned int first,
						  unsigned int nr)
{
	unsigned int index = q->nr_calls++;
	struct multicall_entry *call = &q->calls[index];

	call->op = op;
	call->args[0] = (unsigned long)args;
	call->args[1] = nr;
	call->args[2] = op == __HYPERVISOR_mmuext_op ?
			(unsigned long)&q->done[index] : 0;
	call->args[3] = DOMID_SELF;
	q->done[index] = 0;
	q->slice[index].first = first;
	q->slice[index].nr = nr;
	return call;
}

/* Let the next updates be of another table, and make room for one at least. */
static void hc_queue_update_table(struct hc_queue *q, unsigned long table)
{
	if (unlikely(q->nr_updates == HC_UPDATES ||
		     (!q->run && q->nr_calls == HC_CALLS)))
		hc_flush_full_queue(q->nr_updates == HC_UPDATES ?
				    XEN_MC_FL_ARGS : XEN_MC_FL_BATCH);
	if (!q->run)
		q->run = hc_open_array_call(q, __HYPERVISOR_mmu_update,
					    &q->updates[q->nr_updates],
					    q->nr_updates, 0);
	q->table = table;
	q->table_ma = virt_to_machine(table).maddr;
	q->nr_tables++;
}

/**
 * hc_queue_update_elsewhere() - queue an update that hc_append_update() cannot
 * @entry: as for hc_queue_update()
 * @val: the same
 * @how: the same
 *
 * Context: after hc_begin().
 */
void hc_queue_update_elsewhere(void *entry, u64 val, unsigned int how)
{
	hc_queue_update_table(this_cpu_ptr(&hc_queue),
			      (unsigned long)entry & PAGE_MASK);
	hc_append_update(entry, val, how);
}

/**
 * hc_queue_mmuexts() - queue extended MMU operations that follow each other
 * @nr: their number, a few
 *
 * Context: after hc_begin().
 * Return: the first operation. The caller fills in all of them.
 */
struct mmuext_op *hc_queue_mmuexts(unsigned int nr)
{
	struct hc_queue *q = this_cpu_ptr(&hc_queue);
	unsigned int first, last;

	if (unlikely(q->nr_exts + nr > HC_EXTS || q->nr_calls == HC_CALLS))
		hc_flush_full_queue(q->nr_exts + nr > HC_EXTS ? XEN_MC_FL_ARGS :
								XEN_MC_FL_BATCH);
	hc_close_update_call(q);

	first = q->nr_exts;
	last = q->nr_calls - 1;
	q->nr_exts = first + nr;
	if (q->nr_calls && q->calls[last].op == __HYPERVISOR_mmuext_op) {
		q->calls[last].args[1] += nr;
		q->slice[last].nr += nr;
	} else {
		hc_open_array_call(q, __HYPERVISOR_mmuext_op, &q->exts[first],
				   first, nr);
	}
	return &q->exts[first];
}
