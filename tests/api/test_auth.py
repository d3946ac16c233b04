"""Sign-in by one-time code, sessions and credentials: spec 10 §2."""

import base64
import concurrent.futures
import hashlib
import hmac
import json
import re
import subprocess
import time
import uuid

import pytest

from harness import until

NO_USER = "User not found. Contact your administrator."
BAD_CODE = "Invalid or expired OTP"
BAD_CREDENTIALS = "Invalid or expired credentials"
TOO_MANY = "Too many requests. Please try again later."


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwt(key, claims, header=None, algorithm=hashlib.sha256):
    head = b64(json.dumps(header or {"alg": "HS256", "typ": "JWT"}).encode())
    body = b64(json.dumps(claims).encode())
    mac = hmac.new(key.encode(), f"{head}.{body}".encode(), algorithm).digest()
    return f"{head}.{body}.{b64(mac)}"


def begin(sinas, email):
    """Session id and code of a login that was just asked for."""
    after = len(sinas.log())
    answer = sinas.client().post("/auth/login", {"email": email})
    assert answer.status == 200, answer
    assert answer.json()["message"] == "OTP sent to your email"
    return answer.json()["session_id"], sinas.login_code(email.strip().lower(), after)


def verify(sinas, session_id, code):
    return sinas.client().post("/auth/verify-otp", {"session_id": session_id, "otp_code": code})


def other_code(code):
    return f"{(int(code) + 1) % 1000000:06}"


@pytest.fixture
def user(make_user, unique):
    return make_user(f"{unique}@auth.test")


@pytest.fixture
def claims(user):
    now = int(time.time())
    return {"sub": user.user["id"], "email": user.user["email"], "iat": now, "exp": now + 60}


def me(sinas, token):
    return sinas.client(token).get("/auth/me")


# ---- login and verify-otp ----


def test_login_answers_with_tokens_and_the_user(sinas, user):
    tokens = user.tokens
    assert list(tokens) == ["access_token", "refresh_token", "token_type", "expires_in", "user"]
    assert tokens["token_type"] == "bearer" and tokens["expires_in"] == 900
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", tokens["refresh_token"])
    shown = tokens["user"]
    assert list(shown) == ["id", "email", "is_active", "last_login_at", "created_at", "roles",
                           "external_auth_provider", "external_auth_id"]
    assert str(uuid.UUID(shown["id"])) == shown["id"]
    assert shown["is_active"] is True and shown["roles"] == ["Users"]
    assert shown["external_auth_provider"] is None and shown["external_auth_id"] is None
    for name in ("last_login_at", "created_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", shown[name])
    assert me(sinas, tokens["access_token"]).json() == shown


def test_access_token_holds_exactly_the_claims_of_the_contract(sinas, user):
    head, body, _ = user.tokens["access_token"].split(".")
    pad = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert json.loads(pad(head)) == {"alg": "HS256", "typ": "JWT"}
    claims = json.loads(pad(body))
    assert list(claims) == ["sub", "email", "iat", "exp"]
    assert claims["sub"] == user.user["id"] and claims["exp"] - claims["iat"] == 900


def test_secrets_are_stored_as_hashes_only(sinas, user, unique):
    email = user.user["email"]
    token = user.tokens["refresh_token"]
    row = sinas.psql(f"select token_hash, token_prefix from refresh_tokens t join users u on u.id = t.user_id"
                     f" where u.email = '{email}'")
    assert row == f"{hashlib.sha256(token.encode()).hexdigest()}|{token[:8]}"
    session_id, code = begin(sinas, email)
    key = sinas.environment["SECRET_KEY"].encode()
    wanted = hmac.new(key, f"{session_id}:{code}".encode(), hashlib.sha256).hexdigest()
    assert sinas.psql(f"select otp_code from otp_sessions where id = '{session_id}'") == wanted


def test_email_is_trimmed_and_lower_cased(sinas, user):
    email = user.user["email"]
    session_id, code = begin(sinas, f"  {email.upper()} ")
    answer = verify(sinas, session_id, f" {code} ")
    assert answer.status == 200 and answer.json()["user"]["email"] == email


