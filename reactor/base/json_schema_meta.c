/* The metaschemas, so that "$ref" to them works without any network. */
#include "base/json_schema_parts.h"

#define DRAFT "https://json-schema.org/draft/2020-12/"
#define HEAD(name)                                                                                           \
    "{\"$schema\":\"" DRAFT "schema\",\"$id\":\"" DRAFT name "\",\"$dynamicAnchor\":\"meta\","               \
    "\"type\":[\"object\",\"boolean\"],"
#define META      "{\"$dynamicRef\":\"#meta\"}"
#define META_MAP  "{\"type\":\"object\",\"additionalProperties\":" META ",\"default\":{}}"
#define META_LIST "{\"type\":\"array\",\"minItems\":1,\"items\":" META "}"
#define COUNT     "{\"type\":\"integer\",\"minimum\":0}"
#define NAMES     "{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"uniqueItems\":true,\"default\":[]}"
#define TYPES     "[\"array\",\"boolean\",\"integer\",\"null\",\"number\",\"object\",\"string\"]"

static const char meta_schema[] =
    HEAD("schema") "\"$vocabulary\":{\"" DRAFT "vocab/core\":true,\"" DRAFT "vocab/applicator\":true,\"" DRAFT
                   "vocab/unevaluated\":true,\"" DRAFT "vocab/validation\":true,\"" DRAFT
                   "vocab/meta-data\":true,\"" DRAFT "vocab/format-annotation\":true,\"" DRAFT
                   "vocab/content\":true},"
                   "\"allOf\":[{\"$ref\":\"meta/core\"},{\"$ref\":\"meta/applicator\"},{\"$ref\":\"meta/"
                   "unevaluated\"},"
                   "{\"$ref\":\"meta/validation\"},{\"$ref\":\"meta/meta-data\"},{\"$ref\":\"meta/"
                   "format-annotation\"},"
                   "{\"$ref\":\"meta/content\"}],"
                   "\"properties\":{\"definitions\":" META_MAP
                   ",\"dependencies\":{\"type\":\"object\",\"additionalProperties\":"
                   "{\"anyOf\":[" META ",{\"$ref\":\"meta/validation#/$defs/stringArray\"}]}},"
                   "\"$recursiveAnchor\":{\"$ref\":\"meta/core#/$defs/anchorString\"},"
                   "\"$recursiveRef\":{\"$ref\":\"meta/core#/$defs/uriReferenceString\"}}}";

static const char meta_core[] =
    HEAD("meta/core") "\"properties\":{\"$id\":{\"$ref\":\"#/$defs/"
                      "uriReferenceString\",\"pattern\":\"^[^#]*#?$\"},"
                      "\"$schema\":{\"$ref\":\"#/$defs/uriString\"},\"$ref\":{\"$ref\":\"#/$defs/"
                      "uriReferenceString\"},"
                      "\"$anchor\":{\"$ref\":\"#/$defs/anchorString\"},\"$dynamicRef\":{\"$ref\":\"#/$defs/"
                      "uriReferenceString\"},"
                      "\"$dynamicAnchor\":{\"$ref\":\"#/$defs/"
                      "anchorString\"},\"$vocabulary\":{\"type\":\"object\",\"propertyNames\":"
                      "{\"$ref\":\"#/$defs/uriString\"},\"additionalProperties\":{\"type\":\"boolean\"}},"
                      "\"$comment\":{\"type\":\"string\"},\"$defs\":{\"type\":\"object\","
                      "\"additionalProperties\":" META "}},"
                      "\"$defs\":{\"anchorString\":{\"type\":\"string\",\"pattern\":\"^[A-Za-z_][-A-Za-z0-9._"
                      "]*$\"},"
                      "\"uriString\":{\"type\":\"string\",\"format\":\"uri\"},"
                      "\"uriReferenceString\":{\"type\":\"string\",\"format\":\"uri-reference\"}}}";

static const char meta_applicator[] = HEAD(
    "meta/applicator") "\"properties\":{\"prefixItems\":{\"$ref\":\"#/$defs/schemaArray\"},\"items\":" META
                       ",\"contains\":" META ",\"additionalProperties\":" META ",\"properties\":" META_MAP
                       ",\"patternProperties\":"
                       "{\"type\":\"object\",\"additionalProperties\":" META
                       ",\"propertyNames\":{\"format\":\"regex\"},\"default\":{}},"
                       "\"dependentSchemas\":" META_MAP ",\"propertyNames\":" META ",\"if\":" META
                       ",\"then\":" META ",\"else\":" META
                       ",\"allOf\":{\"$ref\":\"#/$defs/schemaArray\"},\"anyOf\":{\"$ref\":\"#/$defs/"
                       "schemaArray\"},"
                       "\"oneOf\":{\"$ref\":\"#/$defs/schemaArray\"},\"not\":" META
                       "},\"$defs\":{\"schemaArray\":" META_LIST "}}";

