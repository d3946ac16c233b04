#include "handlers/login.h"

#include "base/conf.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/uuid.h"
#include "handlers/app.h"
#include "handlers/auth.h"
#include "handlers/limit.h"
#include "handlers/mail.h"
#include "sql.h"

static const char no_user[] = "User not found. Contact your administrator.";

enum { CODE_DIGITS = 6, TOKEN_PREFIX_SIZE = 8, CHECKS_MAX = 1000 };

/* ---- bodies ---- */

static const struct column login_columns[] = {
    {"email", COL_EMAIL, COL_REQUIRED},
};
const struct body login_body = BODY("LoginRequest", login_columns);

static const struct column verify_columns[] = {
    {"session_id", COL_UUID, COL_REQUIRED},
    {"otp_code", COL_TEXT, COL_REQUIRED},
};
const struct body login_verify_body = BODY("OTPVerifyRequest", verify_columns);

static const struct column token_columns[] = {
    {"refresh_token", COL_TEXT, COL_REQUIRED},
};
const struct body login_token_body = BODY("RefreshTokenRequest", token_columns);

static const struct column check_columns[] = {
    {"permissions", COL_TEXTS, COL_REQUIRED, .max = CHECKS_MAX},
    {"logic", COL_ENUM, .fallback = "\"AND\"", .choices = "AND|OR"},
};
const struct body login_check_body = BODY("CheckPermissionsRequest", check_columns);

/* ---- limits ---- */

static int limit_login_await(struct req *r, const char *what, struct str who, int64_t max)
{
    struct limit limit = {
        .key = arena_strf(&r->arena, "%s:" STR_FMT, what, STR_ARG(who)),
        .max = max,
        .window_s = conf.rate_limit_window_seconds,
    };

    return limit_hit_await(r, &limit);
}

/* Of tokens that are not known, per minute and address. */
static struct limit limit_of_guesses(struct req *r, const char *what)
{
    return (struct limit){
        .key = arena_strf(&r->arena, "%s:ip:" STR_FMT, what, STR_ARG(r->client)),
        .max = 60,
        .window_s = 60,
    };
}

/* ---- codes ---- */

struct str login_domain(struct str email)
{
    ssize_t at = str_rfind_byte(email, '@');

    return str_from_offset(email, (size_t)(at + 1));
}

/* 0 when the address may log in, now or as a new user; else 403 is set. */
static int login_admit_await(struct req *r, struct str email)
{
    struct rows row;
    bool may;

    TRY(sql_login_user_await(r, &row, email, login_domain(email)));
    may = row_is_null(&row, 0, "id") ? conf.auto_provision_users || row_bool(&row, 0, "has_domain_role")
                                     : row_bool(&row, 0, "is_active");
    if (may)
        return 0;
    return fail(r, 403, "%s", no_user);
}

static struct str code_hash(struct req *r, struct str session_id, struct str code)
{
    struct str text = arena_strf(&r->arena, STR_FMT ":" STR_FMT, STR_ARG(session_id), STR_ARG(code));

    return hash_hmac_hex(&r->arena, conf.secret_key, text);
}

/* The built-in mail of §2.10. */
static struct mail code_mail(struct req *r, struct str email, struct str code)
{
    struct arena *a = &r->arena;

    return (struct mail){
        .to = email,
        .subject = STR("Your Login Code"),
        .text = arena_strf(a,
                           "Your login code is: " STR_FMT "\n\nIt is valid for %" PRId64
                           " minutes and can be used "
                           "once. If you did not ask for it, you can ignore this message.\n",
                           STR_ARG(code), conf.otp_expire_minutes),
        .html = arena_strf(
            a,
            "<!DOCTYPE html>\n<html><body style=\"font-family:sans-serif\">\n<p>Your login code is:</p>\n"
            "<p style=\"font-size:28px;font-weight:bold;letter-spacing:6px\">" STR_FMT "</p>\n"
            "<p>It is valid for %" PRId64 " minutes and can be used once. If you did not ask for it, "
            "you can ignore this message.</p>\n</body></html>\n",
            STR_ARG(code), conf.otp_expire_minutes),
    };
}