@pytest.mark.parametrize("body, kind, loc", [
    ({}, "missing", ["body", "email"]),
    ({"email": 3}, "string_type", ["body", "email"]),
    ({"email": None}, "string_type", ["body", "email"]),
    ({"email": "nobody"}, "value_error", ["body", "email"]),
    ({"email": "a@b"}, "value_error", ["body", "email"]),
    ({"email": "a\r\nBcc: x@y.zz@b.cc"}, "value_error", ["body", "email"]),
])
def test_login_checks_its_body(http, body, kind, loc):
    answer = http.post("/auth/login", body)
    assert answer.status == 422
    assert [(entry["type"], entry["loc"]) for entry in answer.detail] == [(kind, loc)]


def test_verify_checks_its_body(http):
    answer = http.post("/auth/verify-otp", {"session_id": "x"})
    assert answer.status == 422
    assert [(entry["type"], entry["loc"]) for entry in answer.detail] == [
        ("uuid_parsing", ["body", "session_id"]), ("missing", ["body", "otp_code"])]


def test_unknown_address_is_refused_and_nothing_is_stored(sinas, http, unique):
    email = f"{unique}@nowhere.test"
    answer = http.post("/auth/login", {"email": email})
    assert (answer.status, answer.detail) == (403, NO_USER)
    assert sinas.psql(f"select count(*) from otp_sessions where email = '{email}'") == "0"


def test_inactive_user_is_refused(sinas, user, http):
    sinas.psql(f"update users set is_active = false where id = '{user.user['id']}'")
    answer = http.post("/auth/login", {"email": user.user["email"]})
    assert (answer.status, answer.detail) == (403, NO_USER)


def test_user_who_was_deactivated_after_login_cannot_verify(sinas, user):
    session_id, code = begin(sinas, user.user["email"])
    sinas.psql(f"update users set is_active = false where id = '{user.user['id']}'")
    answer = verify(sinas, session_id, code)
    assert (answer.status, answer.detail) == (403, NO_USER)


def test_code_is_usable_once(sinas, user):
    session_id, code = begin(sinas, user.user["email"])
    assert verify(sinas, session_id, code).status == 200
    answer = verify(sinas, session_id, code)
    assert (answer.status, answer.detail) == (400, BAD_CODE)


def test_second_guess_may_succeed_third_never(sinas, user):
    session_id, code = begin(sinas, user.user["email"])
    assert verify(sinas, session_id, other_code(code)).status == 400
    assert verify(sinas, session_id, code).status == 200

    session_id, code = begin(sinas, user.user["email"])
    assert verify(sinas, session_id, other_code(code)).detail == BAD_CODE
    assert verify(sinas, session_id, "not a code").detail == BAD_CODE
    assert verify(sinas, session_id, code).detail == BAD_CODE


def test_expired_and_unknown_sessions(sinas, user):
    session_id, code = begin(sinas, user.user["email"])
    sinas.psql(f"update otp_sessions set expires_at = now() where id = '{session_id}'")
    assert verify(sinas, session_id, code).detail == BAD_CODE
    assert verify(sinas, str(uuid.uuid4()), code).detail == BAD_CODE


def test_new_login_ends_the_older_one(sinas, user):
    old, old_code = begin(sinas, user.user["email"])
    new, new_code = begin(sinas, user.user["email"])
    assert verify(sinas, old, old_code).status == 400
    assert verify(sinas, new, new_code).status == 200


def test_code_belongs_to_its_session(sinas, make_user, unique):
    one = make_user(f"{unique}a@auth.test")
    other = make_user(f"{unique}b@auth.test")
    session_id, code = begin(sinas, one.user["email"])
    _, wrong = begin(sinas, other.user["email"])
    if wrong != code:
        assert verify(sinas, session_id, wrong).status == 400
    assert verify(sinas, session_id, code).status == 200


