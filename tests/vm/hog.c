// SPDX-License-Identifier: BSD-3-Clause
/*
 * hog MIB [FILE]: takes so much memory and uses it, until it is killed: its own; or, with FILE, a file's on a
 * tmpfs, which loses its name at once, so that it goes with the process.
 *
 * In pieces, as each by itself is granted where all at once would be refused.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIECE ((size_t)16 << 20)

static int die(const char *what)
{
	perror(what);
	return 1;
}

static int open_nameless(const char *path, off_t length)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);

	if (fd < 0 || unlink(path) || ftruncate(fd, length))
		return -1;
	return fd;
}

int main(int argc, char **argv)
{
	size_t offset, length = argc > 1 ? strtoul(argv[1], NULL, 10) << 20 : 0;
	int fd = -1, flags = MAP_PRIVATE | MAP_ANONYMOUS;

	if (argc > 2) {
		flags = MAP_SHARED;
		fd = open_nameless(argv[2], (off_t)length);
		if (fd < 0)
			return die(argv[2]);
	}
	for (offset = 0; offset < length; offset += PIECE) {
		void *piece = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, flags, fd, fd < 0 ? 0 : (off_t)offset);

		if (piece == MAP_FAILED)
			return die("mmap");
		memset(piece, 1, PIECE);
	}
	return 0;
}
