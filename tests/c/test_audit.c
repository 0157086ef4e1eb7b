/* test_audit.c - audited operations: what they send, what they make of the answer, and the stream on a cluster. */
#include "audit_help.h"
#include "server.h"
#include "test.h"

/* How often `part` is in what is to be sent. */
static int count_in_batch(const tks_op *op, const char *part) {
    tks_bytes bytes = tks_op_get_batch(op)->bytes;
    size_t size = strlen(part);
    int count = 0;
    for (size_t i = 0; i + size <= bytes.size; i++) {
        count += memcmp(bytes.data + i, part, size) == 0;
    }
    return count;
}

static audit_fixture begin_audited(int64_t stream_size) {
    audit_fixture f = audit_begin();
    CHECK_STATUS(tks_op_audit(f.op, TKS_LITERAL("alice"), stream_size, NULL), TKS_OK);
    return f;
}

static void check_event(const audit_fixture *f) {
    const tks_audit_event *events = NULL;
    if (!CHECK_INT(tks_op_get_events(f->op, &events), 1)) return;
    CHECK_BYTES(events[0].kind, TKS_LITERAL("ended"));
    CHECK_BYTES(events[0].name, TKS_LITERAL("session_expired"));
    CHECK_BYTES(events[0].reason, TKS_LITERAL("logout"));
    CHECK_BYTES(events[0].app, TKS_LITERAL("web"));
    CHECK_BYTES(events[0].type, TKS_LITERAL("session"));
    CHECK_BYTES(events[0].owner, TKS_LITERAL("bob"));
    CHECK_BYTES(events[0].id, test_bytes(f->id));
    CHECK_INT(events[0].at_ms, INT64_C(1700000000123));
    CHECK(events[0].stored);
}

TEST(audit_costs_nothing_where_nobody_asks) {
    audit_fixture plain = audit_begin(), audited = begin_audited(100);
    const tks_audit_event *events = NULL;
    tks_op *writer = NULL;
    CHECK_INT(cluster_step(plain.op, TKS_EVENT_START), TKS_NEED_SEND);
    CHECK_INT(cluster_step(audited.op, TKS_EVENT_START), TKS_NEED_SEND);
    CHECK_INT(count_in_batch(plain.op, "audit"), 0);
    CHECK_INT(count_in_batch(plain.op, "session"), 0);
    CHECK_INT(count_in_batch(audited.op, "ts:audit"), 1);
    CHECK_INT(count_in_batch(audited.op, "ended=session_expired"), 1);
    CHECK_INT(count_in_batch(audited.op, "\r\nalice\r\n"), 1);
    CHECK_INT(tks_op_get_events(plain.op, &events), 0);
    CHECK_STATUS(tks_op_write_events(plain.op, &writer, NULL), TKS_OK);
    CHECK(writer == NULL);
    audit_end(&plain);
    audit_end(&audited);
}

TEST(audit_takes_the_events_out_of_the_answer) {
    char text[512];
    tks_op *writer = NULL;
    for (int with_stream = 0; with_stream < 2; with_stream++) {
        audit_fixture f = begin_audited(with_stream ? 100 : 0);
        CHECK_INT(cluster_step(f.op, TKS_EVENT_START), TKS_NEED_SEND);
        CHECK_INT(count_in_batch(f.op, "ts:audit"), with_stream);
        CHECK_INT(cluster_answer(f.op, audit_reply(&f, "", text)), TKS_DONE);
        CHECK_INT(tks_op_get_result(f.op)->integer, 1);
        check_event(&f);
        CHECK(tks_notes_is_empty(tks_op_get_notes(f.op)));
        CHECK_STATUS(tks_op_write_events(f.op, &writer, NULL), TKS_OK);
        CHECK(writer == NULL); /* the script has written it */
        audit_end(&f);
    }
}

TEST(audit_of_an_unknown_script_and_a_lost_answer) {
    char text[512];
    audit_fixture f = begin_audited(100);
    const tks_audit_event *events = NULL;
    CHECK_INT(cluster_step(f.op, TKS_EVENT_START), TKS_NEED_SEND);
    CHECK_INT(cluster_answer(f.op, "-NOSCRIPT No matching script.\r\n"), TKS_NEED_SEND);
    CHECK_INT(count_in_batch(f.op, "'XADD', stream"), 1); /* the text is of the audited form */
    CHECK_INT(cluster_answer(f.op, audit_reply(&f, "", text)), TKS_DONE);
    check_event(&f);
    audit_end(&f);
    f = begin_audited(100);
    CHECK_INT(cluster_step(f.op, TKS_EVENT_START), TKS_NEED_SEND);
    CHECK_INT(cluster_lose(f.op, true), TKS_FAILED);
    CHECK_STATUS(tks_op_get_error(f.op)->status, TKS_ERR_OUTCOME_UNKNOWN);
    CHECK_INT(tks_op_get_events(f.op, &events), 0); /* nobody knows */
    audit_end(&f);
}

