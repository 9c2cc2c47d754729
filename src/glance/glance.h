/* SPDX-License-Identifier: Apache-2.0
 *
 * glance: images, what servers boot from. API reference: Image service API v2.
 */
#ifndef GLANCE_GLANCE_H
#define GLANCE_GLANCE_H

#include "oslo/app.h"

extern const struct service glance_service;

/* Upstream's newest migration that is not empty, and those after it up to 2023.1. */
#define GLANCE_REVISION  "wallaby_contract01"
#define GLANCE_REVISIONS GLANCE_REVISION " xena_contract01 yoga_contract01 zed_contract01 2023_1_contract01"
enum { GLANCE_MIGRATIONS = 2 };
extern const struct migration glance_migrations[GLANCE_MIGRATIONS];

#endif
