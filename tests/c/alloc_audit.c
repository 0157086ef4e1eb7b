/* alloc_audit.c - every allocation of an audited operation fails in turn. */
#include "alloc.h"
#include "audit_help.h"
#include "test.h"

/* All steps; true if each succeeded. */
static bool run(audit_fixture *f, tks_router *router) {
    char text[512];
    const tks_audit_event *events = NULL;
    tks_op *writer = NULL;
    if (tks_op_audit(f->op, TKS_LITERAL("alice"), 100, NULL) != TKS_OK) return false;
    if (router != NULL) tks_op_set_router(f->op, router);
    tks_event start = {.type = TKS_EVENT_START};
    if (tks_op_step(f->op, &start) != TKS_NEED_SEND) return false;
    alloc_leave();
    tks_reply *reply = cluster_reply(audit_reply(f, "OOM", text));
    alloc_enter();
    tks_reply *replies[] = {reply};
    tks_event answered = {.type = TKS_EVENT_REPLIES, .replies = replies};
    tks_need need = tks_op_step(f->op, &answered);
    tks_reply_free(replies[0]);
    bool whole = need == TKS_DONE && tks_op_get_events(f->op, &events) == 1;
    whole = tks_op_write_events(f->op, &writer, NULL) == TKS_OK && whole;
    tks_op_free(writer);
    return whole;
}

static void fail_each(tks_router *router) {
    bool failed = true;
    for (long n = 1; failed && n < 1000; n++) {
        long before = alloc_live();
        audit_fixture f = audit_begin();
        alloc_enter();
        alloc_fail_at(n);
        bool whole = run(&f, router);
        failed = alloc_failed();
        alloc_fail_at(0);
        alloc_leave();
        CHECK(whole || failed);
        audit_end(&f);
        CHECK_INT(alloc_live(), before);
    }
    CHECK(!failed);
}

TEST(alloc_audit_each_fails) {
    fail_each(NULL);
    tks_router *router = cluster_known();
    fail_each(router);
    tks_router_free(router);
}
