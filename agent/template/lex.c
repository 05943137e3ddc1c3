/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text until a left delimiter, then tokens until the right one. A delimiter may carry a trim
 * marker: a minus with white space on its inner side, which takes the white space on its outer
 * side away.
 */
#include <stdbool.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/template/lex.h"
#include "agent/template/unicode.h"

enum { TRIM_MARKER = 2, TOKENS_FIRST = 64, NO_CHARACTER = -1 };

struct lexer {
	struct region *region;
	const char *text;
	size_t len, at, start;
	const char *left, *right;
	size_t left_len, right_len;
	unsigned parens;
	bool inside; /* an action */
	struct lexed *result;
	size_t capacity;
};

static bool is_space(int byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static bool is_digit(int byte)
{
	return byte >= '0' && byte <= '9';
}

static bool is_word(uint32_t character)
{
	return character == '_' || unicode_is_letter(character) || unicode_is_digit(character);
}

/* ---- looking ---- */

static int byte_at(const struct lexer *lexer, size_t at)
{
	return at < lexer->len ? (unsigned char)lexer->text[at] : NO_CHARACTER;
}

static bool stands_at(const struct lexer *lexer, size_t at, const char *what, size_t len)
{
	return at <= lexer->len && len <= lexer->len - at &&
	       memcmp(lexer->text + at, what, len) == 0;
}

/* The character here and how long it is; what is no UTF-8 is one byte that is no letter. */
static size_t character_at(const struct lexer *lexer, size_t at, uint32_t *ret)
{
	size_t len = text_read_character(lexer->text + at, lexer->len - at, ret);

	if (len == 0 && at < lexer->len) {
		*ret = UNICODE_REPLACEMENT;
		return 1;
	}
	return len;
}

static bool word_at(const struct lexer *lexer, size_t at, size_t *len)
{
	uint32_t character = 0;

	*len = character_at(lexer, at, &character);
	return *len > 0 && is_word(character);
}

static bool trims_left(const struct lexer *lexer, size_t at)
{
	return byte_at(lexer, at) == '-' && is_space(byte_at(lexer, at + 1));
}

static bool trims_right(const struct lexer *lexer, size_t at)
{
	return is_space(byte_at(lexer, at)) && byte_at(lexer, at + 1) == '-' &&
	       stands_at(lexer, at + TRIM_MARKER, lexer->right, lexer->right_len);
}

static bool at_right(const struct lexer *lexer, bool *trims)
{
	*trims = trims_right(lexer, lexer->at);
	return *trims || stands_at(lexer, lexer->at, lexer->right, lexer->right_len);
}

/* What may follow a word. */
static bool at_terminator(const struct lexer *lexer)
{
	int byte = byte_at(lexer, lexer->at);

	return byte == NO_CHARACTER || is_space(byte) ||
	       (byte != '\0' && strchr(".,|:)(", byte) != NULL) ||
	       stands_at(lexer, lexer->at, lexer->right, lexer->right_len);
}

static void skip_space(struct lexer *lexer)
{
	while (is_space(byte_at(lexer, lexer->at)))
		lexer->at++;
}

/* ---- emitting ---- */

static int emit(struct lexer *lexer, enum token_type type)
{
	struct lexed *result = lexer->result;

	if (result->count == lexer->capacity) {
		size_t capacity = lexer->capacity == 0 ? TOKENS_FIRST : lexer->capacity * 2;
		struct token *grown = region_array(lexer->region, capacity, sizeof(*grown));

		if (grown == NULL)
			return -1;
		if (result->count > 0)
			memcpy(grown, result->tokens, result->count * sizeof(*grown));
		result->tokens = grown;
		lexer->capacity = capacity;
	}
	result->tokens[result->count++] = (struct token){
		.type = type,
		.at = (uint32_t)lexer->start,
		.len = (uint32_t)(lexer->at - lexer->start),
	};
	lexer->start = lexer->at;
	return 0;
}

static int fail(struct lexer *lexer, const char *problem)
{
	lexer->result->problem = problem;
	return emit(lexer, TOKEN_ERROR);
}

/* ---- outside ---- */

static int lex_comment(struct lexer *lexer)
{
	const char *end;
	bool trims;

	lexer->start = lexer->at;
	lexer->at += 2;
	end = memmem(lexer->text + lexer->at, lexer->len - lexer->at, "*/", 2);
	if (end == NULL)
		return fail(lexer, "the comment is not closed");
	lexer->at = (size_t)(end - lexer->text) + 2;
	if (!at_right(lexer, &trims))
		return fail(lexer, "a comment must end right before the closing delimiter");
	lexer->at += (trims ? TRIM_MARKER : 0) + lexer->right_len;
	if (trims)
		skip_space(lexer);
	lexer->start = lexer->at;
	return 0;
}

static int lex_left(struct lexer *lexer)
{
	size_t inner = lexer->at + lexer->left_len;

	if (trims_left(lexer, inner))
		inner += TRIM_MARKER;
	if (stands_at(lexer, inner, "/*", 2)) {
		lexer->at = inner;
		return lex_comment(lexer);
	}
	lexer->start = lexer->at;
	lexer->at += lexer->left_len;
	if (emit(lexer, TOKEN_LEFT) < 0)
		return -1;
	lexer->start = lexer->at = inner;
	lexer->inside = true;
	lexer->parens = 0;
	return 0;
}

static int lex_text(struct lexer *lexer)
{
	const char *found = memmem(lexer->text + lexer->at, lexer->len - lexer->at, lexer->left,
				   lexer->left_len);
	size_t delimiter = found != NULL ? (size_t)(found - lexer->text) : lexer->len;

	lexer->at = delimiter;
	if (found != NULL && trims_left(lexer, delimiter + lexer->left_len))
		while (lexer->at > lexer->start && is_space(byte_at(lexer, lexer->at - 1)))
			lexer->at--;
	if (lexer->at > lexer->start && emit(lexer, TOKEN_TEXT) < 0)
		return -1;
	lexer->start = lexer->at = delimiter;
	return found != NULL ? lex_left(lexer) : emit(lexer, TOKEN_END);
}

/* ---- inside ---- */

static int lex_right(struct lexer *lexer, bool trims)
{
	if (lexer->parens > 0)
		return fail(lexer, "a parenthesis is not closed");
	if (trims)
		lexer->at += TRIM_MARKER;
	lexer->start = lexer->at;
	lexer->at += lexer->right_len;
	if (emit(lexer, TOKEN_RIGHT) < 0)
		return -1;
	if (trims)
		skip_space(lexer);
	lexer->start = lexer->at;
	lexer->inside = false;
	return 0;
}

/* The last white space before a marked delimiter is the delimiter's. */
static int lex_space(struct lexer *lexer)
{
	skip_space(lexer);
	if (!trims_right(lexer, lexer->at - 1))
		return emit(lexer, TOKEN_SPACE);
	lexer->at--;
	return lexer->at > lexer->start ? emit(lexer, TOKEN_SPACE) : 0;
}

static void accept_run(struct lexer *lexer, const char *bytes)
{
	while (byte_at(lexer, lexer->at) > 0 && strchr(bytes, byte_at(lexer, lexer->at)) != NULL)
		lexer->at++;
}

static bool accept_one(struct lexer *lexer, const char *bytes)
{
	int byte = byte_at(lexer, lexer->at);

	if (byte <= 0 || strchr(bytes, byte) == NULL)
		return false;
	lexer->at++;
	return true;
}

/* As wide as Go's own scanner: what it lets through is judged when it is converted. */
static bool scan_number(struct lexer *lexer)
{
	static const char decimal[] = "0123456789_", hexadecimal[] = "0123456789abcdefABCDEF_";
	const char *digits = decimal;
	size_t len;

	(void)accept_one(lexer, "+-");
	if (accept_one(lexer, "0")) {
		if (accept_one(lexer, "xX"))
			digits = hexadecimal;
		else if (accept_one(lexer, "oO"))
			digits = "01234567_";
		else if (accept_one(lexer, "bB"))
			digits = "01_";
	}
	accept_run(lexer, digits);
	if (accept_one(lexer, "."))
		accept_run(lexer, digits);
	if ((digits == decimal && accept_one(lexer, "eE")) ||
	    (digits == hexadecimal && accept_one(lexer, "pP"))) {
		(void)accept_one(lexer, "+-");
		accept_run(lexer, decimal);
	}
	(void)accept_one(lexer, "i");
	return !word_at(lexer, lexer->at, &len);
}

static int lex_number(struct lexer *lexer)
{
	int sign;

	if (!scan_number(lexer))
		return fail(lexer, "this is no number");
	sign = byte_at(lexer, lexer->at);
	if (sign != '+' && sign != '-')
		return emit(lexer, TOKEN_NUMBER);
	if (!scan_number(lexer) || byte_at(lexer, lexer->at - 1) != 'i')
		return fail(lexer, "this is no number");
	return emit(lexer, TOKEN_COMPLEX);
}

static int lex_quoted(struct lexer *lexer, char quote, enum token_type type)
{
	for (;;) {
		int byte = byte_at(lexer, lexer->at++);

		if (byte == quote)
			return emit(lexer, type);
		if (byte == '\\' && type != TOKEN_RAW_STRING)
			byte = byte_at(lexer, lexer->at++);
		if (byte == NO_CHARACTER || (byte == '\n' && type != TOKEN_RAW_STRING)) {
			lexer->at = lexer->start;
			return fail(lexer, "the quotation is not closed");
		}
	}
}

/* The letters of a name; false when something follows that no name may touch. */
static bool skip_word(struct lexer *lexer)
{
	size_t len;

	while (word_at(lexer, lexer->at, &len))
		lexer->at += len;
	return at_terminator(lexer);
}

static const struct {
	const char *word;
	enum token_type type;
} words[] = {
	{ "block", TOKEN_BLOCK },   { "break", TOKEN_BREAK },	    { "continue", TOKEN_CONTINUE },
	{ "define", TOKEN_DEFINE }, { "else", TOKEN_ELSE },	    { "end", TOKEN_END_WORD },
	{ "if", TOKEN_IF },	    { "nil", TOKEN_NIL },	    { "range", TOKEN_RANGE },
	{ "with", TOKEN_WITH },	    { "template", TOKEN_TEMPLATE }, { "true", TOKEN_BOOL },
	{ "false", TOKEN_BOOL },
};

static int lex_word(struct lexer *lexer)
{
	if (!skip_word(lexer))
		return fail(lexer, "a name ends in a character that cannot follow one");
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strlen(words[i].word) == lexer->at - lexer->start &&
		    memcmp(words[i].word, lexer->text + lexer->start, lexer->at - lexer->start) ==
			    0)
			return emit(lexer, words[i].type);
	return emit(lexer, TOKEN_IDENTIFIER);
}

