/* SPDX-License-Identifier: Apache-2.0
 * clock: see clock.h. */
#include "base/clock.h"

#include <ctype.h>
#include <stdatomic.h>
#include <stdio.h>
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

const char *clock_text(struct arena *arena, int64_t us, enum clock_format format)
{
    static const char *const pattern[] = {
        [CLOCK_ISO] = "%Y-%m-%dT%H:%M:%SZ",    [CLOCK_ISO_US] = "%Y-%m-%dT%H:%M:%S",
        [CLOCK_ISO_USZ] = "%Y-%m-%dT%H:%M:%S", [CLOCK_SQL] = "%Y-%m-%d %H:%M:%S",
        [CLOCK_SQL_US] = "%Y-%m-%d %H:%M:%S",  [CLOCK_HTTP] = "%a, %d %b %Y %H:%M:%S GMT",
    };
    int64_t micros = us % 1000000;
    time_t seconds = (time_t)(us / 1000000);
    if (micros < 0) {
        micros += 1000000;
        seconds--;
    }
    struct tm parts;
    gmtime_r(&seconds, &parts);
    char text[64];
    size_t n = strftime(text, sizeof(text), pattern[format], &parts);
    bool fraction = format == CLOCK_ISO_US || format == CLOCK_ISO_USZ || format == CLOCK_SQL_US;
    if (fraction)
        n += (size_t)snprintf(text + n, sizeof(text) - n, ".%06d", (int)micros);
    if (format == CLOCK_ISO_USZ)
        text[n++] = 'Z';
    return arena_strndup(arena, text, n);
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
