"""What chat tests share: users, agents on the scripted vendor, and ways to talk to them."""

import json


def script(*rounds, **steps):
    """A user message that tells the vendor what to answer; one script per round of the turn."""
    return "script:" + json.dumps(list(rounds) if rounds else steps)


class Chatting:
    """The vendor as default provider, two users with the role Users, and an administrator."""

    def __init__(self, sinas, vendor, admin):
        self.sinas, self.vendor, self.admin = sinas, vendor, admin
        answer = admin.post("/api/v1/llm-providers", {"name": "vendor", "provider_type": "openai", "api_key": "sk-test",
                                                      "api_endpoint": vendor.url + "/v1", "default_model": "scripted",
                                                      "is_default": True})
        if answer.status == 400:  # made by another module of the same session, perhaps no longer the default
            provider = admin.get("/api/v1/llm-providers/vendor").json()["id"]
            answer = admin.patch(f"/api/v1/llm-providers/{provider}", {"is_default": True, "is_active": True})
        assert answer.status in (200, 201), answer
        self.ann, self.bob = sinas.make_user("ann@chat.test"), sinas.make_user("bob@chat.test")

    def agent(self, name, **fields):
        answer = self.admin.post("/api/v1/agents", {"name": name, **fields})
        assert answer.status == 201, answer
        return f"default/{name}"

    def chat(self, agent, **fields):
        answer = self.ann.post(f"/agents/{agent}/chats", fields)
        assert answer.status == 200, answer
        return answer.json()

    def get(self, chat):
        answer = self.ann.get(f"/chats/{chat['id']}")
        assert answer.status == 200, answer
        return answer.json()

    def say(self, chat, content, **more):
        return self.ann.post(f"/chats/{chat['id']}/messages", {"content": content}, **more)

    def stream(self, chat, content, **more):
        return self.ann.stream("POST", f"/chats/{chat['id']}/messages/stream", {"content": content}, **more)

    def resume(self, chat, channel, last_id=None, headers=None):
        query = f"?last_id={last_id}" if last_id is not None else ""
        return self.ann.stream("GET", f"/chats/{chat['id']}/stream/{channel}{query}", headers=headers)
