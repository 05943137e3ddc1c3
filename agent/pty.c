/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

int pty_open(struct pty *pty, int terminal, struct error *err)
{
	struct termios modes;

	pty->terminal = terminal;
	pty->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (pty->master < 0 || unlockpt(pty->master) < 0)
		return error_errno(err, errno, "cannot make a pseudo terminal for --mask");
	/* Works where /dev/pts is of another mount namespace, or not there. */
	pty->slave = ioctl(pty->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (pty->slave < 0)
		return error_errno(err, errno, "cannot open a pseudo terminal for --mask");

	if (tcgetattr(terminal, &modes) == 0) {
		/* The user's terminal adds the carriage returns unless its input is raw with us. */
		if (!isatty(STDIN_FILENO))
			modes.c_oflag &= (tcflag_t)~ONLCR;
		(void)tcsetattr(pty->slave, TCSANOW, &modes);
	}
	pty_resize(pty);
	return 0;
}

bool pty_take_input(struct pty *pty)
{
	struct termios raw;

	if (!isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) != getpgrp() ||
	    tcgetattr(STDIN_FILENO, &pty->before) < 0)
		return false;
	raw = pty->before;
	cfmakeraw(&raw);
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
		return false;
	pty->raw = true;
	return true;
}

void pty_give_back(struct pty *pty)
{
	if (pty->raw)
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &pty->before);
	pty->raw = false;
}

void pty_resize(const struct pty *pty)
{
	struct winsize size;

	if (ioctl(pty->terminal, TIOCGWINSZ, &size) == 0)
		(void)ioctl(pty->master, TIOCSWINSZ, &size);
}

void pty_close_slave(struct pty *pty)
{
	closep(&pty->slave);
}

void pty_close(struct pty *pty)
{
	pty_give_back(pty);
	closep(&pty->slave);
	closep(&pty->master);
}
