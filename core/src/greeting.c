/* greeting.c - see tokenstore/greeting.h. */
#include "tokenstore/greeting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tokenstore/secret.h"

enum { GREETING_MAX_SIZE = 64 * 1024, REASON_SIZE = 200 };

static const char ROLE[] = "ROLE";

static tks_bytes text(const char *s) {
    return tks_bytes_of(s, strlen(s));
}

static tks_status add(tks_greeting *g, const char *name, size_t argc, const tks_bytes *argv) {
    g->names[g->count++] = name;
    return tks_resp_format(&g->out, argc, argv);
}

/* ---- credentials ------------------------------------------------------------------------------- */

static char *copy(tks_bytes bytes) {
    char *made = malloc(bytes.size + 1);
    if (made != NULL) {
        memcpy(made, bytes.data, bytes.size);
        made[bytes.size] = '\0';
    }
    return made;
}

static void wipe(char *secret) {
    if (secret != NULL) {
        tks_wipe(secret, strlen(secret));
        free(secret);
    }
}

tks_status tks_credentials_init(tks_credentials *credentials, tks_bytes user, tks_bytes password) {
    *credentials = (tks_credentials){NULL, copy(password), false};
    if (user.data != NULL) {
        credentials->user = copy(user);
    }
    if (credentials->password != NULL && (user.data == NULL || credentials->user != NULL)) {
        return TKS_OK;
    }
    tks_credentials_clear(credentials);
    return TKS_ERR_MEMORY;
}

void tks_credentials_clear(tks_credentials *credentials) {
    wipe(credentials->user);
    wipe(credentials->password);
    *credentials = (tks_credentials){NULL, NULL, false};
}

/* ---- commands ---------------------------------------------------------------------------------- */

static tks_status add_auth(tks_greeting *g, const char *user, const char *password) {
    if (user != NULL) {
        tks_bytes argv[] = {TKS_LITERAL("AUTH"), text(user),
                            text(password != NULL ? password : "")};
        return add(g, "AUTH", 3, argv);
    }
    if (password != NULL) {
        tks_bytes argv[] = {TKS_LITERAL("AUTH"), text(password)};
        return add(g, "AUTH", 2, argv);
    }
    return TKS_OK;
}

static tks_status add_commands(tks_greeting *g, const tks_target *target,
                               const tks_credentials *credentials) {
    tks_status status = credentials != NULL ? add_auth(g, credentials->user, credentials->password)
                                            : add_auth(g, target->user, target->password);
    if (status == TKS_OK && target->db != 0) {
        char digits[16];
        (void)snprintf(digits, sizeof digits, "%u", (unsigned)target->db);
        tks_bytes argv[] = {TKS_LITERAL("SELECT"), text(digits)};
        status = add(g, "SELECT", 2, argv);
    }
    if (status == TKS_OK && target->client_name != NULL) {
        tks_bytes argv[] = {TKS_LITERAL("CLIENT"), TKS_LITERAL("SETNAME"),
                            text(target->client_name)};
        status = add(g, "CLIENT SETNAME", 3, argv);
    }
    if (status == TKS_OK && target->expects_primary) {
        tks_bytes argv[] = {TKS_LITERAL("ROLE")};
        status = add(g, ROLE, 1, argv);
    }
    if (status == TKS_OK && g->count == 0) {
        /* A server at its client limit, a TLS port, and with TLS 1.3 a server that rejects our certificate
         * report it only after the first command. PING makes them report it here, before a command is sent
         * whose outcome would be unknown. */
        tks_bytes argv[] = {TKS_LITERAL("PING")};
        status = add(g, "PING", 1, argv);
    }
    return status;
}

tks_status tks_greeting_init(tks_greeting *greeting, const tks_target *target,
                             const tks_credentials *credentials, tks_error *err) {
    greeting->count = 0;
    tks_buf_init(&greeting->out, GREETING_MAX_SIZE);
    tks_status status = add_commands(greeting, target, credentials);
    return status == TKS_OK
               ? TKS_OK
               : tks_fail(err, status, "could not build the commands that open the connection");
}

