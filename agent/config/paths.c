/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/config/paths.h"

#include <stddef.h>
#include <string.h>

enum { COMPONENT_MAX = 255, PATH_MOST = 1024 };

static const char *component_fault(const char *component, size_t len)
{
	if (len == 0)
		return "has an empty component: write single slashes, none at the end";
	if (len == 1 && component[0] == '.')
		return "must not contain '.' as a component";
	if (len == 2 && component[0] == '.' && component[1] == '.')
		return "must not contain '..'";
	if (len > COMPONENT_MAX)
		return "has a component of more than 255 bytes";
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)component[i] < ' ' || component[i] == '\x7f')
			return "has a control character";
	return NULL;
}

const char *entry_path_fault(const char *path)
{
	const char *fault;
	size_t len;

	if (path[0] == '\0')
		return "is empty";
	if (path[0] == '/')
		return "must be relative: it starts in the sink's directory";
	if (strlen(path) > PATH_MOST)
		return "is longer than 1024 bytes";
	if (path[0] == '.' && path[1] == '.' && path[2] != '/' && path[2] != '\0')
		return "must not start with '..': such names are the agent's own";
	for (;; path += len + 1) {
		len = strcspn(path, "/");
		fault = component_fault(path, len);
		if (fault != NULL || path[len] == '\0')
			return fault;
	}
}

bool entry_path_holds(const char *directory, const char *path)
{
	size_t len = strlen(directory);

	return strncmp(directory, path, len) == 0 && path[len] == '/';
}

/* Past slashes and "." components. */
static const char *skip(const char *path)
{
	while (path[0] == '/' || (path[0] == '.' && (path[1] == '/' || path[1] == '\0')))
		path++;
	return path;
}

bool path_is_same(const char *one, const char *other)
{
	if ((one[0] == '/') != (other[0] == '/'))
		return false;
	for (;;) {
		one = skip(one);
		other = skip(other);
		if (strcspn(one, "/") != strcspn(other, "/") ||
		    strncmp(one, other, strcspn(one, "/")) != 0)
			return false;
		if (*one == '\0')
			return true;
		one += strcspn(one, "/");
		other += strcspn(other, "/");
	}
}
