/* SPDX-License-Identifier: Apache-2.0
 * clock: see clock.h. */
#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

static _Atomic int64_t shift_us;

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000 + atomic_load_explicit(&shift_us, memory_order_relaxed);
}

int64_t clock_now_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t clock_monotonic_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

void clock_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

bool clock_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t until_us)
{
    int64_t at_us = until_us - atomic_load_explicit(&shift_us, memory_order_relaxed);
    if (at_us < 0)
        at_us = 0;
    struct timespec until = { .tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000 };
    return pthread_cond_timedwait(condition, lock, &until) != ETIMEDOUT;
}

void clock_advance_us(int64_t us)
{
    atomic_fetch_add(&shift_us, us);
}

void clock_sleep_ms(int64_t milliseconds)
{
    struct timespec t = { milliseconds / 1000, milliseconds % 1000 * 1000000 };
    while (nanosleep(&t, &t) != 0) {
    }
}

/* Two digits. strftime() would do, but lists print thousands of moments. */
static char *two(char *to, int value)
{
    to[0] = (char)('0' + value / 10 % 10);
    to[1] = (char)('0' + value % 10);
    return to + 2;
}

/* Civil date of a day number (days since 1970-01-01), proleptic Gregorian; the well-known era arithmetic. */
static void civil(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
    days += 719468; /* since 0000-03-01 */
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t of_era = days - era * 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * of_year + 2) / 153; /* 0 is March */
    *ret_day = (int)(of_year - (153 * month + 2) / 5 + 1);
    *ret_month = (int)(month < 10 ? month + 3 : month - 9);
    *ret_year = (int)(year_of_era + era * 400 + (*ret_month <= 2));
}

static char *write_fraction(char *to, int64_t micros)
{
    *to++ = '.';
    for (int64_t unit = 100000; unit > 0; unit /= 10)
        *to++ = (char)('0' + micros / unit % 10);
    return to;
}

static const char *http_date(struct arena *arena, time_t seconds)
{
    struct tm parts;
    char text[64];
    gmtime_r(&seconds, &parts);
    return arena_strndup(arena, text, strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &parts));
}

const char *clock_text(struct arena *arena, int64_t us, enum clock_format format)
{
    int64_t micros = us % 1000000;
    int64_t seconds = us / 1000000 - (micros < 0);
    micros += micros < 0 ? 1000000 : 0;
    if (format == CLOCK_HTTP)
        return http_date(arena, (time_t)seconds);
    int64_t of_day = seconds % 86400;
    int64_t days = seconds / 86400 - (of_day < 0);
    of_day += of_day < 0 ? 86400 : 0;
    int year, month, day;
    civil(days, &year, &month, &day);
    char text[40];
    char *to = two(two(text, year / 100), year % 100);
    *to++ = '-';
    to = two(to, month);
    *to++ = '-';
    to = two(to, day);
    *to++ = format == CLOCK_SQL || format == CLOCK_SQL_US ? ' ' : 'T';
    to = two(to, (int)(of_day / 3600));
    *to++ = ':';
    to = two(to, (int)(of_day / 60 % 60));
    *to++ = ':';
    to = two(to, (int)(of_day % 60));
    if (format == CLOCK_ISO_US || format == CLOCK_ISO_USZ || format == CLOCK_SQL_US)
        to = write_fraction(to, micros);
    if (format == CLOCK_ISO || format == CLOCK_ISO_USZ)
        *to++ = 'Z';
    return arena_strndup(arena, text, (size_t)(to - text));
}

/* Reads exactly `digits` digits. */
static bool number(const char **at, int digits, int *ret)
{
    *ret = 0;
    for (int i = 0; i < digits; i++, (*at)++) {
        if (!isdigit((unsigned char)**at))
            return false;
        *ret = *ret * 10 + (**at - '0');
    }
    return true;
}

static int64_t fraction_us(const char **at)
{
    int64_t us = 0;
    int64_t unit = 100000;
    for ((*at)++; isdigit((unsigned char)**at); (*at)++) {
        us += unit * (**at - '0');
        unit /= 10;
    }
    return us;
}

/* "Z", "+HH:MM", "+HHMM" or nothing; true when the text ends there. */
static bool zone(const char *at, int64_t *ret_seconds)
{
    *ret_seconds = 0;
    if (*at == 'Z')
        at++;
    else if (*at == '+' || *at == '-') {
        int sign = *at++ == '-' ? -1 : 1;
        int hours, minutes = 0;
        if (!number(&at, 2, &hours))
            return false;
        if (*at == ':')
            at++;
        if (*at != '\0' && !number(&at, 2, &minutes))
            return false;
        *ret_seconds = sign * (hours * 3600 + minutes * 60);
    }
    return *at == '\0';
}

static bool in_range(const struct tm *t)
{
    return t->tm_mon >= 0 && t->tm_mon < 12 && t->tm_mday >= 1 && t->tm_mday <= 31 && t->tm_hour < 24 &&
        t->tm_min < 60 && t->tm_sec < 61;
}

bool clock_parse(const char *text, int64_t *ret_us)
{
    struct tm t = { 0 };
    int64_t micros = 0;
    const char *at = text;
    if (!number(&at, 4, &t.tm_year) || *at++ != '-' || !number(&at, 2, &t.tm_mon) || *at++ != '-' ||
        !number(&at, 2, &t.tm_mday))
        return false;
    if (*at == 'T' || *at == ' ') {
        at++;
        if (!number(&at, 2, &t.tm_hour) || *at++ != ':' || !number(&at, 2, &t.tm_min))
            return false;
        if (*at == ':') {
            at++;
            if (!number(&at, 2, &t.tm_sec))
                return false;
            if (*at == '.')
                micros = fraction_us(&at);
        }
    }
    int64_t offset;
    t.tm_mon -= 1;
    if (!zone(at, &offset) || !in_range(&t))
        return false;
    int day = t.tm_mday;
    t.tm_year -= 1900;
    time_t seconds = timegm(&t);
    if (t.tm_mday != day) /* 31 February */
        return false;
    *ret_us = ((int64_t)seconds - offset) * 1000000 + micros;
    return true;
}
