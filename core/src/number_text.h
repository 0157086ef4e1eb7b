/* number_text.h - numbers as people and URLs write them, without regard to the locale. Pure. */
#ifndef TKSP_NUMBER_TEXT_H
#define TKSP_NUMBER_TEXT_H

#include "tokenstore/buf.h"

/* Reads decimal digits and nothing else; false when there are none, others, or more than `max`. */
bool tksp_decimal(tks_bytes text, uint64_t max, uint64_t *out);

/* Reads digits, perhaps with a fraction; *at moves behind them. False: there are none. */
bool tksp_number(tks_bytes text, size_t *at, double *out);

#endif