def test_guesses_at_once_are_counted_one_by_one(sinas, user):
    """Of 20 wrong guesses sent together exactly two are compared."""
    session_id, code = begin(sinas, user.user["email"])
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda n: verify(sinas, session_id, f"{(int(code) + n) % 1000000:06}"), range(1, 21)))
    assert {answer.status for answer in answers} == {400}
    assert sinas.psql(f"select attempts, verified from otp_sessions where id = '{session_id}'") == "2|f"
    assert verify(sinas, session_id, code).status == 400


def test_right_guesses_at_once_sign_in_once(sinas, user):
    session_id, code = begin(sinas, user.user["email"])
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: verify(sinas, session_id, code).status, range(10)))
    assert sorted(answers) == [200] + [400] * 9


# ---- refresh, logout ----


def test_refresh_keeps_its_token_and_notes_the_login(sinas, user, http):
    sinas.psql(f"update users set last_login_at = null where id = '{user.user['id']}'")
    for _ in range(2):
        answer = http.post("/auth/refresh", {"refresh_token": user.tokens["refresh_token"]})
        assert answer.status == 200
        assert list(answer.json()) == ["access_token", "token_type", "expires_in"]
    assert me(sinas, answer.json()["access_token"]).json()["last_login_at"] is not None


def test_refresh_refuses_what_is_not_valid(sinas, make_user, unique, http):
    def refresh(token):
        answer = http.post("/auth/refresh", {"refresh_token": token})
        return answer.status, answer.json().get("detail"), answer.headers["WWW-Authenticate"]

    refused = (401, "Invalid or expired refresh token", "Bearer")
    assert refresh("unknown") == refused

    expired = make_user(f"{unique}e@auth.test")
    sinas.psql(f"update refresh_tokens set expires_at = now() where user_id = '{expired.user['id']}'")
    assert refresh(expired.tokens["refresh_token"]) == refused

    inactive = make_user(f"{unique}i@auth.test")
    sinas.psql(f"update users set is_active = false where id = '{inactive.user['id']}'")
    assert refresh(inactive.tokens["refresh_token"]) == refused


def test_logout_revokes_only_that_token(sinas, user, http):
    second = sinas.login(user.user["email"])
    for _ in range(2):
        answer = http.post("/auth/logout", {"refresh_token": user.tokens["refresh_token"]})
        assert (answer.status, answer.body) == (204, b"")
    assert http.post("/auth/refresh", {"refresh_token": user.tokens["refresh_token"]}).status == 401
    assert http.post("/auth/refresh", {"refresh_token": second["refresh_token"]}).status == 200
    assert user.get("/auth/me").status == 200
    answer = http.post("/auth/logout", {"refresh_token": "unknown"})
    assert (answer.status, answer.detail) == (404, "Refresh token not found")


def test_external_auth_is_off(http):
    answer = http.post("/auth/external-auth", {"token": "x"})
    assert (answer.status, answer.detail) == (503, "External authentication not configured")


def test_answers_about_credentials_are_not_cached(http, user, admin):
    for answer in (http.post("/auth/login", {}), user.get("/auth/me"), admin.get("/api/v1/api-keys")):
        assert answer.headers["Cache-Control"] == "no-store"


def test_body_of_auth_is_at_most_16_kib(http):
    assert http.post("/auth/login", {"email": "a@b.cc", "more": "x" * 16384}).status == 413


# ---- credentials ----


