/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYSTONE_TOTP_H
#define KEYSTONE_TOTP_H

#include <stdbool.h>
#include <stdint.h>

enum { TOTP_PASSCODE = 16 }; /* size of a buffer for one */

/* The passcode of a seed (base32) at a moment (seconds since 1970). False: it is no seed. */
bool totp_passcode(const char *seed, int64_t seconds, char *ret);

#endif
