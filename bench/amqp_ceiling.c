/* SPDX-License-Identifier: Apache-2.0
 *
 * amqp_ceiling PORT USER PASSWORD VHOST quorum|classic COUNT: what librabbitmq alone needs: a message is published to such a queue
 * (both durable) on one connection and consumed on another, one after the other; and published with its confirm awaited.
 * Microseconds: "round p50 p99 confirm p50 p99".
 */
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char QUEUE[] = "bench-ceiling";

static void check(amqp_rpc_reply_t reply, const char *what)
{
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        fprintf(stderr, "%s failed\n", what);
        exit(1);
    }
}

static amqp_connection_state_t open_connection(char **argv)
{
    amqp_connection_state_t state = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(state);
    if (amqp_socket_open(socket, "127.0.0.1", atoi(argv[1])) != AMQP_STATUS_OK)
        exit(1);
    check(amqp_login(state, argv[4], 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, argv[2], argv[3]), "login");
    amqp_channel_open(state, 1);
    check(amqp_get_rpc_reply(state), "channel");
    return state;
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void publish(amqp_connection_state_t state)
{
    static char body[600];
    const amqp_basic_properties_t persistent = { ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = 2 };
    const amqp_bytes_t message = { sizeof(body), body };
    amqp_basic_publish(state, 1, amqp_empty_bytes, amqp_cstring_bytes(QUEUE), 0, 0, &persistent, message);
}

static void consume(amqp_connection_state_t state)
{
    amqp_envelope_t envelope;
    amqp_maybe_release_buffers(state);
    check(amqp_consume_message(state, &envelope, NULL, 0), "consume");
    amqp_basic_ack(state, 1, envelope.delivery_tag, 0);
    amqp_destroy_envelope(&envelope);
}

int main(int argc, char **argv)
{
    if (argc != 7)
        return 1;
    size_t count = (size_t)atoi(argv[6]);
    int64_t *round = calloc(count, sizeof(*round)), *confirm = calloc(count, sizeof(*confirm));
    amqp_connection_state_t sender = open_connection(argv), receiver = open_connection(argv);
    amqp_table_entry_t type = { .key = amqp_cstring_bytes("x-queue-type"), .value = { .kind = AMQP_FIELD_KIND_UTF8,
        .value.bytes = amqp_cstring_bytes(argv[5]) } };
    amqp_queue_declare(receiver, 1, amqp_cstring_bytes(QUEUE), 0, 1, 0, 0, (amqp_table_t){ 1, &type });
    check(amqp_get_rpc_reply(receiver), "declare");
    amqp_basic_consume(receiver, 1, amqp_cstring_bytes(QUEUE), amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
    check(amqp_get_rpc_reply(receiver), "consume");
    for (size_t i = 0; i < count; i++) {
        int64_t begin = now_us();
        publish(sender);
        consume(receiver);
        round[i] = now_us() - begin;
    }
    amqp_confirm_select(sender, 1);
    for (size_t i = 0; i < count; i++) {
        amqp_frame_t frame;
        int64_t begin = now_us();
        publish(sender);
        amqp_simple_wait_frame(sender, &frame);
        confirm[i] = now_us() - begin;
        consume(receiver);
        amqp_maybe_release_buffers(sender);
    }
    qsort(round, count, sizeof(*round), by_time);
    qsort(confirm, count, sizeof(*confirm), by_time);
    printf("%lld %lld %lld %lld\n", (long long)round[count / 2], (long long)round[count * 99 / 100], (long long)confirm[count / 2],
        (long long)confirm[count * 99 / 100]);
    return 0;
}