static const char meta_unevaluated[] = HEAD("meta/unevaluated") "\"properties\":{\"unevaluatedItems\":" META
                                                                ",\"unevaluatedProperties\":" META "}}";

static const char meta_validation[] =
    HEAD("meta/validation") "\"properties\":{\"type\":{\"anyOf\":[{\"$ref\":\"#/$defs/"
                            "simpleTypes\"},{\"type\":\"array\",\"items\":"
                            "{\"$ref\":\"#/$defs/"
                            "simpleTypes\"},\"minItems\":1,\"uniqueItems\":true}]},\"const\":true,"
                            "\"enum\":{\"type\":\"array\",\"items\":true},\"multipleOf\":{\"type\":"
                            "\"number\",\"exclusiveMinimum\":0},"
                            "\"maximum\":{\"type\":\"number\"},\"exclusiveMaximum\":{\"type\":\"number\"},"
                            "\"minimum\":{\"type\":\"number\"},"
                            "\"exclusiveMinimum\":{\"type\":\"number\"},\"maxLength\":{\"$ref\":\"#/$defs/"
                            "nonNegativeInteger\"},"
                            "\"minLength\":{\"$ref\":\"#/$defs/nonNegativeIntegerDefault0\"},"
                            "\"pattern\":{\"type\":\"string\",\"format\":\"regex\"},"
                            "\"maxItems\":{\"$ref\":\"#/$defs/nonNegativeInteger\"},"
                            "\"minItems\":{\"$ref\":\"#/$defs/nonNegativeIntegerDefault0\"},"
                            "\"uniqueItems\":{\"type\":\"boolean\",\"default\":false},"
                            "\"maxContains\":{\"$ref\":\"#/$defs/nonNegativeInteger\"},"
                            "\"minContains\":{\"$ref\":\"#/$defs/nonNegativeInteger\",\"default\":1},"
                            "\"maxProperties\":{\"$ref\":\"#/$defs/nonNegativeInteger\"},"
                            "\"minProperties\":{\"$ref\":\"#/$defs/nonNegativeIntegerDefault0\"},"
                            "\"required\":{\"$ref\":\"#/$defs/"
                            "stringArray\"},\"dependentRequired\":{\"type\":\"object\","
                            "\"additionalProperties\":{\"$ref\":\"#/$defs/stringArray\"}}},"
                            "\"$defs\":{\"nonNegativeInteger\":" COUNT ",\"nonNegativeIntegerDefault0\":"
                            "{\"$ref\":\"#/$defs/"
                            "nonNegativeInteger\",\"default\":0},\"simpleTypes\":{\"enum\":" TYPES "},"
                            "\"stringArray\":" NAMES "}}";

static const char meta_meta_data[] =
    HEAD("meta/meta-data") "\"properties\":{\"title\":{\"type\":\"string\"},\"description\":{\"type\":"
                           "\"string\"},\"default\":true,"
                           "\"deprecated\":{\"type\":\"boolean\",\"default\":false},\"readOnly\":{\"type\":"
                           "\"boolean\",\"default\":false},"
                           "\"writeOnly\":{\"type\":\"boolean\",\"default\":false},\"examples\":{\"type\":"
                           "\"array\",\"items\":true}}}";

static const char meta_format_annotation[] =
    HEAD("meta/format-annotation") "\"properties\":{\"format\":{\"type\":\"string\"}}}";

static const char meta_format_assertion[] =
    HEAD("meta/format-assertion") "\"properties\":{\"format\":{\"type\":\"string\"}}}";

static const char meta_content[] =
    HEAD("meta/content") "\"properties\":{\"contentEncoding\":{\"type\":\"string\"},\"contentMediaType\":{"
                         "\"type\":\"string\"},"
                         "\"contentSchema\":" META "}}";

#define SELF      "{\"$ref\":\"#\"}"
#define SELF_LIST "{\"$ref\":\"#/definitions/schemaArray\"}"
#define SELF_MAP  "{\"type\":\"object\",\"additionalProperties\":" SELF ",\"default\":{}}"
#define COUNT_7   "{\"$ref\":\"#/definitions/nonNegativeInteger\"}"
#define COUNT_7_0 "{\"$ref\":\"#/definitions/nonNegativeIntegerDefault0\"}"
#define NAMES_7   "{\"$ref\":\"#/definitions/stringArray\"}"

