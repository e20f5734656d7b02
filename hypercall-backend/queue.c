// SPDX-License-Identifier: GPL-2.0
/*
 * The queue of hypercalls, and what happens if Xen refuses one.
 *
 * Page-table updates are the mass of what is queued. They go into one array,
 * and one call covers as many as follow each other: 512 of them cost one
 * hypercall. A call that is alone in the queue is made directly, since Xen's
 * multicall adds its own loop around it.
 */
#define pr_fmt(fmt) "pvops: hypercall: " fmt

#include <kunit/static_stub.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/stdarg.h>

#include <asm/xen/hypercall.h>

#include <xen/interface/sched.h>

#include "queue.h"
#include "tables.h"

DEFINE_PER_CPU(struct hc_queue, hc_queue);

#ifdef CONFIG_PVOPS_KUNIT_TEST
DEFINE_PER_CPU(bool, hc_stubbed);
#endif

/**
 * hc_issue() - make one hypercall; the place where this backend enters Xen
 * @call: the hypercall
 *
 * Context: any.
 * Return: what Xen returns.
 */
long __kprobes hc_issue(struct multicall_entry *call)
{
	if (hc_is_stubbed())
		KUNIT_STATIC_STUB_REDIRECT(hc_issue, call);
	return xen_single_call(call->op, call->args[0], call->args[1],
			       call->args[2], call->args[3], call->args[4]);
}

/**
 * hc_issue_multi() - make several hypercalls; the other place
 * @calls: the hypercalls; their results are set
 * @nr: how many
 *
 * Context: any.
 * Return: 0, or a negative errno if Xen did not look at them.
 */
int __kprobes hc_issue_multi(struct multicall_entry *calls, unsigned int nr)
{
	if (hc_is_stubbed())
		KUNIT_STATIC_STUB_REDIRECT(hc_issue_multi, calls, nr);
	return HYPERVISOR_multicall(calls, nr);
}

/**
 * hc_report_refusal() - say that Xen refused something
 * @line: what, and why as far as Xen tells
 *
 * Context: any.
 */
void hc_report_refusal(const char *line)
{
	if (hc_is_stubbed())
		KUNIT_STATIC_STUB_REDIRECT(hc_report_refusal, line);
	pr_err_ratelimited("%s, in %s[%d]\n", line, current->comm,
			   current->pid);
}

/**
 * hc_panic() - stop, because a page table is not what Linux takes it for
 * @line: what Xen refused, and why as far as Xen tells
 *
 * Linux goes on to free what it has unmapped. A program that still reaches it
 * could read and write what belongs to others by then.
 *
 * Context: any.
 */
void hc_panic(const char *line)
{
	if (hc_is_stubbed())
		KUNIT_STATIC_STUB_REDIRECT(hc_panic, line);
	panic("pvops: hypercall: %s, in %s[%d]: memory is not safe any more",
	      line, current->comm, current->pid);
}

static __printf(2, 3) void hc_report_or_panic(bool fatal, const char *fmt, ...)
{
	char line[160];
	va_list args;

	va_start(args, fmt);
	vscnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (fatal)
		hc_panic(line);
	else
		hc_report_refusal(line);
}

static const char *hc_call_name(unsigned long op)
{
	switch (op) {
	case __HYPERVISOR_mmu_update:		return "mmu_update";
	case __HYPERVISOR_mmuext_op:		return "mmuext_op";
	case __HYPERVISOR_update_va_mapping:	return "update_va_mapping";
	case __HYPERVISOR_update_descriptor:	return "update_descriptor";
	case __HYPERVISOR_stack_switch:		return "stack_switch";
	case __HYPERVISOR_set_segment_base:	return "set_segment_base";
	case __HYPERVISOR_fpu_taskswitch:	return "fpu_taskswitch";
	default:				return "another call";
	}
}

