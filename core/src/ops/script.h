/* script.h - the server-side scripts of core/scripts, embedded by the build (core/scripts/embed.sh). */
#ifndef TKSP_SCRIPT_H
#define TKSP_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct tksp_script {
    const char *name;
    const char *sha1; /* 40 hexadecimal digits: what EVALSHA takes */
    const char *text;
    size_t size;
    const struct tksp_script *audited; /* its form that tells what it did; NULL: it has none */
    bool is_audited;                   /* it is such a form */
} tksp_script;

extern const tksp_script tksp_script_adopt;
extern const tksp_script tksp_script_alias_claim;
extern const tksp_script tksp_script_alias_extend;
extern const tksp_script tksp_script_count;
extern const tksp_script tksp_script_create;
extern const tksp_script tksp_script_delete;
extern const tksp_script tksp_script_delete_all;
extern const tksp_script tksp_script_end_family;
extern const tksp_script tksp_script_exists;
extern const tksp_script tksp_script_list;
extern const tksp_script tksp_script_move;
extern const tksp_script tksp_script_node_add;
extern const tksp_script tksp_script_node_clean;
extern const tksp_script tksp_script_node_delete;
extern const tksp_script tksp_script_node_delete_key;
extern const tksp_script tksp_script_node_reset;
extern const tksp_script tksp_script_node_set;
extern const tksp_script tksp_script_node_take_hash;
extern const tksp_script tksp_script_read;
extern const tksp_script tksp_script_refresh;
extern const tksp_script tksp_script_rjwt_clean;
extern const tksp_script tksp_script_rjwt_destroy;
extern const tksp_script tksp_script_rjwt_destroy_all;
extern const tksp_script tksp_script_rjwt_index;
extern const tksp_script tksp_script_rjwt_list;
extern const tksp_script tksp_script_rjwt_sign;
extern const tksp_script tksp_script_rotate;
extern const tksp_script tksp_script_settle;
extern const tksp_script tksp_script_spike_forget;
extern const tksp_script tksp_script_spike_store;
extern const tksp_script tksp_script_spike_unlock;
extern const tksp_script tksp_script_take;
extern const tksp_script tksp_script_update;
extern const tksp_script tksp_script_update_all;

#endif
