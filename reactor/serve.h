/* `sinas serve`: reads the settings, prepares the database, then supervises (spec 10 §17). */
#ifndef REACTOR_SERVE_H
#define REACTOR_SERVE_H

int command_serve(int argc, char **argv);

/* Reads and checks the settings for a command, and sets the log up. 0, or -1 after saying why on standard
 * error. */
int settings_load(void);

#endif
