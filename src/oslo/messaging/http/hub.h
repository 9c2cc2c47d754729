/* SPDX-License-Identifier: Apache-2.0
 *
 * hub: the place where processes without a broker meet. It keeps messages in memory until the process that took one says
 * that it was handled; a process that is not heard of for a while, or whose connection ended and that does not come back at
 * once, has its messages given to others.
 *
 * Nothing is lost with a hub. Whoever sent a message keeps it until the hub tells that it was handled ("settled"), and sends
 * it again, under the same id, when another hub has taken the address over. A hub whose process ends waits a moment for what
 * is being handled (hub_drain()) and hands the rest to the next one (hub_take_left()). An id that is known is not taken twice,
 * and who handled a message of the hub before says so to this one. Only what a process sent that was killed together with
 * its hub is lost; the role that holds the rows finds that. Requests and answers are JSON objects (driver.c has the other end):
 *
 *     receive  {"session", "serves": [[exchange, topic, server, place], ..], "change", "wait_ms", "last": number of the last answer
 *              heard} -> {"number", "messages": [[tag, place or -1: an answer to a call, body], ..], "hub": which hub this is,
 *              "settled": [tag, ..]}                     a tag is the first 15 digits of the message's id, as a number; 0: nobody
 *              waits to hear of it
 *     serve    {"session", "serves", "change"} -> {}     the same without waiting; an older change does not replace a newer one
 *     send     {"id", "session", "kind", "exchange", "topic", "server", "body", "ttl_ms", "again": it was sent to another hub
 *              before} -> {"hub"}; 404: nobody serves that; 503: not now
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

/* Hands nothing on any more and takes nothing; returns when what was handed on is handled, at the latest after timeout_ms. */
void hub_drain(struct hub *hub, int timeout_ms);

/* The requests ("send") whose messages are not handled, for another hub; a new reference. After hub_stop(), once nobody is in
 * hub_handle(). */
json_t *hub_take_left(struct hub *hub);

/* Obeys one request, which it may keep; `receive` waits, while somebody is at the other end of `fd`, its connection's. Returns
 * the status, and the answer (new reference). */
int hub_handle(struct hub *hub, const char *what, json_t *request, int fd, json_t **ret);

/* The listening side. `tls`: what it speaks TLS with (http/tls.h), which must live as long; NULL: in plain. NULL, with errno,
 * when the address cannot be had: it is another host's, or another process has it. */
struct hub_server;
struct MHD_OptionItem;
struct hub_server *hub_server_start(const char *host, int port, const char *secret, struct MHD_OptionItem *tls);
/* Returns what is left, see hub_take_left(). */
json_t *hub_server_stop(struct hub_server *server);

enum { SIGNATURE_TEXT = 65, MESSAGE_LIMIT = 32 << 20, CLOCK_SKEW_S = 300 };
#define HUB_PATH "/messages/v1/"

/* The text of HMAC-SHA256 over the parts (each ended by a line end), under the secret that all processes share. */
void hub_sign(const char *secret, const char *what, const char *date, const char *body, size_t length, char to[SIGNATURE_TEXT]);

#endif
