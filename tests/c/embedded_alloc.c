/* embedded_alloc.c - every allocation of a start fails in turn. */
#include "alloc.h"
#include "embedded_help.h"
#include "test.h"

TEST(embedded_survives_every_failed_allocation) {
    long n = 0;
    for (bool failed = true; failed;) {
        tks_error err = TKS_ERROR_INIT;
        tks_embedded *e;
        long live = alloc_live();
        alloc_fail_at(++n);
        alloc_enter();
        tks_status status = tks_embedded_start(NULL, NULL, HELP_TIMEOUT_MS, NULL, &e, &err);
        alloc_leave();
        failed = alloc_failed();
        test_context("allocation %ld", n);
        CHECK_STATUS(status, failed ? TKS_ERR_MEMORY : TKS_OK);
        CHECK_TEXT(err.message, failed ? tks_status_text(TKS_ERR_MEMORY) : "");
        CHECK((e == NULL) == failed);
        tks_embedded_stop(e);
        CHECK_INT(alloc_live(), live);
    }
    CHECK(n > 4);
}
