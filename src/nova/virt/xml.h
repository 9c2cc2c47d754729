/* SPDX-License-Identifier: Apache-2.0
 *
 * xml: writes small XML documents into a buffer. Every text and attribute value is escaped here and nowhere else, and
 * what XML 1.0 cannot hold (control characters, bytes that are not UTF-8) becomes '?', so that no name of a server can
 * break out of its element.
 *
 *     xml_begin(w, "disk");  xml_attribute(w, "type", "file");
 *     xml_element(w, "target", "dev", "vda", "bus", "virtio", NULL);
 *     xml_end(w);
 */
#ifndef NOVA_VIRT_XML_H
#define NOVA_VIRT_XML_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum { XML_DEPTH = 16 };

struct xml_writer {
    struct buf *out;
    const char *open[XML_DEPTH]; /* names, which must live until their xml_end() */
    int depth;
    bool in_tag;                 /* the start tag still takes attributes */
};

/* Elements, at most XML_DEPTH inside each other. */
void xml_begin(struct xml_writer *w, const char *name);
void xml_end(struct xml_writer *w);

/* Right after xml_begin() only. A NULL value writes nothing. */
void xml_attribute(struct xml_writer *w, const char *name, const char *value);
void xml_attribute_int(struct xml_writer *w, const char *name, int64_t value);

/* Text inside the open element. */
void xml_text(struct xml_writer *w, const char *text);

/* An empty element with attributes: name, value, ..., NULL. A NULL name ends the list. */
void xml_element(struct xml_writer *w, const char *name, ...) __attribute__((sentinel));

/* An element with nothing but a text, or a number. */
void xml_element_text(struct xml_writer *w, const char *name, const char *text);
void xml_element_int(struct xml_writer *w, const char *name, int64_t value);

#endif
