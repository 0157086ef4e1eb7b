/* option.c - checks options and sets them, by their rows. See tokenstore/option.h. Pure. */
#include "option.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "number_text.h"

const tks_option *tks_option_find(const tks_options *table, tks_bytes name) {
    for (size_t i = 0; i < table->count; i++) {
        const tks_option *option = &table->rows[i];
        if (tks_bytes_equal(name, tks_bytes_of(option->name, strlen(option->name)))) return option;
    }
    return NULL;
}

/* ---- messages ---------------------------------------------------------------------------------- */

typedef struct words {
    char text[240];
    size_t size;
} words;

static void say(words *to, const char *format, ...) TKS_PRINTF(2, 3);

static void say(words *to, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int size = vsnprintf(to->text + to->size, sizeof to->text - to->size, format, args);
    va_end(args);
    if (size > 0) to->size += (size_t)size;
    if (to->size >= sizeof to->text) to->size = sizeof to->text - 1;
}

/* 1500: "1.5", in every locale */
static void say_seconds(words *to, int64_t ms) {
    say(to, "%" PRId64, ms / 1000);
    if (ms % 1000 == 0) return;
    say(to, ".%03d", (int)(ms % 1000));
    while (to->text[to->size - 1] == '0') to->text[--to->size] = '\0';
}

static void say_choices(words *to, const char *const *choices) {
    for (size_t i = 0; choices[i] != NULL; i++) {
        bool last = i > 0 && choices[i + 1] == NULL;
        say(to, "%s'%s'", last ? " or " : i > 0 ? ", " : "", choices[i]);
    }
}

static tks_status refuse(const tks_option *o, tks_error *err) {
    words wanted = {"", 0};
    if (o->wanted != NULL) {
        say(&wanted, "%s", o->wanted);
    } else if (o->type == TKS_OPTION_CHOICE) {
        say_choices(&wanted, o->choices);
    } else if (o->type == TKS_OPTION_DURATION) {
        say_seconds(&wanted, o->min);
        say(&wanted, " to ");
        say_seconds(&wanted, o->max);
        say(&wanted, " seconds");
    } else if (o->type == TKS_OPTION_NUMBER) {
        say(&wanted, "%" PRId64 " to %" PRId64, o->min, o->max);
    } else if (o->type == TKS_OPTION_COUNT) {
        say(&wanted, "a whole number from %" PRId64 " to %" PRId64, o->min, o->max);
    } else if (o->type == TKS_OPTION_FLAG) {
        say(&wanted, "true or false");
    } else {
        say(&wanted, "%" PRId64 " to %" PRId64 " bytes", o->min, o->max);
    }
    return tks_fail(err, TKS_ERR_CONFIGURATION, "%s must be %s", o->name, wanted.text);
}

/* ---- checks ------------------------------------------------------------------------------------ */

/* True if a NUL would truncate the text. */
static bool holds_c_string(const tks_option *o) {
    return o->type == TKS_OPTION_PATH || (o->type < TKS_OPTION_PATH && o->size == sizeof(char *));
}

static bool fits_text(const tks_option *o, tks_bytes text) {
    return text.size >= (size_t)o->min && text.size <= (size_t)o->max &&
           !(holds_c_string(o) && text.size > 0 && memchr(text.data, '\0', text.size) != NULL) &&
           (o->fits == NULL || o->fits(text));
}

static bool fits_texts(const tks_option *o, const tks_bytes *texts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!fits_text(o, texts[i])) return false;
    }
    return count > 0 && count <= TKS_TEXTS_MAX;
}

static bool fits_integer(const tks_option *o, int64_t number) {
    return number >= o->min && number <= o->max;
}

static bool fits_number(const tks_option *o, double number) {
    return number >= (double)o->min && number <= (double)o->max;
}

/* Finds the index of the choice; false: not one of them. */
static bool find_choice(const tks_option *o, tks_bytes text, int64_t *out) {
    for (*out = 0; o->choices[*out] != NULL; (*out)++) {
        const char *choice = o->choices[*out];
        if (tks_bytes_equal(text, tks_bytes_of(choice, strlen(choice)))) return true;
    }
    return false;
}

