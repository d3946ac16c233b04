/* `sinas create-api-key`: a key of the superadmin, so that scripts need no mailbox (spec 10 §17). */
#ifndef HANDLERS_API_KEY_COMMAND_H
#define HANDLERS_API_KEY_COMMAND_H

int command_create_api_key(int argc, char **argv);

#endif