static const char *hc_mmuext_name(unsigned int cmd)
{
	static const char * const names[] = {
		[MMUEXT_PIN_L1_TABLE]		= "pin an L1 table",
		[MMUEXT_PIN_L2_TABLE]		= "pin an L2 table",
		[MMUEXT_PIN_L3_TABLE]		= "pin an L3 table",
		[MMUEXT_PIN_L4_TABLE]		= "pin an L4 table",
		[MMUEXT_UNPIN_TABLE]		= "unpin a table",
		[MMUEXT_NEW_BASEPTR]		= "load the kernel's page table",
		[MMUEXT_TLB_FLUSH_LOCAL]	= "flush this CPU's TLB",
		[MMUEXT_INVLPG_LOCAL]		= "invalidate a page here",
		[MMUEXT_TLB_FLUSH_MULTI]	= "flush some CPUs' TLBs",
		[MMUEXT_INVLPG_MULTI]		= "invalidate a page on some CPUs",
		[MMUEXT_TLB_FLUSH_ALL]		= "flush all TLBs",
		[MMUEXT_INVLPG_ALL]		= "invalidate a page everywhere",
		[MMUEXT_SET_LDT]		= "load an LDT",
		[MMUEXT_NEW_USER_BASEPTR]	= "load a user page table",
	};

	return cmd < ARRAY_SIZE(names) && names[cmd] ? names[cmd] : "another operation";
}

static long hc_issue_array(unsigned long op, void *array, unsigned int nr,
			   int *done)
{
	struct multicall_entry call = {
		.op = op,
		.args = { (unsigned long)array, nr, (unsigned long)done, DOMID_SELF },
	};

	return hc_issue(&call);
}

/*
 * So often an update is tried that Xen refuses: if it need not be busy with the
 * table, and if it may be. The latter is some seconds of this CPU's own.
 */
#define HC_TRIES		100
#define HC_TRIES_IN_TRANSIT	1000000

static bool hc_update_in_transit(const struct mmu_update *update)
{
	unsigned long pfn = mfn_to_pfn(PFN_DOWN(update->ptr));

	return pfn_valid(pfn) && hc_in_transit(pfn_to_page(pfn));
}

/*
 * Xen does not change a table that it is just accepting or giving up for another
 * CPU, and says no more than that it will not. Reverse mapping may come by just
 * then: it finds tables of an address space that comes or goes. So try until that
 * is over, and let the other CPU run, which may have been taken away meanwhile if
 * Xen itself is some hypervisor's guest. Not without end: it may be waiting for a
 * lock that our caller holds.
 */
static long hc_retry_update(struct mmu_update *update)
{
	struct multicall_entry yield = {
		.op = __HYPERVISOR_sched_op,
		.args = { SCHEDOP_yield },
	};
	unsigned int tries = 0, busy = 0;
	long err;

	for (;;) {
		err = hc_issue_array(__HYPERVISOR_mmu_update, update, 1, NULL);
		if (err != -EINVAL)
			return err;
		if (hc_update_in_transit(update) ?
		    ++busy == HC_TRIES_IN_TRANSIT : ++tries == HC_TRIES)
			return err;
		hc_issue(&yield);
	}
}

static void hc_flush_all_tlbs(void)
{
	struct mmuext_op op = { .cmd = MMUEXT_TLB_FLUSH_ALL };

	hc_issue_array(__HYPERVISOR_mmuext_op, &op, 1, NULL);
}

static const char *hc_update_name(u64 ptr)
{
	switch (ptr & 3) {
	case MMU_NORMAL_PT_UPDATE:		return "set";
	case MMU_PT_UPDATE_PRESERVE_AD:		return "set, keeping A and D";
	default:				return "another update";
	}
}

/*
 * Does an update take memory away from those who use the table? If it is not
 * carried out, they keep what Linux is about to give to others. What is not this
 * domain's own memory Linux gives to nobody. Xen refuses some changes of such
 * entries, which a program that has mapped a grant may ask for by mprotect().
 */
