/*
 * Circular doubly linked list whose links are embedded in the items. A link
 * that is on no list points to itself, so list_remove() may be called twice.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/base.h"

struct list {
    struct list *next, *prev;
};

#define LIST_INIT(name)                                                                                      \
    {                                                                                                        \
        &(name), &(name)                                                                                     \
    }

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_is_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_insert_between_(struct list *item, struct list *prev, struct list *next)
{
    item->prev = prev;
    item->next = next;
    prev->next = item;
    next->prev = item;
}

static inline void list_append(struct list *l, struct list *item)
{
    list_insert_between_(item, l->prev, l);
}

static inline void list_prepend(struct list *l, struct list *item)
{
    list_insert_between_(item, l, l->next);
}

static inline void list_remove(struct list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    list_init(item);
}

static inline void list_move(struct list *l, struct list *item)
{
    list_remove(item);
    list_append(l, item);
}

/* Moves all items of from to the end of to. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

/* Takes the first link off, or NULL. */
static inline struct list *list_take(struct list *l)
{
    struct list *first = l->next;

    if (first == l)
        return NULL;
    list_remove(
        first); /* NOLINT(clang-analyzer-unix.Malloc): it cannot know that what was freed was taken off */
    return first;
}

#define list_entry(link, type, member) container_of(link, type, member)

/* The current item may be removed in the body. */
#define list_each(item, l, type, member)                                                                     \
    for (type *item = list_entry((l)->next, type, member),                                                   \
              *item##_next_ = list_entry(item->member.next, type, member);                                   \
         &item->member != (l);                                                                               \
         item = item##_next_, item##_next_ = list_entry(item->member.next, type, member))

#endif
