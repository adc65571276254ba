/*
 * live: a run on this machine: loads the kernel half, finds the targets, moves records from
 * the ring to the pipeline or a recording until interrupted.
 */
#ifndef LIVE_H
#define LIVE_H

struct cli;
struct config;

/* The exit code: 0; the command's own; 1 when something broke; 2 for what the user can mend. */
int live_run(const struct cli *cli, const struct config *config);

#endif