@pytest.mark.parametrize("headers, detail", [
    ({}, "Missing authorization header"),
    ({"Authorization": ""}, "Missing authorization header"),
    ({"Authorization": "Bearer"}, "Missing authorization header"),
    ({"Authorization": "Bearer   "}, "Missing authorization header"),
    ({"Authorization": "Basic YTpi"}, "Missing authorization header"),
    ({"X-API-Key": ""}, "Missing authorization header"),
    ({"Authorization": "Bearer nonsense"}, BAD_CREDENTIALS),
    ({"Authorization": "Bearer a.b.c"}, BAD_CREDENTIALS),
    ({"X-API-Key": "nonsense"}, BAD_CREDENTIALS),
])
def test_without_a_good_credential(http, headers, detail):
    answer = http.get("/auth/me", headers=headers)
    assert (answer.status, answer.detail) == (401, detail)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_where_a_credential_may_stand(sinas, user, http):
    token, key = user.tokens["access_token"], sinas.new_key("sinas.*:all")
    owner = me(sinas, key).json()["id"]
    get = lambda **headers: http.get("/auth/me", headers={name.replace("_", "-"): v for name, v in headers.items()})
    assert get(Authorization=f"bearer {token}").status == 200
    assert get(Authorization=f"BEARER {key}").json()["id"] == owner
    assert get(X_API_Key=token).json()["id"] == user.user["id"]
    assert get(X_API_Key=key).json()["id"] == owner
    assert get(X_API_Key=key, Authorization=f"Bearer {token}").json()["id"] == owner
    assert get(X_API_Key="wrong", Authorization=f"Bearer {token}").status == 401
    assert get(X_API_Key="", Authorization=f"Bearer {token}").status == 200
    assert http.get(f"/auth/me?token={token}&api_key={key}").detail == "Missing authorization header"
    assert http.get("/auth/me", headers={"Cookie": f"access_token={token}"}).status == 401


def test_own_token_with_the_servers_key_is_accepted(sinas, claims):
    assert me(sinas, jwt(sinas.environment["SECRET_KEY"], claims)).status == 200


@pytest.mark.parametrize("change", [
    {"exp": 1767225600}, {"exp": None}, {"exp": "later"}, {"nbf": 4102444800},
])
def test_tokens_whose_time_is_not_now(sinas, claims, change):
    token = jwt(sinas.environment["SECRET_KEY"], {**claims, **change})
    assert (me(sinas, token).status, me(sinas, token).detail) == (401, BAD_CREDENTIALS)


@pytest.mark.parametrize("change", [
    {"sub": None}, {"sub": "7"}, {"sub": 7}, {"email": None}, {"email": ""}, {"email": 7},
    {"purpose": "file"}, {"purpose": ""}, {"akid": "x"},
])
def test_signed_tokens_that_are_no_access_tokens(sinas, claims, change):
    token = jwt(sinas.environment["SECRET_KEY"], {**claims, **change})
    assert (me(sinas, token).status, me(sinas, token).detail) == (401, "Invalid token payload")


def test_forged_tokens(sinas, claims):
    key = sinas.environment["SECRET_KEY"]
    good = jwt(key, claims)
    head, body, mac = good.split(".")
    none = b64(b'{"alg":"none","typ":"JWT"}')
    other = b64(json.dumps({**claims, "email": "root@sinas.test"}).encode())
    for token in (f"{none}.{body}.{mac}", f"{none}.{body}.", f"{head}.{other}.{mac}", f"{head}.{body}.{mac[:-4]}AAAA",
                  jwt("another key of some length", claims), f"{head}.{body}", good + ".x",
                  jwt(key, claims, {"alg": "HS512", "typ": "JWT"}, hashlib.sha512)):
        assert (me(sinas, token).status, me(sinas, token).detail) == (401, BAD_CREDENTIALS), token


def test_token_of_a_user_who_is_gone(sinas, claims):
    token = jwt(sinas.environment["SECRET_KEY"], {**claims, "sub": str(uuid.uuid4())})
    assert (me(sinas, token).status, me(sinas, token).detail) == (401, "User not found")


def test_deactivated_user_is_out_on_the_next_request(sinas, user):
    token = user.tokens["access_token"]
    assert me(sinas, token).status == 200
    sinas.psql(f"update users set is_active = false where id = '{user.user['id']}'")
    assert (me(sinas, token).status, me(sinas, token).detail) == (401, "User not found")
    sinas.psql(f"update users set is_active = true where id = '{user.user['id']}'")
    assert me(sinas, token).status == 200


def test_public_routes_do_not_look_at_credentials(http):
    assert http.get("/health", headers={"Authorization": "Bearer nonsense"}).status == 200
    assert http.get("/info").json()["auth_mode"] == "otp"


# ---- new users (§2.7) ----


