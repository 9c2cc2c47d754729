/* SPDX-License-Identifier: Apache-2.0
 *
 * standard: the resource classes and traits that every placement service of 2023.1 knows. Both lists end with NULL.
 */
#ifndef PLACEMENT_STANDARD_H
#define PLACEMENT_STANDARD_H

/* The position of a class is its id in the database, as the reference's. */
extern const char *const standard_classes[];
extern const char *const standard_traits[];

#endif
