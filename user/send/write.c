/* write: see write.h. */
#include "send/write.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

/* A terminal or pipe may be non-blocking because another program that shares it made it so. */
static int wait_for_room(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int n = poll(&p, 1, WRITE_PATIENCE_MS);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n ? 0 : -ETIMEDOUT;
}

int write_all(int fd, const void *bytes, size_t len, size_t *ret_done)
{
	size_t done = 0;
	int err = 0;

	while (done < len && !err) {
		ssize_t n = write(fd, (const char *)bytes + done, len - done);

		if (n > 0)
			done += n;
		else if (n < 0 && errno == EAGAIN)
			err = wait_for_room(fd);
		else if (n < 0 && errno != EINTR)
			err = -errno;
	}
	if (ret_done)
		*ret_done = done;
	return err;
}
