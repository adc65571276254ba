/* fault: why an output could not be set up, in words for the user. */
#ifndef SEND_FAULT_H
#define SEND_FAULT_H

#include <stdio.h>

#define FAULT_MAX 512		/* bytes; a longer text is cut */

struct fault {
	char text[FAULT_MAX];	/* "" is none */
};

#define fault_set(fault, ...) snprintf((fault)->text, sizeof((fault)->text), __VA_ARGS__)

#endif
