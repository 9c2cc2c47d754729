/* SPDX-License-Identifier: Apache-2.0
 *
 * options: oslo.config. What a program may be told is a static const table; what it was told is a struct config.
 *
 * A value comes from, first found wins: an override (command line, tests), the environment (OS_GROUP__NAME, upper
 * case, as oslo.config's environment driver), the files in the order given (a later file wins over an earlier one),
 * the default of the table. Files are INI as oslo.config reads it: `[section]`, `name = value` or `name: value`, lines
 * that begin with a blank continue the value (joined by newlines), `#` and `;` at the begin of a line are comments, one
 * pair of quotes around a value is taken off, a name may be repeated (the last wins; MULTI takes all). Section names
 * do not care about case, `-` in a name is `_`. `$name`, `${name}`, `$group.name` and `${group.name}` are replaced by
 * the value of that option (own group first, then DEFAULT; an unknown name stays as it is); `$$` and `\$` are a dollar.
 *
 * Reading is thread safe and never locks: all values together are one immutable snapshot, swapped whole by a reload or an
 * override. Old snapshots live until config_destroy(), so what an accessor returned stays valid.
 */
#ifndef OSLO_OPTIONS_H
#define OSLO_OPTIONS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
    OPTION_STR,
    OPTION_INT,
    OPTION_FLOAT,
    OPTION_BOOL,  /* true 1 on yes, false 0 off no; any case */
    OPTION_LIST,  /* a,b,c */
    OPTION_DICT,  /* key:value,key:value */
    OPTION_MULTI, /* one value a line, the name repeated; the default has a newline between values */
    OPTION_PORT,  /* 0-65535 */
    OPTION_HOST,  /* a host name or an address */
    OPTION_IP,    /* an IPv4 or IPv6 address */
    OPTION_URI,   /* scheme://authority... */
};

struct option {
    const char *group; /* "DEFAULT", or the section in lower case */
    const char *name;
    enum option_type type;
    const char *def; /* as an operator would write it in the file; NULL: None */
    const char *help;
    int64_t min, max;               /* INT, FLOAT, PORT: checked when one of them is not 0 (INT64_MIN/MAX: open end) */
    const char *const *choices;     /* NULL-terminated; STR and the elements of LIST and MULTI */
    const char *const *deprecated;  /* NULL-terminated former names: "group/name", or "name" in the same group */
    bool secret;                    /* its value is never printed */
    bool reloadable;                /* takes effect on config_reload() */
};

struct option_table {
    const struct option *rows;
    size_t count;
    const char *group; /* the rows' group whatever they say themselves (a table that several sections have); NULL: theirs */
};

#define OPTION_WORDS(...)   ((const char *const[]){ __VA_ARGS__, NULL })
#define OPTION_TABLE(rows_) { (rows_), sizeof(rows_) / sizeof((rows_)[0]) }

struct config_source {
    const char *path;
    bool directory; /* --config-dir: its *.conf files, sorted by name */
    bool optional;  /* absent is no fault (the default places) */
};

struct config;

/* Reads the sources and checks every value. An option may occur in several tables; the first row holds. Faults (500):
 * ConfigFilesNotFoundError, ConfigDirNotFoundError, ConfigFileParseError (file:line), ConfigFileValueError (file:line,
 * option, reason). What the caller passes may go; tables are kept. */
struct fault *config_create(struct arena *arena, const struct option_table *const *tables, size_t table_count,
    const struct config_source *sources, size_t source_count, struct config **ret);

/* Ends it, and every value that was read from it. NULL is allowed. */
void config_destroy(struct config *config);

/* Reads the files again. Reloadable options change, all at once; one that changed and cannot be reloaded is logged. On a
 * fault everything stays as it was. */
struct fault *config_reload(struct arena *arena, struct config *config);

/* Sets an option above all files; NULL takes the override away. The option must be registered. The text is checked. */
struct fault *config_set_override(struct arena *arena, struct config *config, const char *group, const char *name,
    const char *text);

/* Logs a warning for each section and option of the files that no table knows, with the nearest known name; each only
 * once. To be called when all tables are registered. Returns how many were logged. */
size_t config_warn_unknown(struct config *config);

/* Values. The option must be registered (asserted). */
const char *config_str(const struct config *config, const char *group, const char *name); /* NULL: None; all types */
int64_t config_int(const struct config *config, const char *group, const char *name);     /* INT, PORT; None: 0 */
double config_float(const struct config *config, const char *group, const char *name);    /* FLOAT, INT; None: 0 */
bool config_bool(const struct config *config, const char *group, const char *name);       /* BOOL; None: false */

/* LIST and MULTI: the elements, DICT: keys and values in turn; NULL-terminated; ret_count may be NULL. Never NULL. */
const char *const *config_list(const struct config *config, const char *group, const char *name, size_t *ret_count);

/* Whether an option is registered; whether it was set by anything but its default. */
bool config_has(const struct config *config, const char *group, const char *name);
bool config_is_set(const struct config *config, const char *group, const char *name);

/* Where a value came from: "file:line", "environment", "override" or "default". */
const char *config_origin(struct arena *arena, const struct config *config, const char *group, const char *name);

/* Logs every option's value at level DEBUG, as oslo.config's log_opt_values(): what is secret, and passwords in URLs, as
 * asterisks. */
void config_log_values(const struct config *config);

/* A URL with the password taken out: "rabbit://nova:***@host/". In the arena. */
const char *config_mask_url(struct arena *arena, const char *text);

/* Writes the sample file, as oslo-config-generator lays it out: everything commented out, DEFAULT first, then the
 * groups in the order of the tables. */
void config_sample(struct buf *out, const struct option_table *const *tables, size_t table_count);

/* One assignment of a file. Names are normalised as described above. */
struct config_entry {
    const char *file;
    int line;
    size_t file_number; /* counts files in the order read */
    const char *group;
    const char *name;
    const char *value;
    struct config_entry *next;
    bool warned;
};

/* Reads all sources into one chain. Faults as config_create()'s. */
struct fault *config_read(struct arena *arena, const struct config_source *sources, size_t count,
    struct config_entry **ret);

/* The parser alone: appends the entries of a text to *tail (an `entry->next` chain). Fault: ConfigFileParseError. */
struct fault *config_parse(struct arena *arena, const char *file, const char *text, size_t length,
    struct config_entry ***tail);

#endif
