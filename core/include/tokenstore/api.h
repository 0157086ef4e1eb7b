/* tokenstore/api.h - the macros that the other public headers are written with.
 *
 * Every public declaration is between TKS_BEGIN_DECLS and TKS_END_DECLS. They give it C linkage in C++, and
 * they are what libtokenstore.so exports: everything else in it is hidden. A module that contains the core defines
 * TKS_HIDDEN, or links with -Wl,--exclude-libs,ALL, and exports none of it.
 *
 * The attributes let gcc and clang find misuse while they compile; for other compilers they are empty.
 *
 * Purpose:   linkage, visibility and attributes of all public declarations.
 * Lifecycle: macros.
 * Not from:  no function of this library may be called from a signal handler; a header names what else may not call it.
 * Threads:   any. */
#ifndef TOKENSTORE_API_H
#define TOKENSTORE_API_H

#if defined __GNUC__ && !defined TKS_HIDDEN
#define TKSP_EXPORT_BEGIN _Pragma("GCC visibility push(default)")
#define TKSP_EXPORT_END   _Pragma("GCC visibility pop")
#else
#define TKSP_EXPORT_BEGIN
#define TKSP_EXPORT_END
#endif

#ifdef __cplusplus
#define TKS_BEGIN_DECLS TKSP_EXPORT_BEGIN extern "C" {
#define TKS_END_DECLS                                                                              \
    }                                                                                              \
    TKSP_EXPORT_END
#else
#define TKS_BEGIN_DECLS TKSP_EXPORT_BEGIN
#define TKS_END_DECLS   TKSP_EXPORT_END
#endif

#ifdef __GNUC__
/** The result must be used: a status, or a handle that has to be freed. */
#define TKS_MUST_USE __attribute__((__warn_unused_result__))
/** These arguments, counted from 1, must not be NULL; without numbers, none may be. */
#define TKS_NONNULL(...)          __attribute__((__nonnull__(__VA_ARGS__)))
#define TKS_ALL_NONNULL           __attribute__((__nonnull__))
#define TKS_PRINTF(string, first) __attribute__((__format__(__printf__, string, first)))
#else
#define TKS_MUST_USE
#define TKS_NONNULL(...)
#define TKS_ALL_NONNULL
#define TKS_PRINTF(string, first)
#endif

#endif
