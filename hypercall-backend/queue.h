/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The queue of requests to Xen.
 *
 * Entering Xen and returning costs the same whatever the hypercall does. So
 * each CPU queues its requests and issues them together: at the end of a lazy
 * section, or at once outside one. Xen carries out the requests of a queue in
 * the order in which they were queued.
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
 * A lazy section usually updates the entries of one page table, which is 512. A
 * hypercall of that length may take some hundred microseconds. Xen interrupts
 * and continues it if an event is to be delivered.
 */
#define HC_UPDATES	512

#define HC_CALLS	32
#define HC_EXTS		32
#define HC_REMOVALS	64

/**
 * struct hc_queue - the requests that one CPU has queued
 * @nr_calls: number of hypercalls in @calls
 * @nr_updates: number of page-table updates in @updates, of one or more calls
 * @nr_exts: number of extended MMU operations in @exts, of one or more calls
 * @nr_removals: number of removals in @removals, none of them issued yet
 * @nr_dirty: number of pages in @dirty
 * @table: address of the page table that was updated last; 0 if the next update
 *	cannot be appended to the current call
 * @table_ma: machine address of @table
 * @cr3: what becomes hc_current_cr3 when the requests have been issued; 0 if they
 *	load no page table
 * @nr_tables: how many times the updates went on to another table
 * @run: the call to which the last updates in @updates belong, and whose number
 *	of updates is not set yet; NULL if another request follows them
 * @calls: the hypercalls, in Xen's format
 * @updates: (address, value) pairs
 * @exts: pins, unpins, base pointers, TLB flushes
 * @slice: for each call, which updates or operations belong to it; Xen may
 *	change the arguments of a call that it interrupts and continues
 * @done: for each call of updates or operations, how many Xen carried out
 * @removals: entries whose removal is queued and in which a CPU may set Dirty
 *	until it is issued, with the pages that they map
 * @dirty: frames of pages whose entries were found Dirty after the removal
 */
struct hc_queue {
	unsigned int nr_calls;
	unsigned int nr_updates;
	unsigned int nr_exts;
	unsigned int nr_removals;
	unsigned int nr_dirty;
	unsigned long table;
	u64 table_ma;
	unsigned int nr_tables;
	unsigned long cr3;
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
		const u64 *entry;
		unsigned long pfn;
	} removals[HC_REMOVALS];
	unsigned long dirty[HC_REMOVALS];
};

DECLARE_PER_CPU(struct hc_queue, hc_queue);
DECLARE_PER_CPU(unsigned long, hc_current_cr3);

/* irq-entry.S: handle pending events. Events are on when it returns. */
void hc_upcall(void);

/*
 * For a function that reads or writes the event mask, see hc_begin(). Kprobes
 * refuses it by its section. __kprobes would make ftrace refuse it as well.
 */
#define __no_kprobe	__section(".kprobes.text")

/**
 * hc_begin() - mask events and start to use the queue of this CPU
 *
 * An interrupt handler queues requests, too, so events are masked. The mask is
 * a byte in memory for a guest of Xen. It is written here and not through
 * pv_ops, because this is the hottest path of the backend. Lockdep and the
 * irqsoff tracer are told as by local_irq_save().
 *
 * The caller is __no_kprobe. Kprobes steps over the instruction under a probe
 * with events masked, and restores the mask afterwards. An instruction that
 * reads the mask would find events masked that are on, and hc_end() would leave
 * them masked for ever. What it writes would be lost. Kprobes knows this of CLI,
 * STI, PUSHF and POPF, and not of a byte in memory. "make lint" looks at the
 * objects.
 *
 * Context: any but NMI.
 * Return: whether events were masked before, for hc_end() or hc_release().
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
 * hc_release() - restore the event mask and leave the queue as it is
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
 * hc_lazy() - may requests wait for the end of a lazy section?
 * @mode: the kind of lazy section
 *
 * An interrupt in a lazy section is not part of the section.
 *
 * Context: any.
 * Return: true inside a lazy section of that kind.
 */
static __always_inline bool hc_lazy(enum xen_lazy_mode mode)
{
	return this_cpu_read(xen_lazy_mode) == mode && !in_interrupt();
}

