/* The descriptors of all kinds, one file each; resources[] in kinds.c lists them. */
#ifndef HANDLERS_RESOURCES_KINDS_H
#define HANDLERS_RESOURCES_KINDS_H

#include "handlers/resource.h"

RESOURCE_DECLARE(agent);
RESOURCE_DECLARE(llm_provider);
RESOURCE_DECLARE(skill);

#endif