/* Converts a number to an integer in the member's unit; false: not whole, or beyond all limits. */
static bool to_integer(const tks_option *o, double number, int64_t *out) {
    if (!(fabs(number) <= 9007199254740992.0 / 1000)) return false; /* 2^53 */
    if (o->type == TKS_OPTION_COUNT) {
        *out = (int64_t)number;
        return floor(number) == number;
    }
    *out = llround(number * 1000);
    return *out != 0 || number == 0; /* 0 may have a special meaning */
}

/* ---- members ----------------------------------------------------------------------------------- */

static void write_text(const tks_option *o, void *member, tks_bytes text) {
    if (o->size == sizeof text) {
        memcpy(member, &text, sizeof text);
    } else {
        memcpy(member, &text.data, sizeof text.data);
    }
}

static tks_bytes read_text(const tks_option *o, const void *member) {
    tks_bytes text;
    if (o->size == sizeof text) {
        memcpy(&text, member, sizeof text);
    } else {
        memcpy(&text.data, member, sizeof text.data);
        text.size = text.data == NULL ? 0 : strlen(text.data);
    }
    return text;
}

/* Integers of one, four or eight bytes: a bool, an enum or uint32_t, int64_t or size_t. */

static void write_integer(const tks_option *o, void *member, int64_t number) {
    uint8_t small = (uint8_t)number;
    uint32_t middle = (uint32_t)number;
    if (o->size == sizeof small) {
        memcpy(member, &small, sizeof small);
    } else if (o->size == sizeof middle) {
        memcpy(member, &middle, sizeof middle);
    } else {
        memcpy(member, &number, sizeof number);
    }
}

static int64_t read_integer(const tks_option *o, const void *member) {
    uint8_t small;
    uint32_t middle;
    int64_t number;
    if (o->size == sizeof small) {
        memcpy(&small, member, sizeof small);
        return small;
    }
    if (o->size == sizeof middle) {
        memcpy(&middle, member, sizeof middle);
        return middle;
    }
    memcpy(&number, member, sizeof number);
    return number;
}

/* ---- setting ----------------------------------------------------------------------------------- */