void hc_flush_queue(void);

/**
 * hc_end() - issue the queue unless it may wait, and restore the event mask
 * @masked: what hc_begin() returned
 * @mode: the kind of lazy section in which the queue may wait; XEN_LAZY_NONE if
 *	it must not wait
 *
 * Context: after hc_begin().
 */
static __always_inline void hc_end(u8 masked, enum xen_lazy_mode mode)
{
	if (mode == XEN_LAZY_NONE || !hc_lazy(mode))
		hc_flush_queue();
	hc_release(masked);
}

struct mmuext_op *hc_queue_mmuexts(unsigned int nr);
struct hc_queue *hc_make_room_for_call(void);
void hc_mark_pages_dirty(void);
bool hc_is_queued(const void *entry);
void hc_queue_update_elsewhere(void *entry, u64 val, unsigned int how);

/**
 * hc_queue_call() - queue a hypercall
 * @op: its number
 *
 * Always inline: each task switch queues two, and hc_load_sp0() must not be
 * probed.
 *
 * Context: after hc_begin(), or with interrupts off for another reason.
 * Return: the call. The caller fills in the arguments.
 */
static __always_inline struct multicall_entry *hc_queue_call(unsigned long op)
{
	struct hc_queue *q = this_cpu_ptr(&hc_queue);
	struct multicall_entry *call;

	if (unlikely(q->run || q->nr_calls == HC_CALLS))
		q = hc_make_room_for_call();
	call = &q->calls[q->nr_calls++];
	call->op = op;
	return call;
}

/**
 * hc_queue_mmuext() - queue an extended MMU operation
 * @cmd: MMUEXT_*
 *
 * Context: after hc_begin().
 * Return: the operation. The caller fills in the arguments.
 */
static inline struct mmuext_op *hc_queue_mmuext(unsigned int cmd)
{
	struct mmuext_op *op = hc_queue_mmuexts(1);

	op->cmd = cmd;
	return op;
}

/**
 * hc_append_update() - queue an update of the table that was updated last
 * @entry: the entry
 * @val: the new value, with a machine frame
 * @how: as for hc_queue_update()
 *
 * Updates wait for a table outside of hc_begin() only in a lazy MMU section. So a
 * caller that is not an interrupt may leave the update to that section without
 * asking whether there is one.
 *
 * Context: after hc_begin().
 * Return: false if the entry is of another table, or if the queue is full.
 */
static __always_inline bool hc_append_update(void *entry, u64 val,
					     unsigned int how)
{
	struct hc_queue *q = this_cpu_ptr(&hc_queue);
	struct mmu_update *u;

	if (unlikely(q->table != ((unsigned long)entry & PAGE_MASK) ||
		     q->nr_updates == HC_UPDATES))
		return false;
	u = &q->updates[q->nr_updates++];
	u->ptr = (q->table_ma + offset_in_page(entry)) | how;
	u->val = val;
	return true;
}

/**
 * hc_queue_update() - queue the update of a page-table entry
 * @entry: the entry, by its address in the linear map or the kernel image
 * @val: the new value, with a machine frame
 * @how: MMU_NORMAL_PT_UPDATE, or MMU_PT_UPDATE_PRESERVE_AD to keep the Accessed
 *	and Dirty bits that are set when Xen writes the entry
 *
 * Successive updates usually are of the same table, so the machine address of a
 * table is looked up once. The function is inline because it runs for every
 * entry.
 *
 * Context: after hc_begin(). Xen knows the page table as such (pinned).
 */
static __always_inline void hc_queue_update(void *entry, u64 val,
					    unsigned int how)
{
	if (unlikely(!hc_append_update(entry, val, how)))
		hc_queue_update_elsewhere(entry, val, how);
}

/**
 * hc_note_removal() - note the removal of an entry in which a CPU may set Dirty
 * @entry: the entry; its removal was queued last, and keeps Dirty
 * @pfn: the page that the entry maps
 *
 * The caller has reported to Linux that Dirty is not set. If Dirty is set when
 * the removal has been issued, hc_mark_pages_dirty() marks the page.
 *
 * Context: after hc_begin(). The page stays allocated until the lazy section
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

#endif /* HYPERCALL_QUEUE_H */
