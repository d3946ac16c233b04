#include "handlers/resources/kinds.h"

const struct resource *const resources[] = {
    &llm_provider_resource,
    &agent_resource,
    &skill_resource,
};
const size_t resources_count = nelem(resources);
