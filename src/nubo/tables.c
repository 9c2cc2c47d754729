/* SPDX-License-Identifier: Apache-2.0
 * tables: commands that print the services' tables: routes, sample configuration, sample policy. */
#include "nubo/commands.h"

#include "base/buf.h"
#include "nubo/services.h"
#include "oslo/flow.h"

#include <stdio.h>
#include <string.h>

static const struct service *find_service(const char *name)
{
    for (int i = 0; services[i] != NULL; i++)
        if (strcmp(services[i]->name, name) == 0)
            return services[i];
    return NULL;
}

static void print_routes(const struct service *service, const char *listener, const struct route_table *const *tables)
{
    static const char *const names[HTTP_METHODS] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" };
    for (; tables != NULL && *tables != NULL; tables++)
        for (size_t i = 0; i < (*tables)->count; i++) {
            const struct route *r = &(*tables)->rows[i];
            const char *token = r->flags & NO_TOKEN ? "none" : r->flags & OPTIONAL_TOKEN ? "optional" : "required";
            printf("%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\n", service->name, listener, names[r->method], r->path,
                r->policy != NULL ? r->policy : "-", token, r->min_version, r->max_version);
        }
}

int command_routes(const struct arguments *arguments)
{
    puts("service\tlistener\tmethod\tpath\tpolicy\ttoken\tmin_version\tmax_version");
    for (int i = 0; services[i] != NULL; i++) {
        print_routes(services[i], "api", services[i]->routes);
        for (const struct listener *l = services[i]->listeners; l != NULL && l->name != NULL; l++)
            print_routes(services[i], l->name, l->routes);
    }
    return 0;
}

int command_flows(const struct arguments *arguments)
{
    puts("service\tflow\tstep\tundo");
    for (int i = 0; services[i] != NULL; i++)
        for (const struct flow_type *const *t = services[i]->flows; t != NULL && *t != NULL; t++)
            for (size_t s = 0; s < (*t)->count; s++)
                printf("%s\t%s\t%s\t%s\n", services[i]->name, (*t)->name, (*t)->steps[s].name,
                    (*t)->steps[s].undo != NULL ? "yes" : "no");
    return 0;
}

static size_t policy_count(const struct service *service)
{
    size_t count = 0;
    while (service->policies != NULL && service->policies[count] != NULL)
        count++;
    return count;
}

/* A service, or a program of one that has a configuration file of its own (neutron-dhcp-agent). */
static const struct service *find_sample(const char *name, const struct option_table *const **ret_options)
{
    *ret_options = NULL;
    for (int i = 0; services[i] != NULL; i++)
        for (const struct role *role = services[i]->roles; role != NULL && role->name != NULL; role++)
            if (strcmp(role->name, name) == 0) {
                *ret_options = role->options;
                return services[i];
            }
    return find_service(name);
}

/* `nubo config sample SERVICE` and `nubo policy sample SERVICE`. */
static int print_sample(const struct arguments *arguments, const char *what, bool config)
{
    const char *const *words = arguments->words;
    const struct option_table *const *own = NULL;
    const struct service *service = words[0] != NULL && words[1] != NULL ? find_sample(words[1], &own) : NULL;
    if (service == NULL || strcmp(words[0], "sample") != 0) {
        fprintf(stderr, "usage: nubo %s sample SERVICE; services:", what);
        for (int i = 0; services[i] != NULL; i++) {
            fprintf(stderr, " %s", services[i]->name);
            for (const struct role *role = services[i]->roles; config && role != NULL && role->name != NULL; role++)
                if (role->options != NULL)
                    fprintf(stderr, " %s", role->name);
        }
        fputc('\n', stderr);
        return 2;
    }
    BUF_CLEANUP struct buf text = { 0 };
    const struct option_table *tables[APP_OPTION_TABLES];
    size_t count = app_option_tables(service, tables);
    for (count = own != NULL ? 0 : count; own != NULL && own[count] != NULL; count++)
        tables[count] = own[count];
    if (config)
        config_sample(&text, tables, count);
    else
        policy_sample(&text, service->policies, policy_count(service));
    fputs(buf_text(&text), stdout);
    return 0;
}

int command_config(const struct arguments *arguments)
{
    return print_sample(arguments, "config", true);
}

int command_policy(const struct arguments *arguments)
{
    return print_sample(arguments, "policy", false);
}
