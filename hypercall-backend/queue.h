/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The call layer: everything this backend asks of Xen goes through here.
 *
 * A hypercall costs its way into Xen and back, whatever it does. So requests
 * are queued, one queue a CPU, and issued together: at the end of a lazy
 * section, or at once outside of one. Requests of one queue are carried out in
 * the order in which they were made.
 */
#ifndef HYPERCALL_QUEUE_H
#define HYPERCALL_QUEUE_H

#include <linux/irqflags.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/types.h>

#include <asm/pgtable_types.h>
#include <asm/xen/hypervisor.h>
#include <asm/xen/interface.h>
#include <asm/xen/page.h>

#include "call.h"
#include "refused.h"
#include "xen-ops.h"

/*
 * Long enough for what one lazy section brings: the entries of a page table. One
 * hypercall may take some hundred microseconds then; Xen breaks it off and goes
 * on with it where an event is to be delivered.
 */
#define HC_UPDATES	512

#define HC_CALLS	32
#define HC_EXTS		32
#define HC_CALLBACKS	32
#define HC_REMOVALS	64

/**
 * struct hc_queue - what one CPU is about to ask of Xen
 * @nr_calls: hypercalls queued
 * @nr_updates: page-table updates queued, in one or more of the calls
 * @nr_exts: extended MMU operations queued, the same
 * @nr_callbacks: functions to call when all is done
 * @nr_removals: removals in @removals that have not been carried out
 * @nr_dirty: pages in @dirty
 * @table: the page table that was updated last, by its address; 0 if what comes
 *	next cannot simply be added to @updates
 * @table_ma: its machine address
 * @nr_tables: how often updates went on to another table
 * @run: the call that the updates at the end of @updates belong to, which does
 *	not know yet how many they are; NULL if something else came behind them
 * @calls: the hypercalls, as Xen takes them
 * @updates: (address, value) pairs
 * @exts: pins, unpins, base pointers, flushes
 * @slice: for each call, which updates or operations are its own; Xen may have
 *	changed the arguments of a call that it broke off and went on with
 * @done: for each call of extended operations, how many Xen carried out
 * @callbacks: functions and their arguments
 * @removals: entries that are being removed and in which a CPU may set Dirty until
 *	then, and what they map
 * @dirty: frames of pages whose entries have got Dirty so
 */
struct hc_queue {
	unsigned int nr_calls;
	unsigned int nr_updates;
	unsigned int nr_exts;
	unsigned int nr_callbacks;
	unsigned int nr_removals;
	unsigned int nr_dirty;
	unsigned long table;
	u64 table_ma;
	unsigned int nr_tables;
	struct multicall_entry *run;
	struct multicall_entry calls[HC_CALLS];
	struct mmu_update updates[HC_UPDATES];
	struct mmuext_op exts[HC_EXTS];
	struct {
		unsigned short first;
		unsigned short nr;
	} slice[HC_CALLS];
	int done[HC_CALLS];
	struct {
		void (*fn)(void *data);
		void *data;
	} callbacks[HC_CALLBACKS];
	struct {
		const u64 *entry;
		unsigned long pfn;
	} removals[HC_REMOVALS];
	unsigned long dirty[HC_REMOVALS];
};

DECLARE_PER_CPU(struct hc_queue, hc_queue);

/* irq-entry.S: take the events that are pending; they are on afterwards. */
void hc_upcall(void);

/**
 * hc_begin() - the queue of this CPU is ours until hc_end()
 *
 * An interrupt queues requests of its own, so events are kept off. That is one
 * byte in memory for a guest of Xen, written here and not through pv_ops: this
 * is the hottest path there is. Lockdep and the tracers of interrupt latency
 * are told where they are built in, as local_irq_save() tells them.
 *
 * Context: any but NMI.
 * Return: whether events were off before, for hc_end() or hc_release().
 */
static __always_inline u8 hc_begin(void)
{
	u8 masked = this_cpu_read(xen_vcpu_info.evtchn_upcall_mask);

	this_cpu_write(xen_vcpu_info.evtchn_upcall_mask, 1);
	barrier();
	if (!masked)
		trace_hardirqs_off();
	return masked;
}

