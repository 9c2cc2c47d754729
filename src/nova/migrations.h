/* SPDX-License-Identifier: Apache-2.0
 *
 * migrations: the numbered steps that make nova's database.
 */
#ifndef NOVA_MIGRATIONS_H
#define NOVA_MIGRATIONS_H

#include "oslo/sql.h"

enum { NOVA_MIGRATIONS = 6 };
extern const struct migration nova_migrations[NOVA_MIGRATIONS];

#endif