/* By mail, or into the log of a development server. */
static int code_send_await(struct req *r, struct str email, struct str code)
{
    struct mail mail = code_mail(r, email, code);

    if (mail_is_configured())
        return mail_send_await(r, &mail);
    if (!mail_is_development())
        return -ENOTCONN;
    log_info("login", "one-time code for " STR_FMT ": " STR_FMT, STR_ARG(email), STR_ARG(code));
    return 0;
}

int login_begin(struct req *r)
{
    struct str email = body_str(r, "email");
    struct uuid id = uuid_new();
    struct str session_id = uuid_text(&r->arena, &id);
    struct str code = rand_code(&r->arena, CODE_DIGITS);
    struct json_writer w;
    struct rows rows;
    int rc;

    TRY(limit_login_await(r, "login:ip", r->client, conf.rate_limit_login_ip_max));
    TRY(limit_login_await(r, "login:email", email, conf.rate_limit_login_email_max));
    TRY(login_admit_await(r, email));
    TRY(sql_otp_begin_await(r, &rows, session_id, email, code_hash(r, session_id, code),
                            conf.otp_expire_minutes));
    rc = code_send_await(r, email, code);
    if (rc == -ECANCELED)
        return rc;
    if (rc < 0) {
        TRY(sql_otp_forget_await(r, &rows, session_id));
        return fail(r, 503, "Failed to send OTP email");
    }
    reply_begin(r, &w);
    json_object_begin(&w);
    json_field_str(&w, STR("message"), STR("OTP sent to your email"));
    json_field_str(&w, STR("session_id"), session_id);
    json_object_end(&w);
    return reply_written(r, 200);
}

void login_purge(struct req *r)
{
    struct rows rows;

    if (sql_otp_purge_await(r, &rows) < 0)
        log_warn("login", "expired codes could not be deleted");
}

/* ---- sessions ---- */

struct session {
    struct str user_id, email;
    struct str refresh_token;
};

/* Notes the login and keeps the refresh token's hash. 1, 0 when there is no such user, or negative. */
static int session_open_await(struct req *r, struct str email, struct session *s)
{
    struct rows row;

    s->refresh_token = rand_token(&r->arena);
    TRY(sql_login_finish_await(r, &row, email, hash_sha256_hex(&r->arena, s->refresh_token),
                               str_head(s->refresh_token, TOKEN_PREFIX_SIZE),
                               conf.refresh_token_expire_days));
    if (row.count == 0)
        return 0;
    s->user_id = row_str(&row, 0, "id");
    s->email = row_str(&row, 0, "email");
    return 1;
}

/* The user's first login. Somebody else may create him at the same time: then he is simply there. */
static int session_open_new_await(struct req *r, struct str email, struct session *s)
{
    struct uuid id = uuid_new();
    struct rows rows;
    int rc;

    TRY(login_admit_await(r, email));
    TRY(sql_begin_await(r));
    TRY(sql_user_insert_await(r, &rows, uuid_text(&r->arena, &id), email));
    if (rows.count != 0)
        TRY(sql_user_join_roles_await(r, &rows, row_str(&rows, 0, "id"), login_domain(email),
                                      conf.default_role_name, STR_NONE));
    rc = session_open_await(r, email, s);
    if (rc == 0)
        return fail(r, 403, "%s", no_user);
    TRY(rc);
    return sql_commit_await(r);
}

static struct str access_token(struct req *r, struct str user_id, struct str email)
{
    return auth_token(&r->arena, user_id, email, STR_NONE, conf.access_token_expire_minutes * 60);
}

/* The members that the answers of a login and of a refresh share. */
static void token_fields(struct json_writer *w)
{
    json_field_str(w, STR("token_type"), STR("bearer"));
    json_field_i64(w, STR("expires_in"), conf.access_token_expire_minutes * 60);
}

