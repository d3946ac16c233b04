/* Ends an expansion of base/conf.def. Included several times: no guard. */
#undef CONF_TITLE
#undef CONF_TEXT
#undef CONF_WORD
#undef CONF_BOOL
#undef CONF_INT
#undef CONF_REAL
#undef CONF_SIZE
#undef CONF_ALIAS
