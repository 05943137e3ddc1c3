/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/reference.h"

#include "agent/config/config.h"
#include "injector/annotations.h"
#include "injector/config_tables.h"

static void put_meaning(struct buf *out, const struct annotation *row)
{
	switch (row->class) {
	case ANNOTATION_HONOUR:
		buf_puts(out, "honoured");
		break;
	case ANNOTATION_WARN:
		buf_printf(out, "ignored with a warning: %s", row->why);
		break;
	case ANNOTATION_GATE:
		buf_printf(out, "honoured where the profile allows `%s`",
			   allow_key_name(row->gate));
		break;
	case ANNOTATION_REFUSE:
		buf_printf(out, "%s: %s",
			   row->off_is_nothing ? "where true, the pod is refused"
					       : "the pod is refused",
			   row->why);
		break;
	}
}

static void put_annotations(struct buf *out, const struct annotation *table)
{
	buf_puts(out, "| annotation | what happens |\n|---|---|\n");
	for (; table->name != NULL; table++) {
		buf_printf(out, "| `%s%s` | ", table->name, table->family ? "NAME" : "");
		put_meaning(out, table);
		buf_puts(out, " |\n");
	}
}

static void put_allow(struct buf *out)
{
	buf_puts(out, "\nWhat `allow` may name: ");
	for (int i = 0; i < ALLOW_KEYS; i++)
		buf_printf(out, "%s`%s`", i > 0 ? ", " : "", allow_key_names[i]);
	buf_puts(out, ".\n");
}

void injector_write_reference(struct buf *out)
{
	buf_puts(out,
		 "<!-- Written by `make docs` from the injector's tables; edits are lost. -->\n"
		 "# Injector: reference\n\n"
		 "## The operator's file\n\n"
		 "`injector check` tells everything that is wrong with it, as "
		 "FILE:LINE:COLUMN.\n\n");
	config_write_table(out, injector_table);
	buf_puts(out,
		 "| `profiles` | map of name to profile | **required** | A pod uses "
		 "`default`, or the one that its annotation names. |\n"
		 "\n## A profile\n\n");
	config_write_table(out, profile_table);
	buf_puts(out, "\nBesides:\n\n");
	config_write_table(out, profile_extra_table);
	put_allow(out);
	buf_puts(out,
		 "\n## Annotations of vault-k8s and openbao-k8s\n\n"
		 "Behind `" VAULT_PREFIX "` or `" OPENBAO_PREFIX
		 "`; NAME is a secret's or a "
		 "parameter's.\n\n");
	put_annotations(out, vault_annotations);
}
