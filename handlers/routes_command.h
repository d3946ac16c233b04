/* `sinas routes`: the route table as JSON, so that tests can hold the whole API to its rules. */
#ifndef HANDLERS_ROUTES_COMMAND_H
#define HANDLERS_ROUTES_COMMAND_H

int command_routes(int argc, char **argv);

#endif