static bool hc_update_revokes(const struct mmu_update *update)
{
	unsigned long pfn = mfn_to_pfn(PFN_DOWN(update->ptr));
	u64 old, new = update->val;

	if (!pfn_valid(pfn))
		return false;
	old = *(u64 *)(page_address(pfn_to_page(pfn)) +
		       offset_in_page(update->ptr & ~3ULL));
	if (!(old & _PAGE_PRESENT) || !hc_maps_own_page(old))
		return false;
	return !(new & _PAGE_PRESENT) || ((old ^ new) & PTE_PFN_MASK) ||
	       (old & ~new & (_PAGE_RW | _PAGE_USER)) || (new & ~old & _PAGE_NX);
}

/*
 * Xen stops at the first update that it refuses. That one and those behind it
 * are made one at a time. The ones before it are not made again: a CPU may have
 * set Accessed or Dirty since.
 */
static void hc_reissue_updates(struct mmu_update *updates, unsigned int nr)
{
	unsigned int i;
	long err;

	for (i = 0; i < nr; i++) {
		err = hc_retry_update(&updates[i]);
		if (err)
			hc_report_or_panic(hc_update_revokes(&updates[i]),
					   "Xen refused to write page-table entry %#llx (%s %#llx): error %ld",
					   updates[i].ptr & ~3ULL,
					   hc_update_name(updates[i].ptr),
					   updates[i].val, err);
	}
}

/* Without these a CPU goes on to use what Linux has taken from it. */
static bool hc_mmuext_must_succeed(unsigned int cmd)
{
	switch (cmd) {
	case MMUEXT_NEW_BASEPTR:
	case MMUEXT_NEW_USER_BASEPTR:
	case MMUEXT_TLB_FLUSH_LOCAL:
	case MMUEXT_INVLPG_LOCAL:
	case MMUEXT_TLB_FLUSH_MULTI:
	case MMUEXT_INVLPG_MULTI:
	case MMUEXT_TLB_FLUSH_ALL:
	case MMUEXT_INVLPG_ALL:
		return true;
	default:
		return false;
	}
}

/* A pin made twice is an error, so it goes on where Xen stopped. */
static void hc_reissue_mmuexts(struct mmuext_op *exts, unsigned int nr,
			       int done)
{
	while (done < nr) {
		struct mmuext_op *op = &exts[done];
		long err = hc_issue_array(__HYPERVISOR_mmuext_op, op, 1, NULL);

		if (err)
			hc_report_or_panic(hc_mmuext_must_succeed(op->cmd),
					   "Xen refused to %s (%#lx): error %ld",
					   hc_mmuext_name(op->cmd),
					   (unsigned long)op->arg1.mfn, err);
		done++;
	}
}

/*
 * What was asked for and not done is said and, as far as it goes, made up for.
 * The calls behind it were made already, a flush perhaps, that now comes too
 * early: flush all there is.
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
		/* Without its stack a task would enter on another one's. */
		hc_report_or_panic(call->op == __HYPERVISOR_stack_switch,
				   "Xen refused %s(%#lx, %#lx, %#lx): error %ld",
				   hc_call_name(call->op), call->args[0],
				   call->args[1], call->args[2], err);
		break;
	}
	hc_flush_all_tlbs();
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

/* How many updates from here on are of the same table. */
static unsigned int hc_count_same_table(const struct mmu_update *updates,
					unsigned int nr)
{
	unsigned int i;

	for (i = 1; i < nr; i++)
		if ((updates[i].ptr ^ updates->ptr) & PAGE_MASK)
			break;
	return i;
}

/* Many updates and nothing else: perhaps there is a better way for some. */
static noinline void hc_issue_many_updates(struct hc_queue *q)
{
	unsigned int first = 0, i = 0, run, nr = q->nr_updates;
	struct mmu_update *updates = q->updates;

	for (; i < nr; i += run) {
		run = q->nr_tables == 1 ?
		      nr : hc_count_same_table(updates + i, nr - i);
		if (run < HC_DETACH_MIN)
			continue;
		/* In order, though they are of different tables. */
		hc_issue_updates(updates + first, i - first);
		first = i;
		if (hc_write_detached(updates + i, run))
			first += run;
	}
	hc_issue_updates(updates + first, nr - first);
}

