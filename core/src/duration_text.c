/* duration_text.c - durations as text: "15 minutes". No state. */
#include "number_text.h"
#include "tokenstore/jwt_sessions.h"

/* A unit with all its names, in milliseconds. A year is 365.25 days, as in the npm package ms. */
typedef struct unit {
    const char *names; /* each surrounded by spaces */
    double ms;
} unit;

static const unit units[] = {
    {" ms msec msecs millisecond milliseconds ", 1.0},
    {" s sec secs second seconds ", 1000.0},
    {" m min mins minute minutes ", 60.0 * 1000.0},
    {" h hr hrs hour hours ", 3600.0 * 1000.0},
    {" d day days ", 86400.0 * 1000.0},
    {" w week weeks ", 7.0 * 86400.0 * 1000.0},
    {" y yr yrs year years ", 365.25 * 86400.0 * 1000.0},
};

enum { TEXT_MAX = 100, NAME_MAX = 12 };

/* The unit named `name`, case-insensitive; 0: unknown. */
static double unit_of(tks_bytes name) {
    char padded[NAME_MAX + 3] = " ";
    if (name.size == 0 || name.size > NAME_MAX) return 0;
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
        if (c < 'a' || c > 'z') return 0;
        padded[i + 1] = c;
    }
    padded[name.size + 1] = ' ';
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strstr(units[i].names, padded) != NULL) return units[i].ms;
    }
    return 0;
}

tks_status tks_duration_text(tks_bytes text, const char *name, int64_t *out_ms, tks_error *err) {
    size_t at = 0;
    double value = 0, factor = 0;
    *out_ms = 0;
    if (text.size <= TEXT_MAX && tksp_number(text, &at, &value)) {
        while (at < text.size && text.data[at] == ' ') at++;
        factor = unit_of(tks_bytes_of(text.data + at, text.size - at));
    }
    if (factor == 0) {
        return tks_fail(
            err, TKS_ERR_DATA,
            "%s is not a duration: write a number and a unit, such as \"15 minutes\" or \"3 days\"",
            name);
    }
    return tks_duration(value * factor / 1000.0, name, out_ms, err);
}