static const char meta_draft7[] =
    "{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"$id\":\"http://json-schema.org/draft-07/"
    "schema#\","
    "\"title\":\"Core schema "
    "meta-schema\",\"definitions\":{\"schemaArray\":{\"type\":\"array\",\"minItems\":1,"
    "\"items\":" SELF "},\"nonNegativeInteger\":" COUNT ",\"nonNegativeIntegerDefault0\":{\"allOf\":["
    "{\"$ref\":\"#/definitions/nonNegativeInteger\"},{\"default\":0}]},\"simpleTypes\":{\"enum\":" TYPES "},"
    "\"stringArray\":" NAMES "},\"type\":[\"object\",\"boolean\"],\"properties\":{"
    "\"$id\":{\"type\":\"string\",\"format\":\"uri-reference\"},\"$schema\":{\"type\":\"string\",\"format\":"
    "\"uri\"},"
    "\"$ref\":{\"type\":\"string\",\"format\":\"uri-reference\"},\"$comment\":{\"type\":\"string\"},"
    "\"title\":{\"type\":\"string\"},\"description\":{\"type\":\"string\"},\"default\":true,"
    "\"readOnly\":{\"type\":\"boolean\",\"default\":false},\"writeOnly\":{\"type\":\"boolean\",\"default\":"
    "false},"
    "\"examples\":{\"type\":\"array\",\"items\":true},\"multipleOf\":{\"type\":\"number\","
    "\"exclusiveMinimum\":0},"
    "\"maximum\":{\"type\":\"number\"},\"exclusiveMaximum\":{\"type\":\"number\"},\"minimum\":{\"type\":"
    "\"number\"},"
    "\"exclusiveMinimum\":{\"type\":\"number\"},\"maxLength\":" COUNT_7 ",\"minLength\":" COUNT_7_0
    ",\"pattern\":{\"type\":\"string\",\"format\":\"regex\"},\"additionalItems\":" SELF
    ",\"items\":{\"anyOf\":[" SELF "," SELF_LIST "],\"default\":true},\"maxItems\":" COUNT_7
    ",\"minItems\":" COUNT_7_0 ",\"uniqueItems\":{\"type\":\"boolean\",\"default\":false},\"contains\":" SELF
    ",\"maxProperties\":" COUNT_7 ",\"minProperties\":" COUNT_7_0 ",\"required\":" NAMES_7
    ",\"additionalProperties\":" SELF ",\"definitions\":" SELF_MAP ",\"properties\":" SELF_MAP
    ",\"patternProperties\":{\"type\":\"object\","
    "\"additionalProperties\":" SELF ",\"propertyNames\":{\"format\":\"regex\"},\"default\":{}},"
    "\"dependencies\":{\"type\":\"object\",\"additionalProperties\":{\"anyOf\":[" SELF "," NAMES_7 "]}},"
    "\"propertyNames\":" SELF
    ",\"const\":true,\"enum\":{\"type\":\"array\",\"items\":true},\"type\":{\"anyOf\":["
    "{\"$ref\":\"#/definitions/simpleTypes\"},{\"type\":\"array\",\"items\":{\"$ref\":\"#/definitions/"
    "simpleTypes\"},"
    "\"minItems\":1,\"uniqueItems\":true}]},\"format\":{\"type\":\"string\"},\"contentMediaType\":"
    "{\"type\":\"string\"},\"contentEncoding\":{\"type\":\"string\"},\"if\":" SELF ",\"then\":" SELF
    ",\"else\":" SELF ",\"allOf\":" SELF_LIST ",\"anyOf\":" SELF_LIST ",\"oneOf\":" SELF_LIST ",\"not\":" SELF
    "},\"default\":true}";

static const struct {
    struct str uri;
    const char *text;
} metaschemas[] = {
    {STR_INIT("http://json-schema.org/draft-07/schema"), meta_draft7},
    {STR_INIT(DRAFT "schema"), meta_schema},
    {STR_INIT(DRAFT "meta/core"), meta_core},
    {STR_INIT(DRAFT "meta/applicator"), meta_applicator},
    {STR_INIT(DRAFT "meta/unevaluated"), meta_unevaluated},
    {STR_INIT(DRAFT "meta/validation"), meta_validation},
    {STR_INIT(DRAFT "meta/meta-data"), meta_meta_data},
    {STR_INIT(DRAFT "meta/format-annotation"), meta_format_annotation},
    {STR_INIT(DRAFT "meta/format-assertion"), meta_format_assertion},
    {STR_INIT(DRAFT "meta/content"), meta_content},
};

const char *schema_meta_text(struct str uri)
{
    for (size_t i = 0; i < nelem(metaschemas); i++) {
        if (str_eq(uri, metaschemas[i].uri))
            return metaschemas[i].text;
    }
    return NULL;
}