/* How many updates the last call covers is known when something else follows it. */
static void __kprobes hc_close_update_call(struct hc_queue *q)
{
	unsigned int index, nr;

	if (!q->run)
		return;
	index = q->run - q->calls;
	nr = q->nr_updates - q->slice[index].first;
	q->run->args[1] = nr;
	/* How far Xen came is needed only if it may stop on the way. */
	if (nr > 1)
		q->run->args[2] = (unsigned long)&q->done[index];
	q->slice[index].nr = nr;
	q->run = NULL;
	q->table = 0;
}

/* The removals have been carried out: which entries have got Dirty before? */
static noinline void hc_collect_dirty(struct hc_queue *q)
{
	unsigned int i, nr = q->nr_removals;

	q->nr_removals = 0;
	for (i = 0; i < nr; i++)
		if (READ_ONCE(*q->removals[i].entry) & _PAGE_DIRTY)
			q->dirty[q->nr_dirty++] = q->removals[i].pfn;
}

/**
 * hc_mark_pages_dirty() - mark the pages that were written to before they were unmapped
 *
 * To mark a page may take locks with events on, so hc_flush_queue() leaves it to the
 * task whose lazy section it is.
 *
 * The page may have lost its reverse mapping by now, as with any write through a
 * TLB that is not flushed yet. No file system is surprised by that: where one
 * wants to know who writes to a page, a writable entry has Dirty from the
 * beginning. Without it there are anonymous and shared memory, which are not
 * written back behind the section's back.
 *
 * Context: the page-table lock is held; not after hc_begin().
 */
void hc_mark_pages_dirty(void)
{
	struct hc_queue *q = this_cpu_ptr(&hc_queue);
	unsigned long pfn;
	u8 masked;

	while (q->nr_dirty) {
		/* An interrupt may issue the queue, and add to them. */
		masked = hc_begin();
		pfn = q->dirty[--q->nr_dirty];
		hc_release(masked);
		folio_mark_dirty(page_folio(pfn_to_page(pfn)));
	}
}

/**
 * hc_is_queued() - does an update of an entry wait in the queue?
 * @entry: the entry
 *
 * Context: any. It looks at the whole queue.
 * Return: true if so: what stands in memory is not what Linux has written.
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
 * pvops_check_read() - warn if an entry is read back before it is written
 * @ptep: the entry
 *
 * Context: any.
 */
void pvops_check_read(const pte_t *ptep)
{
	WARN_ONCE(hc_is_queued(ptep),
		  "pvops: hypercall: a page-table entry is read that is still to be written\n");
}
EXPORT_SYMBOL_GPL(pvops_check_read);
#endif

/**
 * hc_flush_queue() - issue everything that this CPU has queued
 *
 * A call that Xen refuses is reported, one line for each request in it that
 * was refused, and the requests behind it are carried out all the same.
 *
 * Context: after hc_begin(), or otherwise with events off.
 */
void __kprobes hc_flush_queue(void)
{
	struct hc_queue *q = this_cpu_ptr(&hc_queue);
	unsigned int i, nr = q->nr_calls;

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
		for (i = 0; i < nr; i++)
			if (unlikely((long)q->calls[i].result < 0))
				hc_handle_refusal(q, i, q->calls[i].result);
	}

	q->nr_calls = 0;
	q->nr_updates = 0;
	q->nr_exts = 0;
	q->nr_tables = 0;
	if (q->nr_removals)
		hc_collect_dirty(q);

	/* They may queue, too: the counter is taken back first. */
	nr = q->nr_callbacks;
	q->nr_callbacks = 0;
	for (i = 0; i < nr; i++)
		q->callbacks[i].fn(q->callbacks[i].data);
}

/**
 * hc_queue_call() - queue a hypercall
 * @op: its number
 *
 * Context: after hc_begin().
 * Return: the entry, for the caller to fill in the arguments.
 */
struct multicall_entry __kprobes *hc_queue_call(unsigned long op)
{
	struct hc_queue *q = this_cpu_ptr(&hc_queue);
	struct multicall_entry *call;