const char *tks_greeting_get_hint(const tks_target *target) {
    if (target->tls) {
        return " (does the server accept the client certificate, cert= and key=?)";
    }
    return target->transport == TKS_TCP ? " (for a TLS port use rediss://)" : "";
}

void tks_greeting_clear(tks_greeting *greeting) {
    tks_buf_wipe(&greeting->out);
}

/* ---- replies ----------------------------------------------------------------------------------- */

/* The server's error, unless it repeats the password. A URL without the colon has the password as its user.
 * */
static const char *describe(const tks_reply *reply, const tks_target *target,
                            const tks_credentials *credentials, char *out, size_t size) {
    const char *password = target->password != NULL ? target->password : target->user;
    if (credentials != NULL) {
        password = credentials->password;
    }
    tks_reply_describe_error(reply, out, size);
    if (password != NULL && *password != '\0' && strstr(out, password) != NULL) {
        return "(error withheld: it contains the password)";
    }
    return out;
}

/* Sentinels said that it is the primary. It may have been one, and not know yet that it is one no more. */
static tks_status judge_role(const tks_reply *reply, tks_error *err) {
    bool some = tks_reply_get_type(reply) == TKS_REPLY_ARRAY && tks_reply_get_size(reply) > 0;
    const tks_reply *role = some ? tks_reply_get_item(reply, 0) : NULL;
    if (role != NULL && tks_reply_get_type(role) == TKS_REPLY_STRING &&
        tks_bytes_equal(tks_reply_get_bytes(role), TKS_LITERAL("master"))) {
        return TKS_OK;
    }
    return tks_fail(err, TKS_ERR_CONNECTION, "this server is not the primary now");
}

static tks_status judge(const char *command, const tks_reply *reply, const tks_target *target,
                        tks_credentials *credentials, bool *final, tks_error *err) {
    char reason[REASON_SIZE];
    if (command == ROLE && tks_reply_get_type(reply) != TKS_REPLY_ERROR) {
        return judge_role(reply, err);
    }
    /* Any answer to PING is accepted, except that of a server that is full or in protected mode,
     * which closes the connection. */
    if (tks_reply_get_type(reply) == TKS_REPLY_STATUS ||
        (strcmp(command, "PING") == 0 && !tks_reply_is_refusal(reply))) {
        return TKS_OK;
    }
    if (tks_reply_get_type(reply) != TKS_REPLY_ERROR) {
        return tks_fail(err, TKS_ERR_CONNECTION, "unexpected reply to %s: is this a Redis server?",
                        command);
    }
    if (tks_reply_is_refusal(reply)) {
        tks_status status = tks_reply_check_refusal(reply, err);
        *final = status == TKS_ERR_SERVER;
        return status;
    }
    const char *why = describe(reply, target, credentials, reason, sizeof reason);
    if (tks_reply_is_not_now(reply)) {
        return tks_fail(err, TKS_ERR_CONNECTION, "not ready: %s", why);
    }
    *final = true;
    bool auth = strcmp(command, "AUTH") == 0;
    bool no_password = auth && credentials == NULL && target->password == NULL;
    if (auth && credentials != NULL) {
        credentials->refused = true;
    }
    return tks_fail(err, TKS_ERR_SERVER, "%s refused: %s%s", command, why,
                    no_password ? " (the URL has a user but no password; a password alone is "
                                  "written redis://:PASSWORD@host)"
                                : "");
}

tks_status tks_greeting_judge(const tks_greeting *greeting, const tks_target *target,
                              tks_credentials *credentials, tks_reply *const *replies, size_t count,
                              bool *final, tks_error *err) {
    tks_status status = TKS_OK;
    *final = false;
    for (size_t i = 0; i < count && status == TKS_OK; i++) {
        status = judge(greeting->names[i], replies[i], target, credentials, final, err);
    }
    return status;
}