def test_new_users_only_where_provisioning_is_on(new_sinas):
    sinas = new_sinas(AUTO_PROVISION_USERS="true")
    session_id, code = begin(sinas, "new@some.test")
    assert sinas.psql("select count(*) from users where email = 'new@some.test'") == "0"
    answer = verify(sinas, session_id, code)
    assert answer.status == 200
    assert answer.json()["user"]["roles"] == ["GuestUsers"]
    assert answer.json()["user"]["last_login_at"] is not None


def test_role_takes_in_its_domain(sinas, unique):
    domain = f"{unique}.test"
    sinas.psql(f"insert into roles (name, email_domain) values ('r-{unique}', '{domain.upper()}'), ('q-{unique}', '')")
    session_id, code = begin(sinas, f"ada@{domain}")
    assert verify(sinas, session_id, code).json()["user"]["roles"] == [f"r-{unique}"]
    # It runs at creation only: who was removed stays removed.
    sinas.psql(f"update user_roles set active = false from users u where u.id = user_id and u.email = 'ada@{domain}'")
    session_id, code = begin(sinas, f"ada@{domain}")
    assert verify(sinas, session_id, code).json()["user"]["roles"] == []


def test_nobody_becomes_admin_by_his_address(sinas, http):
    sinas.psql("update roles set email_domain = 'admins.test' where name = 'Admins'")
    assert http.post("/auth/login", {"email": "eve@admins.test"}).status == 403


def test_first_logins_at_once_create_one_user(new_sinas):
    sinas = new_sinas(AUTO_PROVISION_USERS="true")
    sessions = []
    for _ in range(5):
        session_id, code = begin(sinas, "twin@some.test")
        sessions.append(session_id)
        # Older sessions are deleted by a login: put them back as they were.
        if len(sessions) < 5:
            sinas.psql(f"update otp_sessions set email = 'kept' where id = '{session_id}'")
    sinas.psql("update otp_sessions set email = 'twin@some.test'")
    codes = re.findall(r"twin@some\.test: (\d{6})", sinas.log())
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda pair: verify(sinas, *pair), zip(sessions, codes)))
    assert [answer.status for answer in answers] == [200] * 5
    assert len({answer.json()["user"]["id"] for answer in answers}) == 1
    assert {tuple(answer.json()["user"]["roles"]) for answer in answers} == {("GuestUsers",)}


# ---- permissions act at once ----


def test_demotion_acts_on_the_next_request(sinas, make_user, unique):
    user = make_user(f"{unique}@auth.test", roles=("Admins",))
    path = "/api/v1/roles/permissions/defaults"
    assert [user.get(path).status for _ in range(3)] == [200] * 3
    sinas.psql(f"update user_roles set active = false where user_id = '{user.user['id']}'")
    answer = user.get(path)
    assert (answer.status, answer.detail) == (403, "Not authorized to view role permissions")
    sinas.psql(f"update user_roles set active = true where user_id = '{user.user['id']}'")
    assert user.get(path).status == 200


def test_change_of_a_roles_grants_acts_on_the_next_request(sinas, make_user, unique):
    sinas.psql(f"insert into roles (name) values ('r-{unique}')")
    user = make_user(f"{unique}@auth.test", roles=(f"r-{unique}",))
    ask = lambda: user.post("/auth/check-permissions", {"permissions": ["shop.cart.read:own"]}).json()["result"]
    assert ask() is False
    sinas.psql("insert into role_permissions (role_id, permission_key, permission_value)"
               f" select id, 'shop.*:own', true from roles where name = 'r-{unique}'")
    assert ask() is True
    sinas.psql("update role_permissions set permission_value = false where permission_key = 'shop.*:own'")
    assert ask() is False


def test_demotion_under_load_is_never_missed(sinas, make_user, unique):
    """Requests that start after the change was committed never see the old grants."""
    user = make_user(f"{unique}@auth.test", roles=("Admins",))
    path = "/api/v1/users?limit=1"

    def requests(_):
        return [user.get(path).status for _ in range(20)]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        running = [pool.submit(requests, n) for n in range(8)]
        sinas.psql(f"update user_roles set active = false where user_id = '{user.user['id']}'")
        after = [user.get(path).status for _ in range(20)]
        assert after == [403] * 20
        for future in running:
            statuses = future.result()
            assert set(statuses) <= {200, 403}
            assert statuses == sorted(statuses)  # once refused, always refused


