"""Who may do what: one row or more for every route of the program (`sinas routes`), held against it by test_matrix.py.

A row names its route, what the request is about (a target of test_matrix.World: an own, another's and an absent one) and what
each caller gets. An answer is a status, or a refusal with its text ({name} is a path parameter), or Each(own, others, absent),
or Shows(which rows) for a list. Callers:

    guest        has the role GuestUsers
    user, other  have the role Users
    admin        has the role Admins
    empty        an API key of user's without permissions
    narrowed     an API key of user's for some actions in the namespace open, where the targets are
    elsewhere    an API key of user's for every action in the namespace closed only
    overgranted  an API key of guest's that claims everything: it can do what its owner can

Those without a valid credential (test_matrix.INVALID) need no row: they get 401 wherever the rule is not "public".
"""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Each:
    own: Any
    others: Any
    absent: Any


@dataclasses.dataclass(frozen=True)
class Shows:
    """A list with status 200 and exactly the rows of a kind (test_matrix.ROWS_OF) that pass."""
    passes: Any


@dataclasses.dataclass(frozen=True)
class Row:
    route: str
    answers: dict
    target: str = None
    body: Any = None
    query: str = ""
    kind: str = None  # of a list


VALID = ("guest", "user", "other", "admin", "empty", "narrowed", "elsewhere", "overgranted")


def all_get(answer, **but):
    """The same for every caller, apart from some. An overgranted key gets what its owner gets."""
    answers = {name: answer for name in VALID} | but
    answers["overgranted"] = answers["guest"]
    return answers


def only(answer, *callers, otherwise):
    return all_get(otherwise, **{caller: answer for caller in callers})


def denied(permission):
    return 403, f"Permission denied: {permission}"


def refused(action):
    return 403, f"Not authorized to {action} this resource"


ANYBODY = all_get(200)


def namespaced(path, kind, noun, read_all, update="PUT"):
    """The five verbs of an owned kind with namespaces (10 §4.6). Users create, change and delete their own; they read
    everybody's where read_all. narrowed may read what user may."""
    missing = (404, f"{noun} not found")
    nothing = lambda action: Each(refused(action), refused(action), missing)
    own = lambda status, action: Each(status, refused(action), missing)
    everything = lambda status: Each(status, status, missing)
    member = everything(200) if read_all else own(200, "read")
    sees = lambda who: Shows(lambda row: read_all or row.owner == who)
    create = {"name": "made{unique}", "namespace": "open", "description": "d", "content": "c"}

    def changes(verb, status, action, body=None):
        return Row(f"{verb} {path}/{{namespace}}/{{name}}", target=kind, body=body, answers=all_get(
            nothing(action), user=own(status, action), other=own(status, action), admin=everything(status)))

    return [
        Row(f"POST {path}", body=create,
            answers=only(201, "user", "other", "admin", otherwise=(403, f"Not authorized to create {kind}s"))),
        Row(f"GET {path}", kind=kind, query="?limit=1000", answers=all_get(
            Shows(lambda row: False), user=sees("user"), other=sees("other"), admin=Shows(lambda row: True),
            narrowed=Shows(lambda row: row.namespace == "open" and (read_all or row.owner == "user")),
            elsewhere=Shows(lambda row: row.namespace == "closed" and (read_all or row.owner == "user")))),
        Row(f"GET {path}/{{namespace}}/{{name}}", target=kind, answers=all_get(
            nothing("read"), user=member, other=member, narrowed=member, admin=everything(200))),
        changes(update, 200, "update", {"description": "changed"}),
        # To where an own row may go: the permission counts there as well, and whose row it is decides as before.
        changes(update, 200, "update", {"namespace": "closed"}),
        changes("DELETE", 204, "delete"),
    ]


def chat(route, status, body=None, others=(404, "Chat not found"), target="chat", own=None):
    """A chat's own user, with the permission to chat with its agent (20 §3.4). No grant opens another's chat."""
    missing = (404, "Chat not found")
    may = Each(own or status, others, missing)
    return Row(route, target=target, body=body, answers=all_get(
        Each((403, "Not authorized to chat with this agent"), others, missing),
        user=may, other=may, admin=may, narrowed=may))


def chat_path(route, status, body):
    """The permission is made of the path and checked before anything is looked up."""
    may = Each(status, status, (404, "Agent not found"))
    return Row(route, target="agent", body=body, answers=all_get(
        denied("sinas.agents/{namespace}/{name}.chat:own"), user=may, other=may, admin=may, narrowed=may))


NO_USER = (404, "User not found")
NO_ROLE = (404, "Role '{name}' not found")
NO_KEY = (404, "APIKey not found")