static int session_reply_await(struct req *r, const struct session *s)
{
    struct json_writer w;
    struct rows user;

    TRY(sql_user_profile_await(r, &user, s->user_id));
    if (user.count == 0)
        return fail(r, 403, "%s", no_user);
    reply_begin(r, &w);
    json_object_begin(&w);
    json_field_str(&w, STR("access_token"), access_token(r, s->user_id, s->email));
    json_field_str(&w, STR("refresh_token"), s->refresh_token);
    token_fields(&w);
    json_field_raw(&w, STR("user"), row_str(&user, 0, "json"));
    json_object_end(&w);
    return reply_written(r, 200);
}

int login_verify(struct req *r)
{
    struct str session_id = body_str(r, "session_id");
    struct str code = str_trim(body_str(r, "otp_code"));
    struct session session;
    struct rows guess;
    struct str email;
    int rc;

    TRY(limit_login_await(r, "verify_otp:ip", r->client, conf.rate_limit_otp_ip_max));
    TRY(sql_otp_guess_await(r, &guess, session_id, code_hash(r, session_id, code), conf.otp_max_attempts));
    if (guess.count == 0 || !row_bool(&guess, 0, "verified"))
        return fail(r, 400, "Invalid or expired OTP");
    email = row_str(&guess, 0, "email");
    rc = session_open_await(r, email, &session);
    TRY(rc);
    if (rc == 0)
        TRY(session_open_new_await(r, email, &session));
    return session_reply_await(r, &session);
}

int login_refresh(struct req *r)
{
    struct limit limit = limit_of_guesses(r, "refresh");
    struct json_writer w;
    struct rows user;

    TRY(limit_check(r, &limit));
    TRY(sql_refresh_token_use_await(r, &user, hash_sha256_hex(&r->arena, body_str(r, "refresh_token"))));
    if (user.count == 0) {
        TRY(limit_hit_await(r, &limit));
        return auth_refuse(r, "Invalid or expired refresh token");
    }
    reply_begin(r, &w);
    json_object_begin(&w);
    json_field_str(&w, STR("access_token"),
                   access_token(r, row_str(&user, 0, "id"), row_str(&user, 0, "email")));
    token_fields(&w);
    json_object_end(&w);
    return reply_written(r, 200);
}

int login_logout(struct req *r)
{
    struct limit limit = limit_of_guesses(r, "logout");
    struct rows token;

    TRY(limit_check(r, &limit));
    TRY(sql_refresh_token_revoke_await(r, &token, hash_sha256_hex(&r->arena, body_str(r, "refresh_token"))));
    if (token.count != 0)
        return reply_empty(r, 204);
    TRY(limit_hit_await(r, &limit));
    return fail(r, 404, "Refresh token not found");
}

int login_external(struct req *r)
{
    return fail(r, 503, "External authentication not configured");
}

/* ---- oneself ---- */

int login_me(struct req *r)
{
    struct rows user;

    TRY(sql_user_profile_await(r, &user, auth_user_id(r)));
    if (user.count == 0)
        return auth_refuse(r, "User not found");
    return reply_json(r, 200, row_str(&user, 0, "json"));
}

static bool check_one(struct req *r, struct json_writer *w, struct str permission)
{
    bool has = auth_permits(r, permission);

    json_object_begin(w);
    json_field_str(w, STR("permission"), permission);
    json_field_bool(w, STR("has_permission"), has);
    json_object_end(w);
    return has;
}

int login_check(struct req *r)
{
    bool is_or = str_eq(body_str(r, "logic"), STR("OR"));
    size_t held = 0, count = 0;
    struct json_writer w, checks_writer;
    struct buf checks;

    buf_init_arena(&checks, &r->arena);
    json_write_init(&checks_writer, &checks);
    json_array_begin(&checks_writer);
    json_each (item, body_json(r, "permissions")) {
        held += check_one(r, &checks_writer, json_text(item));
        count++;
    }
    json_array_end(&checks_writer);

    reply_begin(r, &w);
    json_object_begin(&w);
    json_field_bool(&w, STR("result"), is_or ? held != 0 : held == count);
    json_field_str(&w, STR("logic"), body_str(r, "logic"));
    json_field_raw(&w, STR("checks"), buf_str(&checks));
    json_object_end(&w);
    return reply_written(r, 200);
}
