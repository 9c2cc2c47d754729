/* SPDX-License-Identifier: Apache-2.0
 *
 * process: the one function that runs other programs (qemu-img, dnsmasq, ovs-ofctl, ip).
 *
 * Argument arrays, never a shell. A deadline ends the whole process group. Output is bounded.
 */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include "base/arena.h"
#include "base/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct process {
    const char *const *argv;  /* NULL-terminated; argv[0] is looked up in PATH */
    const char *input;        /* standard input, or NULL for none */
    size_t input_length;
    const char *const *env;   /* "NAME=value" added to the environment, NULL-terminated, or NULL */
    const char *netns;        /* name under /run/netns to run in, or NULL */
    int timeout_ms;           /* 0: 30 s */
    size_t output_limit;      /* 0: 1 MiB; what comes after is dropped */
    bool any_exit;            /* do not turn a non-zero exit status into a fault */
};

struct process_result {
    int exit_status; /* 0-255; 128 + signal when a signal ended it */
    char *output;    /* standard output, NUL-terminated */
    size_t output_length;
    char *errors;    /* standard error, NUL-terminated */
};

/* Runs it to its end. A fault (500) says which program, how it ended and the last line of its standard error. `ret` may
 * be NULL. */
struct fault *process_run(struct arena *arena, const struct process *process, struct process_result *ret);

/* Starts a daemon that stays in the foreground, as our child in a session of its own, with standard output and error
 * appended to `log_path` (or /dev/null). It goes on when we end. Returns the pid through ret_pid. */
struct fault *process_spawn(struct arena *arena, const struct process *process, const char *log_path, pid_t *ret_pid);

/* Ends a process by SIGTERM, then SIGKILL after grace_ms. True when it is gone (a zombie counts as gone). */
bool process_end(pid_t pid, int grace_ms);

/* True while it runs (not a zombie) and, when `word` is not NULL, the word occurs in its command line. */
bool process_alive(pid_t pid, const char *word);

/* Whether SIGTERM or SIGINT has come to this process and waits to be taken: whoever waits long for something else at a start gives
 * up then. Always false where these signals are not blocked. */
bool process_asked_to_end(void);

/* Whether a program of this name is in PATH (or in /usr/sbin, /sbin). */
bool process_installed(struct arena *arena, const char *name);

/* Reads a pid file; 0 when there is none. */
pid_t process_read_pid(const char *path);

#define ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })

#endif