	if (unlikely(q->nr_calls == HC_CALLS))
		hc_flush_queue();
	hc_close_update_call(q);
	call = &q->calls[q->nr_calls++];
	call->op = op;
	return call;
}

/*
 * A new call for updates or operations from @first on. Not hc_queue_call(), since a flush
 * would lose what the caller has put into the array; the caller has seen to it that
 * there is room.
 */
static struct multicall_entry *hc_open_array_call(struct hc_queue *q,
						  unsigned long op, void *args,
						  unsigned int first)
{
	unsigned int index = q->nr_calls++;
	struct multicall_entry *call = &q->calls[index];

	call->op = op;
	call->args[0] = (unsigned long)args;
	call->args[1] = 0;
	call->args[2] = op == __HYPERVISOR_mmuext_op ?
			(unsigned long)&q->done[index] : 0;
	call->args[3] = DOMID_SELF;
	q->done[index] = 0;
	q->slice[index].first = first;
	q->slice[index].nr = 0;
	return call;
}

/**
 * hc_queue_update_table() - have updates of another table queued from here on
 * @table: its address, page-aligned
 *
 * For hc_queue_update() alone. There is room for one more, at least.
 *
 * Context: after hc_begin().
 */
void hc_queue_update_table(unsigned long table)
{
	struct hc_queue *q = this_cpu_ptr(&hc_queue);

	if (unlikely(q->nr_updates == HC_UPDATES ||
		     (!q->run && q->nr_calls == HC_CALLS)))
		hc_flush_queue();
	if (!q->run)
		q->run = hc_open_array_call(q, __HYPERVISOR_mmu_update,
					    &q->updates[q->nr_updates],
					    q->nr_updates);
	q->table = table;
	q->table_ma = virt_to_machine(table).maddr;
	q->nr_tables++;
}

/**
 * hc_issue_update() - update a page-table entry with a hypercall of its own
 * @entry: as for hc_queue_update()
 * @val: the same
 * @how: the same
 *
 * What is queued stays there: the caller knows that it is not about @entry.
 *
 * Context: any but NMI; no need for hc_begin().
 */
void hc_issue_update(void *entry, u64 val, unsigned int how)
{
	struct mmu_update u = {
		.ptr = virt_to_machine(entry).maddr | how,
		.val = val,
	};

	if (unlikely(hc_issue_array(__HYPERVISOR_mmu_update, &u, 1, NULL)))
		hc_reissue_updates(&u, 1);
}

/**
 * hc_queue_mmuext() - queue an extended MMU operation
 * @cmd: MMUEXT_*
 *
 * Context: after hc_begin().
 * Return: the operation, for the caller to fill in its arguments.
 */
struct mmuext_op *hc_queue_mmuext(unsigned int cmd)
{
	struct hc_queue *q = this_cpu_ptr(&hc_queue);
	struct multicall_entry *call;
	struct mmuext_op *op;

	if (unlikely(q->nr_exts == HC_EXTS || q->nr_calls == HC_CALLS))
		hc_flush_queue();
	hc_close_update_call(q);
	op = &q->exts[q->nr_exts];
	op->cmd = cmd;

	call = q->nr_calls ? &q->calls[q->nr_calls - 1] : NULL;
	if (!call || call->op != __HYPERVISOR_mmuext_op)
		call = hc_open_array_call(q, __HYPERVISOR_mmuext_op, op,
					  q->nr_exts);
	q->nr_exts++;
	call->args[1]++;
	q->slice[call - q->calls].nr++;
	return op;
}

/**
 * hc_queue_callback() - have a function called when what is queued has been done
 * @fn: the function; events are off when it is called
 * @data: its argument
 *
 * Context: after hc_begin().
 */
void hc_queue_callback(void (*fn)(void *data), void *data)
{
	struct hc_queue *q = this_cpu_ptr(&hc_queue);

	if (unlikely(q->nr_callbacks == HC_CALLBACKS))
		hc_flush_queue();
	q->callbacks[q->nr_callbacks].fn = fn;
	q->callbacks[q->nr_callbacks].data = data;
	q->nr_callbacks++;
}
