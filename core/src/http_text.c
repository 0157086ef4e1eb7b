/* http_text.c - see http_text.h. Letters are ASCII, independent of the locale. */
#include "http_text.h"

#include "tokenstore/secret.h"

static bool is_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

tks_bytes tksp_http_trim(tks_bytes text) {
    while (text.size > 0 && is_blank(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1])) {
        text.size--;
    }
    return text;
}

/* ---- forms and credentials ------------------------------------------------------------------- */

tks_status tksp_http_form_encode(tks_buf *out, tks_bytes text) {
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~') {
            (void)tks_buf_append_char(out, c);
        } else {
            unsigned char byte = (unsigned char)c;
            char escaped[3] = {'%', digits[byte >> 4], digits[byte & 15]};
            (void)tks_buf_append(out, escaped, sizeof escaped);
        }
    }
    return out->status;
}

tks_status tksp_http_form_field(tks_buf *out, tks_bytes name, tks_bytes value) {
    if (out->size > 0) {
        (void)tks_buf_append_char(out, '&');
    }
    (void)tksp_http_form_encode(out, name);
    (void)tks_buf_append_char(out, '=');
    return tksp_http_form_encode(out, value);
}

bool tksp_http_is_url(tks_bytes url) {
    return (url.size > 7 && memcmp(url.data, "http://", 7) == 0) ||
           (url.size > 8 && memcmp(url.data, "https://", 8) == 0);
}

tks_status tksp_http_basic(tks_buf *out, tks_bytes id, tks_bytes secret, bool raw) {
    tks_status (*const append)(tks_buf *, tks_bytes) =
        raw ? tks_buf_append_bytes : tksp_http_form_encode;
    tks_buf plain;
    tks_buf_init(&plain, out->max);
    (void)append(&plain, id);
    (void)tks_buf_append_char(&plain, ':');
    if (append(&plain, secret) != TKS_OK) {
        out->status = out->status == TKS_OK ? plain.status : out->status;
        goto cleanup;
    }
    (void)tks_buf_append_bytes(out, TKS_LITERAL("Basic "));
    (void)tks_encode(TKS_BASE64, plain.data, plain.size, out);
    for (size_t size = plain.size; size % 3 != 0; size++) {
        (void)tks_buf_append_char(out, '='); /* tks_encode writes no padding */
    }

cleanup:
    tks_buf_wipe(&plain);
    return out->status;
}

/* ---- header fields --------------------------------------------------------------------------- */

bool tksp_http_is_header_name(tks_bytes name) {
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        if (!is_alnum(c) && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL)) {
            return false;
        }
    }
    return name.size > 0;
}

bool tksp_http_is_header_value(tks_bytes value) {
    for (size_t i = 0; i < value.size; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if (c < ' ' || c == 0x7f) {
            return false;
        }
    }
    return tksp_http_trim(value).size == value.size;
}

bool tksp_http_name_is(tks_bytes name, const char *wanted) {
    size_t i = 0;
    while (i < name.size && wanted[i] != '\0' && lower(name.data[i]) == lower(wanted[i])) {
        i++;
    }
    return i == name.size && wanted[i] == '\0';
}

bool tksp_http_media_type_is(tks_bytes value, const char *type) {
    const char *end = value.size > 0 ? memchr(value.data, ';', value.size) : NULL;
    if (end != NULL) {
        value.size = (size_t)(end - value.data);
    }
    return tksp_http_name_is(tksp_http_trim(value), type);
}

/* ---- dates ----------------------------------------------------------------------------------- */

enum { YEAR_MAX = 9999, SECONDS_A_DAY = 86400, DAYS_TO_1970 = 719468 };

#define YEAR_S    INT64_C(31536000)                          /* of 365 days */
#define WINDOW_MS (INT64_C(50) * 36525 * SECONDS_A_DAY * 10) /* fifty years */

