#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The references of `agent run`, as parts of its configuration and its request.
 */
#include "agent/config/config.h"
#include "agent/run_request.h"

/* With --env the `env:` mapping is not given. */
void run_forget_variables(struct config *config);

/* NAME=REF of --env. */
int run_add_env(struct config *config, const struct strings *list, struct error *err) MUST_USE;

/* NAME=value lines; what --env names already stays. */
int run_add_env_files(struct config *config, struct run_request *request,
		      const struct strings *files, struct error *err) MUST_USE;

/* PATH=REF of --file. */
int run_add_files(struct config *config, struct run_request *request, const struct strings *list,
		  struct error *err) MUST_USE;

/* True when a NAME=REF of the list is a TYPE://PATH. */
bool run_names_backends(const struct strings *list);

/* ERROR_NOT_FOUND for the first NAME=REF whose secret the running agent does not name to us. */
int run_check_names(struct config *config, const struct strings *list, const char *option,
		    struct error *err) MUST_USE;

/* Secrets that neither the child nor a sink is given are not fetched. */
void run_forget_unneeded(struct config *config, const struct run_request *request);

void run_request_deinit(struct run_request *request);