/**
 * hc_release() - the other half of hc_begin(): leave the queue as it is
 * @masked: what hc_begin() returned
 *
 * Context: after hc_begin().
 */
static __always_inline void hc_release(u8 masked)
{
	barrier();
	if (masked)
		return;
	trace_hardirqs_on();
	this_cpu_write(xen_vcpu_info.evtchn_upcall_mask, 0);
	barrier();
	if (unlikely(this_cpu_read(xen_vcpu_info.evtchn_upcall_pending)))
		hc_upcall();
}

/**
 * hc_lazy() - may requests wait?
 * @mode: the kind of lazy section in which they may
 *
 * An interrupt inside of a lazy section is not part of it.
 *
 * Context: any.
 * Return: true inside of such a section.
 */
static __always_inline bool hc_lazy(enum xen_lazy_mode mode)
{
	return this_cpu_read(xen_lazy_mode) == mode && !in_interrupt();
}

void hc_flush_queue(void);

/**
 * hc_end() - issue what is queued, unless it may wait
 * @masked: what hc_begin() returned
 * @mode: the kind of lazy section in which it may wait; XEN_LAZY_NONE for no
 *	kind
 *
 * Context: after hc_begin().
 */
static __always_inline void hc_end(u8 masked, enum xen_lazy_mode mode)
{
	if (mode == XEN_LAZY_NONE || !hc_lazy(mode))
		hc_flush_queue();
	hc_release(masked);
}

struct mmuext_op *hc_queue_mmuext(unsigned int cmd);
struct multicall_entry *hc_queue_call(unsigned long op);
void hc_queue_callback(void (*fn)(void *data), void *data);
void hc_mark_pages_dirty(void);
bool hc_is_queued(const void *entry);
void hc_queue_update_table(unsigned long table);

/**
 * hc_queue_update() - queue the update of a page-table entry
 * @entry: the entry, by its address in the linear map or the kernel image
 * @val: the new value, with a machine frame
 * @how: MMU_NORMAL_PT_UPDATE, or MMU_PT_UPDATE_PRESERVE_AD to have the bits
 *	Accessed and Dirty that are set when Xen writes it set in it, too
 *
 * Entries come one after the other, so what belongs to a table is found once. The
 * rest is here and not in a function: this is done for each of them.
 *
 * Context: after hc_begin(). The page table is one that Xen knows (pinned).
 */
static __always_inline void hc_queue_update(void *entry, u64 val,
					    unsigned int how)
{
	struct hc_queue *q = this_cpu_ptr(&hc_queue);
	unsigned long table = (unsigned long)entry & PAGE_MASK;
	struct mmu_update *u;

	if (unlikely(q->table != table || q->nr_updates == HC_UPDATES))
		hc_queue_update_table(table);
	u = &q->updates[q->nr_updates++];
	u->ptr = (q->table_ma + offset_in_page(entry)) | how;
	u->val = val;
}

/**
 * hc_note_removal() - note a removal before which a CPU may set Dirty
 * @entry: the entry; its removal was queued last, and keeps Dirty
 * @pfn: the page that it maps
 *
 * The caller told Linux that Dirty was not set. If it is set when the removal
 * has been carried out, hc_mark_pages_dirty() marks the page.
 *
 * Context: after hc_begin(); the page stays allocated until the lazy section
 * ends.
 */
static __always_inline void hc_note_removal(const void *entry,
					    unsigned long pfn)
{
	struct hc_queue *q = this_cpu_ptr(&hc_queue);

	q->removals[q->nr_removals].entry = entry;
	q->removals[q->nr_removals].pfn = pfn;
	if (++q->nr_removals == HC_REMOVALS)
		hc_flush_queue();
}

/**
 * hc_queued_same_table() - is the last thing queued an update of the same table?
 * @entry: an entry of the table
 *
 * So it is one that Xen knows: what is a little dearer to find out otherwise.
 *
 * Context: any.
 * Return: true if so, and more may wait for the same lazy section to end.
 */
static __always_inline bool hc_queued_same_table(const void *entry)
{
	return hc_lazy(XEN_LAZY_MMU) &&
	       this_cpu_read(hc_queue.table) == ((unsigned long)entry & PAGE_MASK);
}

#endif /* HYPERCALL_QUEUE_H */