static const char *const SHORT_DAYS[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", NULL};
static const char *const LONG_DAYS[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                        "Friday", "Saturday", "Sunday",    NULL};
static const char *const MONTHS[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
                                     "Aug", "Sep", "Oct", "Nov", "Dec", NULL};

typedef struct date {
    int year, month, day, hour, minute, second; /* month: 1 … 12 */
} date;

/* The rest of the text. Errors are sticky. */
typedef struct reader {
    tks_bytes rest;
    bool failed;
} reader;

static void skip(reader *r, const char *text) {
    size_t size = strlen(text);
    if (r->failed || r->rest.size < size || memcmp(r->rest.data, text, size) != 0) {
        r->failed = true;
        return;
    }
    r->rest.data += size;
    r->rest.size -= size;
}

/* A number of exactly `digits` digits. */
static int number(reader *r, size_t digits) {
    int value = 0;
    if (r->failed || r->rest.size < digits) {
        r->failed = true;
        return 0;
    }
    for (size_t i = 0; i < digits; i++) {
        if (!is_digit(r->rest.data[i])) {
            r->failed = true;
            return 0;
        }
        value = value * 10 + (r->rest.data[i] - '0');
    }
    r->rest.data += digits;
    r->rest.size -= digits;
    return value;
}

/* Reads one of `names` and returns its index, from 1. */
static int name(reader *r, const char *const *names) {
    for (int i = 0; !r->failed && names[i] != NULL; i++) {
        size_t size = strlen(names[i]);
        if (r->rest.size >= size && memcmp(r->rest.data, names[i], size) == 0) {
            skip(r, names[i]);
            return i + 1;
        }
    }
    r->failed = true;
    return 0;
}

static void clock_time(reader *r, date *out) {
    out->hour = number(r, 2);
    skip(r, ":");
    out->minute = number(r, 2);
    skip(r, ":");
    out->second = number(r, 2);
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static bool read_fixed(tks_bytes text, date *out) {
    reader r = {text, false};
    (void)name(&r, SHORT_DAYS);
    skip(&r, ", ");
    out->day = number(&r, 2);
    skip(&r, " ");
    out->month = name(&r, MONTHS);
    skip(&r, " ");
    out->year = number(&r, 4);
    skip(&r, " ");
    clock_time(&r, out);
    skip(&r, " GMT");
    return !r.failed && r.rest.size == 0;
}

/* Sunday, 06-Nov-94 08:49:37 GMT; the year has two digits. */
static bool read_rfc850(tks_bytes text, date *out) {
    reader r = {text, false};
    (void)name(&r, LONG_DAYS);
    skip(&r, ", ");
    out->day = number(&r, 2);
    skip(&r, "-");
    out->month = name(&r, MONTHS);
    skip(&r, "-");
    out->year = number(&r, 2);
    skip(&r, " ");
    clock_time(&r, out);
    skip(&r, " GMT");
    return !r.failed && r.rest.size == 0;
}

/* Sun Nov  6 08:49:37 1994 */
static bool read_asctime(tks_bytes text, date *out) {
    reader r = {text, false};
    (void)name(&r, SHORT_DAYS);
    skip(&r, " ");
    out->month = name(&r, MONTHS);
    skip(&r, " ");
    if (r.rest.size > 0 && r.rest.data[0] == ' ') {
        skip(&r, " ");
        out->day = number(&r, 1);
    } else {
        out->day = number(&r, 2);
    }
    skip(&r, " ");
    clock_time(&r, out);
    skip(&r, " ");
    out->year = number(&r, 4);
    return !r.failed && r.rest.size == 0;
}

static bool is_date(const date *d) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (d->year % 4 == 0 && d->year % 100 != 0) || d->year % 400 == 0;
    return d->day >= 1 && d->day <= days[d->month - 1] + (d->month == 2 && leap) && d->hour < 24 &&
           d->minute < 60 && d->second <= 60; /* a leap second counts as the next second */
}

/* Milliseconds since 1970. Counts years from March, so that the leap day is the last day of a year. */
static int64_t date_ms(const date *d) {
    int64_t year = d->month <= 2 ? d->year - 1 : d->year;
    int64_t month = d->month <= 2 ? d->month + 9 : d->month - 3;
    int64_t leaps = year >= 0 ? year / 4 - year / 100 + year / 400 : -1;
    int64_t days = year * 365 + leaps + (month * 153 + 2) / 5 + d->day - 1 - DAYS_TO_1970;
    return (((days * 24 + d->hour) * 60 + d->minute) * 60 + d->second) * 1000;
}

static bool read_date(tks_bytes text, int64_t now_ms, int64_t *out_ms) {
    date d;
    if (read_fixed(text, &d) || read_asctime(text, &d)) {
        *out_ms = date_ms(&d);
        return is_date(&d);
    }
    if (!read_rfc850(text, &d)) {
        return false;
    }
    /* Two digits: the year within fifty of now (RFC 9110, 5.6.7). */
    for (d.year += 1900; date_ms(&d) <= now_ms - WINDOW_MS && d.year + 100 <= YEAR_MAX;) {
        d.year += 100;
    }
    *out_ms = date_ms(&d);
    return is_date(&d);
}

bool tksp_http_date(tks_bytes value, int64_t now_ms, int64_t *out_ms) {
    return read_date(tksp_http_trim(value), now_ms, out_ms);
}

bool tksp_http_retry_after(tks_bytes value, int64_t now_ms, int64_t *out_ms) {
    value = tksp_http_trim(value);
    size_t digits = 0;
    int64_t wait = 0;
    while (digits < value.size && is_digit(value.data[digits])) {
        wait = wait * 10 + (value.data[digits] - '0') * INT64_C(1000);
        wait = wait < TKSP_RETRY_AFTER_MAX_MS ? wait : TKSP_RETRY_AFTER_MAX_MS;
        digits++;
    }
    *out_ms = 0;
    if (digits == 0 || digits < value.size) {
        int64_t at;
        if (!read_date(value, now_ms, &at)) {
            return false;
        }
        wait = at > now_ms ? at - now_ms : 0;
    }
    *out_ms = wait < TKSP_RETRY_AFTER_MAX_MS ? wait : TKSP_RETRY_AFTER_MAX_MS;
    return true;
}

/* ---- Cache-Control ----------------------------------------------------------------------------- */

/* Takes the first directive, with its comma, from `rest`; false: none is left. */
static bool next_directive(tks_bytes *rest, tks_bytes *name_out, tks_bytes *value_out) {
    if (rest->size == 0) {
        return false;
    }
    const char *comma = memchr(rest->data, ',', rest->size);
    size_t size = comma != NULL ? (size_t)(comma - rest->data) : rest->size;
    tks_bytes whole = tks_bytes_of(rest->data, size);
    *rest = tks_bytes_of(rest->data + size, rest->size - size);
    if (comma != NULL) {
        *rest = tks_bytes_of(rest->data + 1, rest->size - 1);
    }
    const char *equals = size > 0 ? memchr(whole.data, '=', size) : NULL;
    size_t before = equals != NULL ? (size_t)(equals - whole.data) : size;
    *name_out = tksp_http_trim(tks_bytes_of(whole.data, before));
    *value_out = equals != NULL ? tksp_http_trim(tks_bytes_of(equals + 1, size - before - 1))
                                : tks_bytes_of(NULL, 0);
    return true;
}

/* Digits, quoted or not: RFC 9111 (5.2) requires readers to accept both. */
static bool read_seconds(tks_bytes text, int64_t *out_s) {
    if (text.size >= 2 && text.data[0] == '"' && text.data[text.size - 1] == '"') {
        text = tks_bytes_of(text.data + 1, text.size - 2);
    }
    *out_s = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (!is_digit(text.data[i])) {
            return false;
        }
        *out_s = *out_s * 10 + (text.data[i] - '0');
        *out_s = *out_s < YEAR_S ? *out_s : YEAR_S;
    }
    return text.size > 0;
}

