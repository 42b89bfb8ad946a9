// SPDX-License-Identifier: BSD-3-Clause
/*
 * powerbutton: ends when the VM's power button is pressed. It is the fourth
 * line of virt's PL061; who has gpio_keys gets a key instead.
 */
#include <fcntl.h>
#include <linux/gpio.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BUTTON 3

static int die(const char *what)
{
	perror(what);
	return 1;
}

int main(void)
{
	struct gpio_v2_line_request request = {
		.offsets = { BUTTON }, .num_lines = 1, .consumer = "powerbutton",
		.config.flags = GPIO_V2_LINE_FLAG_INPUT | GPIO_V2_LINE_FLAG_EDGE_RISING,
	};
	struct gpio_v2_line_event event;
	int chip = open("/dev/gpiochip0", O_RDONLY);

	if (chip < 0)
		return die("/dev/gpiochip0");
	if (ioctl(chip, GPIO_V2_GET_LINE_IOCTL, &request))
		return die("the button's line");
	/* Who starts us may wait for this. */
	puts("waiting");
	fflush(stdout);
	if (read(request.fd, &event, sizeof(event)) != sizeof(event))
		return die("the button");
	return 0;
}
