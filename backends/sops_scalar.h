#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scalars as sops types, hashes and spells them: integers in decimal, floats in the fewest digits
 * that read back the same and without an exponent, True and False, times in RFC 3339.
 */
#include "backends/sops_tree.h"

/* What a plain YAML scalar means to sops (YAML 1.1's octal numbers and times, 1.2's words). Appends
 * its canonical text. */
enum sops_kind sops_resolve(const char *text, size_t len, struct buf *canonical);

/* Whether sops can hold the integer of this canonical text: it has 64 bits, one for the sign. */
bool sops_integer_fits(const char *canonical);

/* Appends the canonical spelling of a float; false when the text is no number or
 * past what a float holds. */
bool sops_write_float(struct buf *buf, const char *text);

/* Appends the scalar for people and programs: a JSON value; times and non-finite floats are
 * strings. */
void sops_write_json_scalar(struct buf *buf, const struct sops_node *node);

/* Appends the scalar as YAML. `indent`: columns that a block may be indented by; -1: on one line,
 * as in {…}. */
void sops_write_yaml_scalar(struct buf *buf, const struct sops_node *node, int indent);
void sops_write_yaml_string(struct buf *buf, const char *text, size_t len, int indent);

/* Appends what follows the # of a comment, on one line. */
void sops_write_yaml_comment(struct buf *buf, const char *text, size_t len);
