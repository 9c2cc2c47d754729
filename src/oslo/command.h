/* SPDX-License-Identifier: Apache-2.0
 *
 * command: administrative programs (keystone-manage, nova-status) as tables.
 *
 * A program is a list of commands, a command a list of arguments. The engine reads the command line as oslo.config and
 * argparse do (long options by any unique beginning, "--name value" and "--name=value", "--" ends options; usage errors on
 * standard error with exit status 2; --help and --version on standard output with 0), finds the configuration files where
 * the namesake looks for them, and runs the command. A fault of a command is told on standard error; the exit status is
 * then 1. Nothing that is secret is ever printed.
 *
 * To add a command: write `struct fault *run(struct command_call *)`, add a row to the table of its program. To add a
 * program: a `const struct program` in the list `programs` of its service; the binary answers to its name.
 */
#ifndef OSLO_COMMAND_H
#define OSLO_COMMAND_H

#include "base/buf.h"
#include "oslo/app.h"

enum argument_type {
    ARGUMENT_TEXT,
    ARGUMENT_INT,
    ARGUMENT_FLAG, /* takes no value */
    ARGUMENT_LIST, /* oslo.config's --config-file and --config-dir: may be repeated */
};

struct argument {
    const char *name;     /* "--max-count": an option; "domain": a positional, in the order of the rows */
    enum argument_type type;
    const char *help;
    const char *def;      /* as it would be written; NULL: None */
    const char *metavar;  /* how usage calls the value; NULL: the name in capitals (a positional: as it is) */
    const char *other;    /* a second spelling of the option: "-m"; NULL: none */
    bool required;        /* positionals too: the ones that are not may be left out */
    bool required_of_root; /* required when root runs the program */
    int exclusive;        /* options of a command with the same number > 0 exclude each other */
    const char *const *choices; /* NULL-terminated; NULL: anything */
};

struct command_call;

struct command {
    const char *words;    /* "db_sync", or with its category "cell_v2 list_cells" */
    const char *help;
    struct fault *(*run)(struct command_call *call);
    const struct argument *arguments; /* ends with a NULL name; NULL: none */
};

struct program {
    const char *name;     /* "nova-manage" */
    const char *project;  /* whose configuration it reads: "nova" */
    const char *version;  /* of the release whose behaviour this is */
    const char *missing;  /* what argparse calls a command that was left out: "command", "category" */
    const struct argument *options;   /* before the command, beside oslo.config's own; ends with a NULL name; may be NULL */
    const struct command *commands;   /* ends with NULL words */
    const char *sibling;  /* a program whose configuration is read before its own: "glance-api"; NULL: none */
};

/* One run. What it allocates lives in the arena, which ends with the process. */
struct command_call {
    struct arena *arena;
    const struct program *program;
    const struct command *command;
    struct app *app;      /* service, cloud and configuration; the database after command_database() */
    const char *config_directory; /* of the first configuration file; NULL: there is none */
    int status;           /* exit status when run() returns no fault */
    const char **program_values; /* parallel to program->options */
    const char **values;  /* parallel to command->arguments: the text, "" for a given flag, NULL: not given */
};

/* Runs a program of a service. `defaults`: its configuration when the command line names none. Returns the exit status. */
int command_main(const struct service *service, const struct program *program, const struct config_source *defaults,
    size_t default_count, int argc, char **argv);

/* Arguments of the command, then of the program, by name; the name must be one of the table (asserted). */
const char *command_text(const struct command_call *call, const char *name); /* NULL: not given and no default */
bool command_flag(const struct command_call *call, const char *name);
int64_t command_int(const struct command_call *call, const char *name, int64_t absent);

/* Opens [database] connection into call->app->db, without any migration. */
struct fault *command_database(struct command_call *call);
/* Another one, with the settings of [database]; the caller closes it. */
struct fault *command_database_of(struct command_call *call, const char *url, struct db **ret);

/* Brings a database to a list of migrations and logs each of them as alembic does ("Running upgrade 1 -> 2, name"). */
struct fault *command_sync(struct command_call *call, struct db *db, const struct migration *migrations, size_t count);

/* Checks of SERVICE-status (oslo.upgradecheck). */
enum check_result { CHECK_SUCCESS, CHECK_WARNING, CHECK_FAILURE };
struct upgrade_check {
    const char *name; /* NULL ends the list */
    struct fault *(*run)(struct command_call *call, enum check_result *ret, const char **ret_details);
};
extern const struct argument command_upgrade_arguments[]; /* of a command "upgrade" */
/* Runs them and prints the table; the exit status is the worst result: 0, 1 or 2. A fault of a check is told: 255. */
struct fault *command_upgrade_check(struct command_call *call, const struct upgrade_check *checks);
/* The check that every service has: the policy file is not in JSON. */
struct fault *command_check_policy_json(struct command_call *call, enum check_result *ret, const char **ret_details);

/* A context of the service itself. */
struct context command_context(const struct command_call *call);

/* Ends the run with a status and a line on standard error (NULL: no line): `return command_fail(call, 2, "...")`. */
struct fault *command_fail(struct command_call *call, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- Private to command*.c ---- */

extern const struct argument command_common[]; /* oslo.config's and oslo.log's own, ends with a NULL name */
/* What follows "--" or begins with "-". */
bool argument_is_option(const struct argument *argument);
/* "usage: ..." wrapped as argparse wraps it; command may be NULL (the program's own), or a category's name given. */
void command_usage(struct buf *out, const struct program *program, const char *category, const struct command *command);
void command_help(struct buf *out, const struct program *program, const char *category, const struct command *command);

#endif
