/* tokenstore/version.h - the version of these headers, and of the running library.
 *
 *
 * Purpose:   the only place with the version: setup.py, the Makefile and the pkg-config file read it here.
 * Lifecycle: constants.
 * Threads:   any. */
#ifndef TOKENSTORE_VERSION_H
#define TOKENSTORE_VERSION_H

#include "tokenstore/api.h"

#define TKS_VERSION_MAJOR 0
#define TKS_VERSION_MINOR 1
#define TKS_VERSION_PATCH 0
#define TKS_VERSION       "0.1.0"

/** The soname's number: it grows with each ABI change. */
#define TKS_ABI 0

TKS_BEGIN_DECLS

/** TKS_VERSION of the library, which may differ from that of the headers. Never NULL. */
const char *tks_version(void);

TKS_END_DECLS
#endif
