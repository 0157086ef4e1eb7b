/* tokens_request.c - who asked for a token: what create keeps of the request beside the data. */
#include "tokens_private.h"

enum { PART_MAX = 256 }; /* bytes of an address, of a user agent */

/* The text without what is beyond the limit, cut between two characters of UTF-8. */
static tks_bytes cut(tks_bytes text) {
    if (text.size <= PART_MAX) return text;
    text.size = PART_MAX;
    while (text.size > 0 && ((unsigned char)text.data[text.size] & 0xc0) == 0x80) text.size--;
    return text;
}

static tks_status take_member(const tks_json *member, tksp_arena *arena, tksp_record *record,
                              tks_error *err) {
    tks_bytes name = tks_json_get_name(member);
    bool address = tks_bytes_equal(name, TKS_LITERAL("address"));
    if (!address && !tks_bytes_equal(name, TKS_LITERAL("user_agent"))) {
        return tks_fail(err, TKS_ERR_DATA, "request has address and user_agent, nothing else");
    }
    if (tks_json_get_type(member) == TKS_JSON_NULL) return TKS_OK;
    if (tks_json_get_type(member) != TKS_JSON_STRING) {
        return tks_fail(err, TKS_ERR_DATA, "request.%s must be text",
                        address ? "address" : "user_agent");
    }
    tks_bytes text = tksp_arena_dup(arena, cut(tks_json_get_string(member)));
    *(address ? &record->address : &record->agent) = text;
    return arena->status;
}

tks_status tksp_take_request(tks_bytes request, tksp_arena *arena, tksp_record *record,
                             tks_error *err) {
    tks_json *tree = NULL;
    if (request.data == NULL) return TKS_OK;
    tks_status status = tks_json_parse(request, SIZE_MAX, &tree, err);
    if (status == TKS_OK && tks_json_get_type(tree) != TKS_JSON_OBJECT) {
        status =
            tks_fail(err, TKS_ERR_DATA, "request is not an object: give address and user_agent");
    }
    const tks_json *member = status == TKS_OK ? tks_json_get_child(tree) : NULL;
    for (; status == TKS_OK && member != NULL; member = tks_json_get_next(member)) {
        status = take_member(member, arena, record, err);
    }
    tks_json_free(tree);
    return status;
}
