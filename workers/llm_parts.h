/*
 * Message contents: a content part (spec 20 §9.1, or OpenAI's own form of it) taken apart, and the texts
 * that stand in for what a provider does not take (§9.3): nothing is dropped without a word to the model.
 * Pure.
 */
#ifndef WORKERS_LLM_PARTS_H
#define WORKERS_LLM_PARTS_H

#include "base/json.h"

enum llm_part_kind {
    LLM_PART_TEXT,
    LLM_PART_IMAGE_URL,
    LLM_PART_IMAGE_DATA,
    LLM_PART_AUDIO_DATA,
    LLM_PART_AUDIO_URL,
    LLM_PART_FILE_URL,
    LLM_PART_FILE_ID,
    LLM_PART_FILE_DATA,
    LLM_PART_UNKNOWN
};

struct llm_part {
    enum llm_part_kind kind;
    struct str text;
    struct str url;    /* image (also a data: one), audio, file */
    struct str data;   /* base64 of image, audio, file */
    struct str mime;   /* of image data and files; STR_NONE: not known */
    struct str format; /* of audio */
    struct str detail; /* of images */
    struct str file_id, filename;
};

/* An element of a content array: an object, or a bare string as text. */
struct llm_part llm_part_read(const struct json *part);

/* "Image URL: …", so that the model can hand it to tools. */
struct str llm_part_url_note(struct arena *a, const struct llm_part *part);
/* "(An audio recording (ogg) was attached, but this model cannot take it.)" */
struct str llm_part_lost_note(struct arena *a, const struct llm_part *part);
bool llm_part_is_pdf(const struct llm_part *part);
/* The contents of a file that is text, with its name; STR_NONE when it is none. */
struct str llm_part_file_text(struct arena *a, const struct llm_part *part);

/* A whole content as one text: a string as it is; of arrays every part as text or note. */
struct str llm_content_text(struct arena *a, const struct json *content);
/* The text of one part, or what stands in for it. */
struct str llm_part_as_text(struct arena *a, const struct llm_part *part);

/* Of a tool row: its name, or that of the call it answers; STR_NONE when no call is its. */
struct str llm_tool_name(const struct json *messages, const struct json *row);
/* A call's arguments as an object in the arena; {} for what is none. */
struct str llm_arguments_object(struct arena *a, const struct json *arguments);

#endif
