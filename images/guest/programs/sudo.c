// SPDX-License-Identifier: Apache-2.0
/* sudo: run a command as root (or -u USER), for the guest's one login user.
 *
 * Test suites and people type "sudo ip link"; this understands the options they use and no policy: the
 * caller is root or the login user, or is refused. Setuid root. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOGIN_UID = 1000 }; /* as in etc/passwd */

static int refuse(const char *what, const char *why)
{
    fprintf(stderr, "sudo: %s: %s\n", what, why);
    return 1;
}

int main(int argc, char **argv)
{
    const char *user = "root";
    bool shell = false, keep_environment = false;
    int option;

    if (getuid() != 0 && getuid() != LOGIN_UID)
        return refuse("caller", "not allowed");
    while ((option = getopt(argc, argv, "+EHSiknsu:")) != -1) {
        switch (option) {
        case 'E': keep_environment = true; break;
        case 'i':
        case 's': shell = true; break;
        case 'u': user = optarg; break;
        case '?': return 1;
        default: break; /* -H, -S, -k, -n: nothing here ever asks for a password */
        }
    }

    const struct passwd *target = getpwnam(user);
    if (!target)
        return refuse(user, "unknown user");
    if (setgroups(0, NULL) || setgid(target->pw_gid) || setuid(target->pw_uid))
        return refuse(user, strerror(errno));

    const char *terminal = getenv("TERM");
    if (!keep_environment) {
        clearenv();
        if (terminal)
            setenv("TERM", terminal, 1);
    }
    setenv("PATH", "/bin", 1); /* the guest's only folder of programs */
    setenv("HOME", target->pw_dir, 1);
    setenv("USER", target->pw_name, 1);
    setenv("LOGNAME", target->pw_name, 1);
    for (; optind < argc && strchr(argv[optind], '=') && argv[optind][0] != '='; optind++)
        putenv(argv[optind]);

    if (optind < argc) {
        execvp(argv[optind], argv + optind);
        return refuse(argv[optind], errno == ENOENT ? "command not found" : strerror(errno));
    }
    if (!shell)
        return refuse("usage", "sudo [-i] [-u USER] [NAME=VALUE...] COMMAND [ARGUMENT...]");
    execl("/bin/sh", "-sh", (char *)NULL);
    return refuse("/bin/sh", strerror(errno));
}