/* After the dot or the dollar. */
static int lex_name(struct lexer *lexer, enum token_type type, enum token_type bare)
{
	if (at_terminator(lexer))
		return emit(lexer, bare);
	if (!skip_word(lexer))
		return fail(lexer, "a name ends in a character that cannot follow one");
	return emit(lexer, type);
}

static int lex_paren(struct lexer *lexer, int byte)
{
	if (byte == ')' && lexer->parens == 0)
		return fail(lexer, "a parenthesis closes that was not opened");
	lexer->parens = byte == '(' ? lexer->parens + 1 : lexer->parens - 1;
	return emit(lexer, byte == '(' ? TOKEN_LEFT_PAREN : TOKEN_RIGHT_PAREN);
}

static int lex_sign(struct lexer *lexer, int byte)
{
	if (byte == ':') {
		if (!accept_one(lexer, "="))
			return fail(lexer, "':' is not followed by '='");
		return emit(lexer, TOKEN_DECLARE);
	}
	if (byte == '=')
		return emit(lexer, TOKEN_ASSIGN);
	if (byte == '|')
		return emit(lexer, TOKEN_PIPE);
	if (byte > ' ' && byte < 0x7f)
		return emit(lexer, TOKEN_CHAR);
	return fail(lexer, "a character that means nothing in an action");
}

