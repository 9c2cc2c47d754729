/* SPDX-License-Identifier: Apache-2.0
 *
 * hub: the place where processes without a broker meet. It keeps messages in memory until the process that took one says
 * that it was handled; a process that is not heard of for a while has its messages given to others.
 *
 * The hub holds nothing that is not also in a database: when its process ends, another process of its host takes the
 * address over, everybody registers again, calls that were under way fail at their deadlines, and what a cast was to
 * start is found by the role that holds the rows. Requests and answers are JSON objects (driver.c has the other end):
 *
 *     receive  {"session", "serves": [[exchange, topic, server, place], ..], "wait_ms", "last": number of the last answer
 *              heard} -> {"number", "messages": [[tag, place or -1: an answer to a call, body], ..]}
 *     serve    {"session", "serves"} -> {}               the same without waiting
 *     send     {"id", "kind", "exchange", "topic", "server", "body", "ttl_ms"} -> {}; 404: nobody serves that
 *     done     {"session", "done": [[tag, handled], ..]} -> {}
 *     bye      {"session"} -> {}
 */
#ifndef OSLO_MESSAGING_HTTP_HUB_H
#define OSLO_MESSAGING_HTTP_HUB_H

#include <jansson.h>

struct hub;

struct hub *hub_create(void);
void hub_destroy(struct hub *hub);

/* Lets everybody go who waits in hub_handle(). */
void hub_stop(struct hub *hub);

/* Obeys one request; `receive` waits. Returns the status, and the answer (new reference). */
int hub_handle(struct hub *hub, const char *what, const json_t *request, json_t **ret);

/* The listening side. NULL, with errno, when the address cannot be had: it is another host's, or another process has it. */
struct hub_server;
struct hub_server *hub_server_start(const char *host, int port, const char *secret);
void hub_server_stop(struct hub_server *server);

enum { SIGNATURE_TEXT = 65, MESSAGE_LIMIT = 32 << 20, CLOCK_SKEW_S = 300 };
#define HUB_PATH "/messages/v1/"

/* The text of HMAC-SHA256 over the parts (each ended by a line end), under the secret that all processes share. */
void hub_sign(const char *secret, const char *what, const char *date, const char *body, size_t length, char to[SIGNATURE_TEXT]);

#endif
