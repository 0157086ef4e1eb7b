/* test_embedded_client.c - the blocking driver on a private server, end to end. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "embedded_help.h"
#include "test.h"
#include "tokenstore/client.h"

static tks_client *open_client(const char *url) {
    tks_error err = TKS_ERROR_INIT;
    tks_target *target = NULL;
    tks_client *client = NULL;
    CHECK_STATUS(tks_target_parse(test_bytes(url), &target, &err), TKS_OK);
    if (target != NULL && help_binary() != NULL) {
        CHECK_STATUS(tks_target_set(target, "server", test_bytes(help_binary()), &err), TKS_OK);
    }
    if (target != NULL) CHECK_STATUS(tks_client_new(target, NULL, &client, &err), TKS_OK);
    CHECK_TEXT(err.message, "");
    return client;
}

/* Runs one command; the reply's text in the caller's 64 bytes. */
static tks_status run(tks_client *client, size_t argc, const char *const *words, char *out) {
    tks_bytes argv[4];
    tks_error err = TKS_ERROR_INIT;
    tks_op *op;
    for (size_t i = 0; i < argc; i++) argv[i] = test_bytes(words[i]);
    out[0] = '\0';
    tks_status status = tks_raw_new(1, &argc, argv, NULL, NULL, &op, &err);
    if (status == TKS_OK) status = tks_client_run(client, op, 0, NULL, &err);
    if (status == TKS_OK) {
        tks_bytes text = tks_reply_get_bytes(tks_op_get_result(op)->replies[0]);
        snprintf(out, 64, "%.*s", (int)text.size, text.data);
    }
    tks_op_free(op);
    return status;
}

static tks_status set_key(tks_client *client) {
    char reply[64];
    return run(client, 3, (const char *const[]){"SET", "key", "value"}, reply);
}

static tks_status get_key(tks_client *client, char *out) {
    return run(client, 2, (const char *const[]){"GET", "key"}, out);
}

TEST(embedded_client_runs_operations) {
    char reply[64], socket[128], home[128];
    tks_client *client = open_client("embedded:");
    if (client == NULL) return;
    snprintf(socket, sizeof socket, "%s", tks_client_get_target(client)->path);
    CHECK_INT(tks_client_get_target(client)->transport, TKS_UNIX);
    CHECK_STATUS(set_key(client), TKS_OK);
    CHECK_STATUS(get_key(client, reply), TKS_OK);
    CHECK_TEXT(reply, "value");

    fflush(stdout);
    pid_t child = fork(); /* may use the server but does not stop it */
    if (child == 0) {
        bool works = get_key(client, reply) == TKS_OK && strcmp(reply, "value") == 0;
        tks_client_free(client);
        _exit(works ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CHECK_INT(status, 0);
    CHECK_STATUS(get_key(client, reply), TKS_OK);

    tks_client_close(client);
    CHECK(!help_exists(help_home(socket, home)));
    CHECK_STATUS(get_key(client, reply), TKS_ERR_CLOSED);
    tks_client_free(client);
}

TEST(embedded_client_keeps_data_in_a_directory) {
    char base[64], url[96], reply[64];
    help_make_directory(base);
    snprintf(url, sizeof url, "embedded:%s", base);
    tks_client *client = open_client(url);
    if (client != NULL) CHECK_STATUS(set_key(client), TKS_OK);
    tks_client_free(client);
    client = open_client(url);
    if (client != NULL && CHECK_STATUS(get_key(client, reply), TKS_OK)) CHECK_TEXT(reply, "value");
    tks_client_free(client);
    help_remove_directory(base);
}

/* Begins an ECHO of `word`; NULL: failure. */
static tks_flight *begin_echo(tks_client *client, const char *word, tks_op **op) {
    const tks_bytes argv[] = {TKS_LITERAL("ECHO"), test_bytes(word)};
    size_t argc = 2;
    tks_error err = TKS_ERROR_INIT;
    tks_flight *flight = NULL;
    CHECK_STATUS(tks_raw_new(1, &argc, argv, NULL, NULL, op, &err), TKS_OK);
    CHECK_STATUS(tks_client_begin(client, *op, 0, NULL, &flight, &err), TKS_OK);
    return flight;
}

TEST(embedded_client_runs_in_two_halves) {
    enum { FLIGHTS = 3 };
    static const char *const words[FLIGHTS] = {"one", "two", "three"};
    tks_client *client = open_client("embedded:");
    tks_flight *flights[FLIGHTS];
    tks_op *ops[FLIGHTS];
    char reply[64];
    if (client == NULL) return;

    /* Several run at once, each on its own connection; any may end first. */
    for (int i = 0; i < FLIGHTS; i++) flights[i] = begin_echo(client, words[i], &ops[i]);
    for (int i = FLIGHTS - 1; i >= 0; i--) {
        tks_error err = TKS_ERROR_INIT;
        CHECK_STATUS(tks_flight_end(flights[i], &err), TKS_OK);
        CHECK_BYTES(tks_reply_get_bytes(tks_op_get_result(ops[i])->replies[0]),
                    test_bytes(words[i]));
        tks_op_free(ops[i]);
    }

    /* An abandoned one must not leave its reply to the next. */
    for (int i = 0; i < 50; i++) {
        tks_flight_free(begin_echo(client, "given up", &ops[0]));
        tks_op_free(ops[0]);
        CHECK_STATUS(run(client, 2, (const char *const[]){"ECHO", "mine"}, reply), TKS_OK);
        CHECK_TEXT(reply, "mine");
    }
    tks_client_close(client);
    tks_error err = TKS_ERROR_INIT;
    size_t argc = 1;
    const tks_bytes ping = TKS_LITERAL("PING");
    CHECK_STATUS(tks_raw_new(1, &argc, &ping, NULL, NULL, &ops[0], &err), TKS_OK);
    CHECK_STATUS(tks_client_begin(client, ops[0], 0, NULL, &flights[0], &err), TKS_ERR_CLOSED);
    CHECK(flights[0] == NULL);
    tks_op_free(ops[0]);
    tks_flight_free(NULL);
    tks_client_free(client);
}