# ---- rate limits (§2.8) ----


@pytest.fixture
def limited(new_sinas):
    return lambda **more: new_sinas(**{"RATE_LIMIT_LOGIN_IP_MAX": "10", "RATE_LIMIT_LOGIN_EMAIL_MAX": "5",
                                       "RATE_LIMIT_OTP_IP_MAX": "10", **more})


def refused(answer):
    assert (answer.status, answer.detail) == (429, TOO_MANY)
    return int(answer.headers["Retry-After"])


def test_login_limits_per_address_and_email(limited):
    sinas = limited()
    http = sinas.client()
    login = lambda email: http.post("/auth/login", {"email": email})
    assert [login("x@y.zz").status for _ in range(5)] == [403] * 5  # unknown ones count too
    assert 890 < refused(login(" X@Y.zz ")) <= 900
    assert http.post("/auth/login", {"email": "no address"}).status == 422  # does not count
    assert [login(f"x{n}@y.zz").status for n in range(4)] == [403] * 4
    refused(login("other@y.zz"))  # the 11th


def test_verify_limit_per_address(limited):
    sinas = limited()
    guess = lambda: verify(sinas, str(uuid.uuid4()), "000000")
    assert [guess().status for _ in range(10)] == [400] * 10
    assert refused(guess()) <= 900


def test_window_ends(limited):
    sinas = limited(RATE_LIMIT_WINDOW_SECONDS="1", RATE_LIMIT_LOGIN_EMAIL_MAX="1")
    login = lambda: sinas.client().post("/auth/login", {"email": "x@y.zz"}).status
    assert login() == 403
    until(lambda: login() == 429, what="limit")
    until(lambda: login() == 403, what="end of the window")


def test_counters_live_in_redis(limited, servers):
    sinas = limited()
    sinas.client().post("/auth/login", {"email": "x@y.zz"})
    number = sinas.redis_url.rsplit("=", 1)[1]
    assert servers.redis("-n", number, "get", "sinas:ratelimit:login:ip:127.0.0.1") == "1"
    assert 0 < int(servers.redis("-n", number, "ttl", "sinas:ratelimit:login:email:x@y.zz")) <= 900


def test_limits_hold_without_redis(servers, new_sinas, tmp_path):
    path = tmp_path / "redis.sock"
    redis = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", path, "--save", ""],
                             stdout=subprocess.DEVNULL)
    try:
        until(path.exists, what="Redis")
        sinas = new_sinas(redis_url=f"unix://{path}", RATE_LIMIT_LOGIN_EMAIL_MAX="3")
        until(lambda: sinas.client().get("/health/ready").status == 200, what="ready")
    finally:
        redis.kill()
        redis.wait()
    login = lambda: sinas.client().post("/auth/login", {"email": "x@y.zz"})
    assert [login().status for _ in range(3)] == [403] * 3
    assert refused(login()) <= 900
    answer = sinas.client().get("/health/ready")
    assert (answer.status, answer.json()) == (503, {"status": "unavailable"})
    assert sinas.client().get("/health").json() == {"status": "healthy"}


@pytest.mark.parametrize("path, body, status", [
    ("/auth/refresh", {"refresh_token": "x"}, 401),
    ("/auth/logout", {"refresh_token": "x"}, 404),
])
def test_guesses_of_refresh_tokens_are_limited(new_sinas, path, body, status):
    http = new_sinas().client()
    assert http.post(path, {}).status == 422  # does not count
    assert [http.post(path, body).status for _ in range(60)] == [status] * 60
    assert refused(http.post(path, body)) <= 60
    assert refused(http.post(path, body)) <= 60


def test_guesses_of_api_keys_are_limited(new_sinas):
    sinas = new_sinas()
    key = sinas.new_key("sinas.*:all")
    assert me(sinas, key).status == 200
    assert [me(sinas, f"guess{n}").status for n in range(60)] == [401] * 60
    assert refused(me(sinas, "guess")) <= 60
    assert me(sinas, key).status == 200  # a key that is known is not held up by its neighbours
