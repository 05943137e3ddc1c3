#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pseudo terminal between the child and the user's: the child sees a terminal, the bytes pass
 * through us.
 */
#include <stdbool.h>
#include <termios.h>

#include "agent/base/error.h"

struct pty {
	int master; /* never blocks */
	int slave;
	int terminal; /* the user's, whose size counts */
	bool raw;     /* standard input was put into raw mode */
	struct termios before;
};

#define PTY_INIT ((struct pty){ .master = -1, .slave = -1, .terminal = -1 })

/* Makes a pair with the size and the modes of `terminal`. */
int pty_open(struct pty *pty, int terminal, struct error *err) MUST_USE;
/* Puts standard input into raw mode when it is a terminal in whose foreground we are. Returns
 * whether it is. */
bool pty_take_input(struct pty *pty);
/* Gives it its modes back, until it is taken again. */
void pty_give_back(struct pty *pty);
/* The user's terminal has another size now; the kernel tells the child. */
void pty_resize(const struct pty *pty);
void pty_close_slave(struct pty *pty);
/* Closes both and gives the terminal its modes back. */
void pty_close(struct pty *pty);