TEST(audit_warns_where_the_stream_was_not_written) {
    char text[512];
    audit_fixture f = begin_audited(100);
    tks_buf lines;
    tks_buf_init(&lines, 10000);
    CHECK_INT(cluster_step(f.op, TKS_EVENT_START), TKS_NEED_SEND);
    CHECK_INT(cluster_answer(f.op, audit_reply(&f, "OOM no memory", text)), TKS_DONE);
    CHECK_INT(tks_op_get_result(f.op)->integer, 1); /* the change is made */
    check_event(&f);
    CHECK_STATUS(tks_notes_take(tks_op_get_notes(f.op), &lines), TKS_OK);
    CHECK_STATUS(tks_buf_append_char(&lines, '\0'), TKS_OK);
    CHECK_CONTAINS(lines.data,
                   "wthe change was made, but not written to the audit stream: OOM no memory");
    tks_buf_clear(&lines);
    audit_end(&f);
}

TEST(audit_on_a_cluster_has_a_writer) {
    char text[512];
    audit_fixture f = begin_audited(100);
    tks_router *router = cluster_known();
    tks_op *writer = NULL;
    tks_op_set_router(f.op, router);
    CHECK_INT(cluster_step(f.op, TKS_EVENT_START), TKS_NEED_SEND);
    CHECK_INT(count_in_batch(f.op, "ts:audit"), 0); /* it has another slot */
    CHECK_INT(cluster_answer(f.op, audit_reply(&f, "", text)), TKS_DONE);
    check_event(&f);
    CHECK_STATUS(tks_op_write_events(f.op, &writer, NULL), TKS_OK);
    if (CHECK(writer != NULL)) {
        CHECK_INT(cluster_step(writer, TKS_EVENT_START), TKS_NEED_SEND);
        CHECK_INT(count_in_batch(
                      writer, "XADD\r\n$8\r\nts:audit\r\n$6\r\nMAXLEN\r\n$1\r\n~\r\n$3\r\n100\r\n"),
                  1);
        CHECK_INT(count_in_batch(writer, "$5\r\nactor\r\n$5\r\nalice\r\n"), 1);
    }
    tks_op_free(writer);
    tks_router_free(router);
    audit_end(&f);
}

/* Another request's answer, or none of a script at all: the operation fails as without audit. */
TEST(audit_of_answers_of_another_form) {
    static const char *const answers[] = {
        ":1\r\n",
        "$-1\r\n",
        "*0\r\n",
        "*1\r\n:1\r\n",
        "*3\r\n:1\r\n:1\r\n:1\r\n",
        "*4\r\n*2\r\n$5\r\n!!!!0\r\n:1\r\n$0\r\n\r\n$1\r\n1\r\n*1\r\n:1\r\n",
        "*2\r\n$5\r\nabcd0\r\n:1\r\n",
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        audit_fixture f = begin_audited(100);
        const tks_audit_event *events = NULL;
        test_context("answer %zu", i);
        CHECK_INT(cluster_step(f.op, TKS_EVENT_START), TKS_NEED_SEND);
        CHECK_INT(cluster_answer(f.op, answers[i]), TKS_FAILED);
        CHECK_STATUS(tks_op_get_error(f.op)->status, TKS_ERR_OUTCOME_UNKNOWN);
        CHECK_INT(tks_op_get_trust(f.op), TKS_TRUST_CLOSE);
        CHECK_INT(tks_op_get_events(f.op, &events), 0);
        audit_end(&f);
    }
    test_context("%s", "");
}

/* Where HSETEX would create a token, the script does, which tells. */
TEST(audit_creates_by_the_script) {
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    const tks_new_token new = {.app = TKS_LITERAL("a"),
                               .type = TKS_LITERAL("t"),
                               .data = TKS_LITERAL("{}")};
    tks_tokens *tokens = NULL;
    CHECK_STATUS(tks_tokens_new(&options, &tokens, NULL), TKS_OK);
    for (int audited = 0; audited < 2; audited++) {
        tks_server *server = tks_server_new();
        tks_op *op = NULL;
        tksp_server_set_ends_fields(server, TKSP_YES);
        tksp_server_set_sets_ending(server, TKSP_YES);
        tksp_server_learn_time(server, INT64_C(1700000000000000), 1000);
        CHECK_STATUS(tks_tokens_create(tokens, &new, &op, NULL), TKS_OK);
        tks_op_set_server(op, server);
        if (audited) CHECK_STATUS(tks_op_audit(op, tks_bytes_of(NULL, 0), 0, NULL), TKS_OK);
        tks_event start = {.type = TKS_EVENT_START, .boot_ms = 1000};
        CHECK_INT(tks_op_step(op, &start), TKS_NEED_SEND);
        CHECK_INT(count_in_batch(op, "HSETEX"), !audited);
        CHECK_INT(count_in_batch(op, "EVALSHA"), audited);
        tks_op_free(op);
        tks_server_free(server);
    }
    tks_tokens_free(tokens);
}

TEST(audit_of_a_long_actor) {
    char actor[TKS_NAME_MAX + 1];
    tks_error err = TKS_ERROR_INIT;
    audit_fixture f = audit_begin();
    memset(actor, 'x', sizeof actor);
    CHECK_STATUS(tks_op_audit(f.op, tks_bytes_of(actor, sizeof actor), 0, &err), TKS_ERR_DATA);
    CHECK_CONTAINS(err.message, "actor: 1025 bytes");
    CHECK_STATUS(tks_op_audit(f.op, tks_bytes_of(actor, TKS_NAME_MAX), 0, &err), TKS_OK);
    audit_end(&f);
}