static int lex_inside(struct lexer *lexer)
{
	int byte = byte_at(lexer, lexer->at);
	bool trims;
	size_t len;

	if (at_right(lexer, &trims))
		return lex_right(lexer, trims);
	if (byte == NO_CHARACTER)
		return fail(lexer, "the action is not closed");
	if (is_space(byte))
		return lex_space(lexer);
	if (byte == '+' || byte == '-' || is_digit(byte) ||
	    (byte == '.' && is_digit(byte_at(lexer, lexer->at + 1))))
		return lex_number(lexer);
	if (word_at(lexer, lexer->at, &len))
		return lex_word(lexer);
	lexer->at++;
	switch (byte) {
	case '"':
		return lex_quoted(lexer, '"', TOKEN_STRING);
	case '`':
		return lex_quoted(lexer, '`', TOKEN_RAW_STRING);
	case '\'':
		return lex_quoted(lexer, '\'', TOKEN_CONSTANT);
	case '$':
		return lex_name(lexer, TOKEN_VARIABLE, TOKEN_VARIABLE);
	case '.':
		return lex_name(lexer, TOKEN_FIELD, TOKEN_DOT);
	case '(':
	case ')':
		return lex_paren(lexer, byte);
	default:
		return lex_sign(lexer, byte);
	}
}

int lex(struct region *region, const char *text, size_t len, const char *left, const char *right,
	struct lexed *ret)
{
	struct lexed result = { 0 };
	struct lexer lexer = {
		.region = region,
		.text = text,
		.len = len,
		.left = left != NULL && *left != '\0' ? left : "{{",
		.right = right != NULL && *right != '\0' ? right : "}}",
		.result = &result,
	};
	enum token_type last;

	lexer.left_len = strlen(lexer.left);
	lexer.right_len = strlen(lexer.right);
	do {
		if ((lexer.inside ? lex_inside(&lexer) : lex_text(&lexer)) < 0)
			return -1;
		last = result.count > 0 ? result.tokens[result.count - 1].type : TOKEN_TEXT;
	} while (last != TOKEN_END && last != TOKEN_ERROR);
	*ret = result;
	return 0;
}
