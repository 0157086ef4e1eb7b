/* script.h - the server-side scripts of core/scripts, embedded by the build (core/scripts/embed.sh). */
#ifndef TOKENSTORE_SCRIPT_H
#define TOKENSTORE_SCRIPT_H

#include <stddef.h>

typedef struct tks_script {
    const char *name;
    const char *sha1; /* 40 hexadecimal digits: what EVALSHA takes */
    const char *text;
    size_t size;
} tks_script;

extern const tks_script tks_script_create;
extern const tks_script tks_script_delete;
extern const tks_script tks_script_delete_all;
extern const tks_script tks_script_delete_by_id;
extern const tks_script tks_script_list;
extern const tks_script tks_script_refresh;
extern const tks_script tks_script_rotate;
extern const tks_script tks_script_update;

#endif
