/* SPDX-License-Identifier: Apache-2.0
 *
 * clock: the one place where time comes from, so that a test can own it.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/arena.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Microseconds since 1970-01-01 UTC. */
int64_t clock_now_us(void);

/* Microseconds of a clock that never goes back; for durations and deadlines. */
int64_t clock_monotonic_us(void);

/* Sleeps on the process's clock. */
void clock_sleep_ms(int64_t milliseconds);

/* A condition variable to wait on with clock_wait(); pthread_cond_destroy() ends it. */
void clock_condition_init(pthread_cond_t *condition);

/* Waits on `condition`, with `lock` held, at most until clock_monotonic_us() is `until_us`. False when that moment came; true
 * when it was woken, which may be for no reason: look again at what was waited for. */
bool clock_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t until_us);

/* Shifts both clocks forward by `us`; for tests of expiry. */
void clock_advance_us(int64_t us);

/* Text of a moment. ISO: "2026-11-22T19:55:50Z"; ISO_US: "2026-11-22T19:55:50.123456" (as Python's isoformat);
 * ISO_USZ adds the Z (keystone); SQL: "2026-11-22 19:55:50"; SQL_US with microseconds; HTTP: RFC 9110 date. */
enum clock_format { CLOCK_ISO, CLOCK_ISO_US, CLOCK_ISO_USZ, CLOCK_SQL, CLOCK_SQL_US, CLOCK_HTTP };
const char *clock_text(struct arena *arena, int64_t us, enum clock_format format);

/* Reads "YYYY-MM-DD", with optional "[T ]HH:MM[:SS[.ffffff]]" and "Z" or "+HH:MM". False when it is not a moment. */
bool clock_parse(const char *text, int64_t *ret_us);

#endif
