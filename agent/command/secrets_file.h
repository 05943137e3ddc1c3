#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The encrypted file of `agent secrets`: found, locked, opened with the user's keys, and replaced
 * whole.
 */
#include "backends/sops_document.h"

#define SECRETS_FILE "secrets.enc.yaml"

/* The file of -f, else the nearest secrets.enc.yaml upwards; owned by the caller. */
char *secrets_file_find(const char *explicit_path, struct error *err) MUST_USE;

/* The nearest secrets.enc.yaml upwards; NULL without an error's text when there is none. */
char *secrets_file_nearest(void);

/* The keys of $SOPS_AGE_KEY, of the file that $SOPS_AGE_KEY_FILE names, or of the standard place.
 * With `make`, a key is made where there is no such file, and *made says so. */
int secrets_keys_read(struct age_identities *keys, bool make, bool *made,
		      struct error *err) MUST_USE;
/* Where keys are looked for, for messages; owned by the caller. */
char *secrets_keys_place(void);

/* Reads the file as it stands; nobody is waited for, since it is replaced whole. */
int secrets_file_read(const char *file, struct sops_document *document, struct error *err) MUST_USE;

/* Opens the file to change it, for one process at a time: the lock goes with *lock. */
int secrets_file_open(const char *file, struct sops_document *document, int *lock,
		      struct error *err) MUST_USE;

/* Seals and writes. */
int secrets_file_save(struct sops_document *document, struct error *err) MUST_USE;

/* Standard input or, on a terminal, a line typed without echo; `raw` keeps one final newline. */
int secrets_value_read(const char *name, bool raw, struct buf *value, struct error *err) MUST_USE;

/* Standard input whole ("-"), or a file. */
int secrets_text_read(const char *file, struct buf *text, struct error *err) MUST_USE;

/* `agent secrets edit` */
int secrets_edit(const char *file, struct error *err) MUST_USE;
