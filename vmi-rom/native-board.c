// SPDX-License-Identifier: GPL-2.0
/*
 * The all-call ROM: devices of a PC behind I/O ports. Reset, power off, delay,
 * and the real-time clock.
 */
#include "native.h"

#define CMOS_INDEX		0x70
#define CMOS_DATA		0x71
#define CMOS_NO_NMI		0x80
#define KEYBOARD_COMMAND	0x64
#define KEYBOARD_RESET		0xfe
#define RESET_CONTROL		0xcf9
#define RESET_COLD		0x06

/* Intel 82371AB (PIIX4), datasheet, chapter 7.2. */
#define PIIX4_PMCNTRL		4
#define PMCNTRL_SUS_TYP		(7 << 10)	/* 0: soft off */
#define PMCNTRL_SUS_EN		(1 << 13)

/* The reset line of the keyboard controller, then that of the chipset. */
static s32 reboot(u32 how)
{
	u32 patience;

	COUNT(REBOOT);
	(void)how;
	log_counts();
	for (patience = 0x10000; patience && in8(KEYBOARD_COMMAND) & 2; patience--)
		asm volatile("pause");
	out8(KEYBOARD_COMMAND, KEYBOARD_RESET);
	out8(RESET_CONTROL, RESET_COLD);
	for (patience = 0x100000; patience; patience--)
		asm volatile("pause");
	return -VMI64_EIO;
}

/*
 * Only the PIIX4 is supported. Other chipsets are described by ACPI tables,
 * which are in memory that a ROM must not touch. On these the kernel powers
 * off.
 */
static s32 shutdown(void)
{
	u16 port = piix4_pm_port(PIIX4_PMCNTRL);
	u32 patience;

	COUNT(SHUTDOWN);
	log_counts();
	if (!port)
		return -VMI64_ENOSYS;
	out16(port, (in16(port) & ~PMCNTRL_SUS_TYP) | PMCNTRL_SUS_EN);
	for (patience = 0x100000; patience; patience--)
		asm volatile("pause");
	return -VMI64_EIO;
}

static void io_delay(void)
{
	COUNT(IO_DELAY);
	out8(0x80, 0);
}

static u8 cmos(u8 index)
{
	out8(CMOS_INDEX, CMOS_NO_NMI | index);
	return in8(CMOS_DATA);
}

struct moment {
	u8 second, minute, hour, day, month, year, mode;
};

static struct moment read_cmos(void)
{
	struct moment now = {
		cmos(0), cmos(2), cmos(4), cmos(7), cmos(8), cmos(9), cmos(11),
	};

	return now;
}

static bool same(const struct moment *a, const struct moment *b)
{
	return a->second == b->second && a->minute == b->minute &&
	       a->hour == b->hour && a->day == b->day && a->month == b->month &&
	       a->year == b->year;
}

static u32 decimal(const struct moment *now, u8 value)
{
	return now->mode & 4 ? value : (value >> 4) * 10 + (value & 15);
}

/* The real-time clock, taken as UTC and as of this century. Whole seconds. */
static u64 get_wallclock_time(void)
{
	static const u16 days_before[12] = {
		0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334,
	};
	struct moment now = read_cmos(), again;
	u32 year, month, hour, patience;
	u64 days;

	COUNT(GET_WALLCLOCK_TIME);
	/* Two equal readings: the clock did not change during one. */
	for (patience = 100; patience; patience--) {
		again = read_cmos();
		if (same(&now, &again))
			break;
		now = again;
	}
	out8(CMOS_INDEX, 0x0d);		/* enable NMIs */
	in8(CMOS_DATA);

	year = 2000 + decimal(&now, now.year);
	month = decimal(&now, now.month);
	if (!patience || month < 1 || month > 12)
		return 0;
	hour = decimal(&now, now.hour & 0x7f);
	if (!(now.mode & 2))		/* 12-hour mode, with a PM bit */
		hour = hour % 12 + (now.hour & 0x80 ? 12 : 0);
	days = (year - 1970) * 365ull + (year - 1969) / 4 + days_before[month - 1] +
	       decimal(&now, now.day) - 1 + (month > 2 && !(year % 4));
	return (((days * 24 + hour) * 60 + decimal(&now, now.minute)) * 60 +
		decimal(&now, now.second)) * 1000000000ull;
}

IMPLEMENTS(REBOOT, NATIVE, reboot);
IMPLEMENTS(SHUTDOWN, NATIVE, shutdown);
IMPLEMENTS(IO_DELAY, NATIVE, io_delay);
IMPLEMENTS(GET_WALLCLOCK_TIME, NATIVE, get_wallclock_time);