def role(route, status, refusal, lookup_first, target="role", body=None, query=""):
    """Administrators only. Where the contract looks the role up first, an absent one is 404 for all."""
    no = (403, refusal)
    return Row(route, target=target, body=body, query=query, answers=only(
        Each(status, status, NO_ROLE), "admin", otherwise=Each(no, no, NO_ROLE if lookup_first else no)))


def fixed(route, status, permission, target=None, missing=None, body=None, query=""):
    answer = Each(status, status, missing) if target else status
    return Row(route, target=target, body=body, query=query,
               answers=only(answer, "admin", otherwise=denied(permission)))


MEMBERS = "Not authorized to manage role members"
PERMISSIONS = "Not authorized to manage role permissions"
NO_PROVIDER = (404, "LLM provider not found")
PROVIDER = {"name": "made{unique}", "provider_type": "openai"}
NO_JOB = (404, "Job {job_id} not found")

ROWS = [
    # ---- public: who asks makes no difference ----
    Row("GET /health", ANYBODY),
    Row("GET /health/ready", ANYBODY),
    Row("GET /info", ANYBODY),
    Row("GET /openapi.json", ANYBODY),
    Row("GET /api/v1/openapi.json", ANYBODY),
    Row("GET /adapters/openai/openapi.json", ANYBODY),
    Row("GET /docs", ANYBODY),
    Row("GET /api/v1/docs", ANYBODY),
    Row("GET /adapters/openai/docs", ANYBODY),
    Row("GET /api/v1/redoc", ANYBODY),
    Row("GET /adapters/openai/redoc", ANYBODY),
    Row("GET /docs/assets/{file}", all_get((404, "Not Found")), target="asset"),
    Row("POST /auth/login", all_get((403, "User not found. Contact your administrator.")),
        body={"email": "nobody{unique}@matrix.test"}),
    Row("POST /auth/verify-otp", all_get((400, "Invalid or expired OTP")),
        body={"session_id": "00000000-0000-4000-8000-000000000000", "otp_code": "123456"}),
    Row("POST /auth/refresh", all_get((401, "Invalid or expired refresh token")), body={"refresh_token": "x{unique}"}),
    Row("POST /auth/logout", all_get((404, "Refresh token not found")), body={"refresh_token": "x{unique}"}),
    Row("POST /auth/external-auth", all_get((503, "External authentication not configured")), body={"token": "x"}),

    # ---- any credential ----
    Row("GET /auth/me", ANYBODY),
    Row("POST /auth/check-permissions", ANYBODY, body={"permissions": ["sinas.users.read:own"]}),
    Row("GET /api/v1/permissions/reference", ANYBODY),
    Row("GET /api/v1/roles/permissions/reference", ANYBODY),
    Row("GET /api/v1/roles/permissions/defaults",
        only(200, "admin", otherwise=(403, "Not authorized to view role permissions"))),

    # ---- API keys (10 §3) ----
    Row("POST /api/v1/api-keys", only(201, "user", "other", "admin",
                                      otherwise=(403, "Not authorized to create API keys")), body={"name": "made"}),
    Row("GET /api/v1/api-keys", kind="api_key", query="?limit=1000", answers=all_get(
        Shows(lambda row: False), user=Shows(lambda row: row.owner == "user"), other=Shows(lambda row: row.owner == "other"),
        narrowed=Shows(lambda row: row.owner == "user"), admin=Shows(lambda row: True))),
    Row("GET /api/v1/api-keys/{id}", target="api_key", answers=all_get(
        Each(refused("read"), refused("read"), NO_KEY), user=Each(200, refused("read"), NO_KEY),
        other=Each(200, refused("read"), NO_KEY), narrowed=Each(200, refused("read"), NO_KEY), admin=Each(200, 200, NO_KEY))),
    Row("DELETE /api/v1/api-keys/{id}", target="api_key", answers=all_get(
        Each(refused("delete"), refused("delete"), NO_KEY), user=Each(204, refused("delete"), NO_KEY),
        other=Each(204, refused("delete"), NO_KEY), admin=Each(204, 204, NO_KEY))),

    # ---- users (10 §6): a user's own object is himself ----
    Row("GET /api/v1/users", kind="user", query="?limit=1000",
        answers=only(Shows(lambda row: row.is_active), "admin", otherwise=(403, "Not authorized to list users"))),
    Row("POST /api/v1/users", only(201, "admin", otherwise=(403, "Not authorized to create users")),
        body={"email": "made{unique}@matrix.test"}),
    *[Row(route, target="user", body=body, answers=all_get(
        Each(200, refused(action), NO_USER), admin=Each(200, 200, NO_USER),
        **{key: Each(refused(action), refused(action), NO_USER) for key in ("empty", "narrowed", "elsewhere")}))
      for route, action, body in (("GET /api/v1/users/{id}", "read", None), ("PATCH /api/v1/users/{id}", "update", {}))],
    Row("PATCH /api/v1/users/{id}", target="user", body={"is_active": False}, answers=only(
        Each((400, "Cannot deactivate your own user account"), 200, NO_USER), "admin",
        otherwise=Each(refused("update"), refused("update"), NO_USER))),
    Row("DELETE /api/v1/users/{id}", target="user", answers=only(
        Each((400, "Cannot delete your own user account"), 204, NO_USER), "admin",
        otherwise=Each((400, "Cannot delete your own user account"), refused("delete"), NO_USER))),

    # ---- roles (10 §7): own is one that the caller is a member of ----
    Row("POST /api/v1/roles", only(201, "admin", otherwise=denied("sinas.roles.create:own")), body={"name": "made{unique}"}),
    Row("GET /api/v1/roles", kind="role", query="?limit=1000", answers=all_get(
        Shows(lambda row: "user" in row.members), guest=Shows(lambda row: "guest" in row.members),
        other=Shows(lambda row: "other" in row.members), admin=Shows(lambda row: True))),
    Row("GET /api/v1/roles/{name}", target="role", answers=only(
        Each(200, 200, NO_ROLE), "admin", otherwise=Each(200, (403, "Not authorized to view this role"), NO_ROLE))),
    role("PATCH /api/v1/roles/{name}", 200, "Not authorized to update roles", True, body={"description": "d"}),
    role("DELETE /api/v1/roles/{name}", 204, "Not authorized to delete roles", True),
    role("GET /api/v1/roles/{name}/members", 200, "Not authorized to view role members", True),
    role("POST /api/v1/roles/{name}/members", 200, MEMBERS, False, target="new_member", body={"user_id": "{user_id}"}),
    role("DELETE /api/v1/roles/{name}/members/{user_id}", 204, MEMBERS, False, target="member"),
    role("GET /api/v1/roles/{name}/permissions", 200, "Not authorized to view role permissions", False),
    role("POST /api/v1/roles/{name}/permissions", 200, PERMISSIONS, False,
         body={"permission_key": "sinas.chats.read:own", "permission_value": True}),
    role("DELETE /api/v1/roles/{name}/permissions", 204, PERMISSIONS, False,
         query="?permission_key=shop.cart.read:own"),

    # ---- agents, skills (20 §1.3, §2), model providers (20 §15.2) ----
    *namespaced("/api/v1/agents", "agent", "Agent", read_all=True),
    *namespaced("/api/v1/skills", "skill", "Skill", read_all=False),
    Row("GET /agents/default", only(200, "user", "other", "admin", otherwise=refused("read"))),
    fixed("POST /api/v1/llm-providers", 201, "sinas.llm_providers.create:all", body=PROVIDER),
    Row("GET /api/v1/llm-providers", kind="provider", query="?limit=1000", answers=only(
        Shows(lambda row: True), "admin", otherwise=denied("sinas.llm_providers.read:all"))),
    fixed("GET /api/v1/llm-providers/{name}", 200, "sinas.llm_providers.read:all", "provider", NO_PROVIDER),
    fixed("PATCH /api/v1/llm-providers/{id}", 200, "sinas.llm_providers.update:all", "provider", NO_PROVIDER, body={}),
    fixed("DELETE /api/v1/llm-providers/{id}", 204, "sinas.llm_providers.delete:all", "provider", NO_PROVIDER),

    # ---- chats (20 §3.4, §5, §7) ----
    chat_path("POST /agents/{namespace}/{name}/chats", 200, {}),
    chat_path("POST /agents/{namespace}/{name}/invoke", 200, {"message": "hello"}),
    Row("GET /chats", kind="chat", answers=all_get(
        Shows(lambda row: row.owner == "user"), guest=Shows(lambda row: row.owner == "guest"),
        other=Shows(lambda row: row.owner == "other"), admin=Shows(lambda row: row.owner == "admin"))),
    chat("GET /chats/{id}", 200),
    chat("PUT /chats/{id}", 200, {"title": "t"}),
    chat("DELETE /chats/{id}", 204),
    chat("GET /chats/{id}/messages", 200),
    chat("POST /chats/{id}/messages", 200, {"content": "hello"}, (403, "Not authorized to access this chat")),
    chat("POST /chats/{id}/messages/stream", 200, {"content": "hello"}, (403, "Not authorized to access this chat")),
    chat("GET /chats/{id}/stream/{channel_id}", 200, target="channel"),
    # One's own chat does not open another's channel.
    chat("GET /chats/{id}/stream/{channel_id}", 200, target="foreign_channel", own=(404, "Stream not found")),

    # ---- queue (10 §10) ----
    fixed("POST /api/v1/queue/jobs/{job_id}/cancel", (409, "Job is already completed"), "sinas.system.update:all", "job",
          NO_JOB),
]