bool tksp_http_max_age(tks_bytes cache_control, int64_t *out_s) {
    tks_bytes directive, value;
    bool found = false;
    *out_s = 0;
    while (next_directive(&cache_control, &directive, &value)) {
        int64_t seconds;
        if (tksp_http_name_is(directive, "no-store") || tksp_http_name_is(directive, "no-cache")) {
            *out_s = 0;
            return true;
        }
        if (!found && tksp_http_name_is(directive, "max-age") && read_seconds(value, &seconds)) {
            *out_s = seconds;
            found = true;
        }
    }
    return found;
}

/* ---- hosts that do not need TLS -------------------------------------------------------------- */

bool tksp_http_is_safe_url(tks_bytes url) {
    static const char http[] = "http://";
    size_t size = sizeof http - 1, end;
    if (url.size < size || memcmp(url.data, http, size) != 0) {
        return tksp_http_is_url(url);
    }
    tks_bytes host = tks_bytes_of(url.data + size, url.size - size);
    for (end = 0; end < host.size && strchr("/?#", host.data[end]) == NULL; end++) {
    }
    host.size = end;
    if (host.size >= 5 && memcmp(host.data, "[::1]", 5) == 0) {
        return host.size == 5 || host.data[5] == ':';
    }
    for (end = 0; end < host.size && host.data[end] != ':'; end++) {
    }
    for (size_t i = end; i < host.size; i++) { /* a port is digits only, so no '@' follows */
        if (i > end && !is_digit(host.data[i])) {
            return false;
        }
    }
    host.size = end;
    if (host.size < 4 || memcmp(host.data, "127.", 4) != 0) {
        return tksp_http_name_is(host, "localhost");
    }
    for (size_t i = 0; i < host.size; i++) {
        if (!is_digit(host.data[i]) && host.data[i] != '.') {
            return false;
        }
    }
    return true;
}