tks_status tks_option_set(const tks_option *option, void *options, const tks_value *value,
                          tks_error *err) {
    char *member = (char *)options + option->offset;
    int64_t number;
    switch (option->type) {
    case TKS_OPTION_TEXT:
    case TKS_OPTION_STRING:
    case TKS_OPTION_MAP:
    case TKS_OPTION_PATH:
        if (!fits_text(option, value->text)) return refuse(option, err);
        write_text(option, member, value->text);
        return TKS_OK;
    case TKS_OPTION_CHOICE:
        if (!find_choice(option, value->text, &number)) return refuse(option, err);
        write_integer(option, member, number);
        return TKS_OK;
    case TKS_OPTION_COUNT:
    case TKS_OPTION_DURATION:
        if (!to_integer(option, value->number, &number) || !fits_integer(option, number)) {
            return refuse(option, err);
        }
        write_integer(option, member, number);
        return TKS_OK;
    case TKS_OPTION_NUMBER:
        if (!fits_number(option, value->number)) return refuse(option, err);
        memcpy(member, &value->number, sizeof value->number);
        return TKS_OK;
    case TKS_OPTION_FLAG: write_integer(option, member, value->flag); return TKS_OK;
    case TKS_OPTION_TEXTS:
        if (!fits_texts(option, value->items, value->count)) return refuse(option, err);
        /* fall through */
    case TKS_OPTION_KEYS:
    case TKS_OPTION_PAIRS:
        memcpy(member, &value->items, sizeof value->items);
        memcpy(member + sizeof value->items, &value->count, sizeof value->count);
        return TKS_OK;
    }
    return refuse(option, err);
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Accepts "0.5", but not ".5" or "1."; for a COUNT only digits. */
static bool read_number(const tks_option *o, tks_bytes text, double *out) {
    uint64_t whole;
    size_t at = 0;
    if (o->type == TKS_OPTION_COUNT) {
        bool good = tksp_decimal(text, INT64_MAX, &whole);
        *out = (double)whole;
        return good;
    }
    return text.size > 0 && is_digit(text.data[0]) && is_digit(text.data[text.size - 1]) &&
           tksp_number(text, &at, out) && at == text.size;
}

tks_status tksp_option_parse(const tks_option *option, tks_bytes text, tks_value *out,
                             tks_error *err) {
    bool good = true;
    *out = (tks_value){.text = text};
    if (option->type >= TKS_OPTION_COUNT && option->type <= TKS_OPTION_NUMBER) {
        good = read_number(option, text, &out->number);
    } else if (option->type == TKS_OPTION_FLAG) {
        out->flag = tks_bytes_equal(text, TKS_LITERAL("true"));
        good = out->flag || tks_bytes_equal(text, TKS_LITERAL("false"));
    }
    return good ? TKS_OK : refuse(option, err);
}

/* ---- structs ----------------------------------------------------------------------------------- */

static bool is_given(const tks_options *table, const tks_option *o, const void *member) {
    if (o->type <= TKS_OPTION_PATH) return read_text(o, member).size > 0;
    return memcmp(member, (const char *)table->initial + o->offset, o->size) != 0;
}

static bool fits_member(const tks_option *o, const void *member) {
    int64_t place = 0;
    double number;
    tks_value list;
    switch (o->type) {
    case TKS_OPTION_TEXT:
    case TKS_OPTION_STRING:
    case TKS_OPTION_MAP:
    case TKS_OPTION_PATH: return fits_text(o, read_text(o, member));
    case TKS_OPTION_COUNT:
    case TKS_OPTION_DURATION: return fits_integer(o, read_integer(o, member));
    case TKS_OPTION_CHOICE:
        while (o->choices[place] != NULL && place < read_integer(o, member)) place++;
        return o->choices[place] != NULL;
    case TKS_OPTION_NUMBER: memcpy(&number, member, sizeof number); return fits_number(o, number);
    case TKS_OPTION_TEXTS:
        memcpy(&list.items, member, sizeof list.items);
        memcpy(&list.count, (const char *)member + sizeof list.items, sizeof list.count);
        return fits_texts(o, list.items, list.count);
    case TKS_OPTION_FLAG:
    case TKS_OPTION_KEYS:
    case TKS_OPTION_PAIRS: break;
    }
    return true;
}

tks_status tksp_options_complete(const tks_options *table, void *options, tks_error *err) {
    tks_status status = TKS_OK;
    for (size_t i = 0; status == TKS_OK && i < table->count; i++) {
        const tks_option *o = &table->rows[i];
        const char *member = (const char *)options + o->offset;
        if (is_given(table, o, member)) {
            if (!fits_member(o, member)) status = refuse(o, err);
        } else if (o->fallback != NULL) {
            tks_value value;
            status =
                tksp_option_parse(o, tks_bytes_of(o->fallback, strlen(o->fallback)), &value, err);
            if (status == TKS_OK) status = tks_option_set(o, options, &value, err);
        }
    }
    return status;
}

void tks_faults_add(tks_buf *faults, const char *message) {
    if (faults->size > 0) tks_buf_append(faults, "; ", 2);
    tks_buf_append(faults, message, strlen(message)); /* errors are sticky */
}

void tksp_options_check(const tks_options *table, const void *options, tks_buf *faults) {
    for (size_t i = 0; i < table->count; i++) {
        const tks_option *o = &table->rows[i];
        const char *member = (const char *)options + o->offset;
        tks_error why = TKS_ERROR_INIT;
        if (!is_given(table, o, member) || fits_member(o, member)) continue;
        (void)refuse(o, &why);
        tks_faults_add(faults, why.message);
    }
}
