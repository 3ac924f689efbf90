"""Providers, with the real SDKs against a local server: answers, tools, thinking, every failure."""

import asyncio
import sys
import time

import anyio
import pytest
from tests.providers.server import ModelServer, Reply

from metalwright.errors import Error
from metalwright.generation import keys
from metalwright.generation.anthropic_provider import AnthropicProvider
from metalwright.generation.catalogue import Endpoint, ModelFacts, ModelName, load_catalogue
from metalwright.generation.client import Limiter, ModelClient, RetryPolicy
from metalwright.generation.command_provider import CommandProvider
from metalwright.generation.failures import ProviderError
from metalwright.generation.messages import (
    Message,
    Opaque,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
    user_message,
)
from metalwright.generation.openai_provider import OpenAIProvider
from metalwright.generation.provider import make_provider, needs_key
from metalwright.generation.replay_provider import ReplayProvider

KEY = "sk-test-abcdefghijklmnop"
PROTOCOLS = ["anthropic", "openai"]
THINKING = {"anthropic": "adaptive", "openai": "effort"}


def provider_of(protocol, server, **more):
    kind = AnthropicProvider if protocol == "anthropic" else OpenAIProvider
    url = server.url if protocol == "anthropic" else f"{server.url}/v1"
    return kind("some-model", KEY, url, ModelFacts(thinking=THINKING[protocol]), **more)


def request_of(text="hello", **more):
    more = {"messages": (user_message(text),), "system": "be brief", "max_tokens": 1000} | more
    return Request(model="some:model", **more)


def ask(protocol, script, request=None, **more):
    async def main():
        with ModelServer(script) as server:
            provider = provider_of(protocol, server, **more)
            try:
                return await provider.complete(request or request_of()), server
            finally:
                await provider.close()

    return asyncio.run(main())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_answer_comes_whole_with_its_tokens_and_thinking(protocol):
    text = "many words " * 200
    reply = Reply(text=text, thinking="let me see", cache_read=40)
    answer, server = ask(protocol, lambda _: reply, request_of(effort="high"))
    assert answer.text == text
    assert answer.thinking == "let me see"
    assert answer.stop == "end"
    assert answer.usage.cache_read == 40
    assert answer.usage.input > 0
    assert answer.usage.output == len(text) // 4 + 1
    assert not answer.usage_estimated
    body = server.received[0].body
    if protocol == "anthropic":
        assert body["system"][0]["cache_control"] == {"type": "ephemeral"}
        assert body["thinking"]["type"] == "adaptive"
        assert body["output_config"] == {"effort": "high"}
        assert any(KEY in value for value in server.received[0].headers.values())
    else:
        assert body["messages"][0] == {"role": "system", "content": "be brief"}
        assert body["reasoning_effort"] == "high"
        assert body["max_completion_tokens"] == 1000


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tools_are_offered_called_and_answered(protocol):
    tool = Tool(name="look", description="looks", parameters={"type": "object", "properties": {}})
    reply = Reply(text="", thinking="hm", tool_calls=(("t1", "look", {"at": "x" * 50}),))
    answer, server = ask(protocol, lambda _: reply, request_of(tools=(tool,)))
    assert answer.stop == "tool-use"
    assert answer.tool_calls == (ToolCall(id="t1", name="look", arguments={"at": "x" * 50}),)
    assert "look" in str(server.received[0].body["tools"])
    turn = Message(role="assistant", parts=answer.parts)
    result = Message(role="user", parts=(ToolResult(id="t1", text="seen"), Text(text="go on")))
    first = user_message("hello")
    _, server = ask(
        protocol, lambda _: Reply(), request_of(tools=(tool,), messages=(first, turn, result))
    )
    sent = server.received[0].body["messages"]
    if protocol == "anthropic":
        kinds = [block["type"] for block in sent[1]["content"]]
        assert kinds == ["thinking", "tool_use"]
        assert sent[1]["content"][0]["signature"] == "signed"
        assert sent[2]["content"][0]["tool_use_id"] == "t1"
        assert "cache_control" in sent[2]["content"][-1]
    else:
        assert [message["role"] for message in sent] == [
            *("system", "user", "assistant", "tool", "user")
        ]
        assert sent[2]["tool_calls"][0]["function"]["name"] == "look"
        assert sent[3] == {"role": "tool", "tool_call_id": "t1", "content": "seen"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("stop", "meaning"), [("max_tokens", "length"), ("refusal", "refusal")])
def test_truncation_and_refusal_are_said(protocol, stop, meaning):
    answer, _ = ask(protocol, lambda _: Reply(text="half", stop=stop))
    assert answer.stop == meaning


def test_models_that_think_by_a_number_of_tokens_are_asked_so():
    async def main():
        with ModelServer(lambda _: Reply(text="ok")) as server:
            provider = AnthropicProvider("m", KEY, server.url, ModelFacts(thinking="budget"))
            await provider.complete(request_of(effort="low", max_tokens=20_000))
            await provider.complete(request_of(max_tokens=20_000))
            await provider.close()
            return [received.body.get("thinking") for received in server.received]

    assert asyncio.run(main()) == [{"type": "enabled", "budget_tokens": 4000}, None]


FAILURES = [
    (Reply(status=429, headers={"retry-after": "7"}), "rate-limited"),
    (Reply(status=529, error_type="overloaded_error"), "overloaded"),
    (Reply(status=503, error_type="overloaded_error"), "overloaded"),
    (Reply(status=500), "server"),
    (Reply(status=401, error_type="authentication_error"), "authentication"),
    (Reply(status=404, error_type="not_found_error"), "not-found"),
    (Reply(status=400, error_type="invalid_request_error"), "bad-request"),
    (Reply(break_after=0), "connection"),
    (Reply(text="x" * 2000, break_after=5), "connection"),
    (Reply(text="x" * 2000, malformed_at=4), "malformed"),
    (Reply(delay=5), "timeout"),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("reply", "kind"), FAILURES)
def test_each_failure_has_its_kind(protocol, reply, kind):
    with pytest.raises(ProviderError) as caught:
        ask(protocol, lambda _: reply, idle_seconds=1.0)
    assert caught.value.kind == kind
    assert caught.value.retry_after == (7.0 if kind == "rate-limited" else None)
    if protocol == "anthropic" and reply.break_after == 5:
        # The prompt was counted before the connection dropped; it will be on the bill.
        assert caught.value.usage.input > 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_error_in_the_middle_of_a_stream_is_an_error(protocol):
    with pytest.raises(ProviderError) as caught:
        ask(protocol, lambda _: Reply(stream_error="overloaded_error"))
    assert caught.value.passing


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_key_that_the_server_quotes_is_not_in_the_error(protocol, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "a very odd key")
    assert keys.find_key(("SOME_KEY",)) == "a very odd key"
    message = f"bad keys: {KEY}, a very odd key, Bearer abcdefghijklmnopqrs"
    with pytest.raises(ProviderError) as caught:
        ask(protocol, lambda _: Reply(status=401, error_message=message))
    for secret in (KEY, "odd key", "abcdefghijklmnopqrs"):
        assert secret not in caught.value.message


def test_a_server_that_counts_no_tokens_gets_an_estimate():
    answer, _ = ask("openai", lambda _: Reply(text="words", usage=False))
    assert answer.usage_estimated
    assert answer.usage.input > 0


def test_anthropic_counts_tokens_and_openai_says_that_it_estimates():
    async def main():
        with ModelServer(lambda _: Reply()) as server:
            for protocol, exact in (("anthropic", True), ("openai", False)):
                provider = provider_of(protocol, server)
                counted = await provider.count_tokens(request_of("hello " * 100))
                await provider.close()
                assert counted.exact is exact
                assert 100 < counted.tokens < 400

    asyncio.run(main())


# ---------------------------------------------------------------------------------- the client


class Tries:
    def __init__(self):
        self.began, self.ended = 0, []

    async def before(self):
        self.began += 1

    def after(self, attempt):
        self.ended.append(attempt)


FAST = RetryPolicy(first_wait=0.01, longest_wait=0.05)


def call(script, policy=FAST, protocol="anthropic"):
    async def main():
        with ModelServer(script) as server:
            provider = provider_of(protocol, server, idle_seconds=1.0)
            name = ModelName(provider=protocol, model="some-model")
            client = ModelClient(name, ModelFacts(), provider, Limiter(None), policy)
            tries = Tries()
            try:
                answer = await client.complete(request_of(), tries)
            except ProviderError as error:
                answer = error
            await client.close()
            return answer, tries

    return asyncio.run(main())


def scripted(*replies):
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_passing_failures_are_tried_again_until_there_is_an_answer(protocol):
    script = scripted(
        Reply(status=529, error_type="overloaded_error"),
        Reply(status=500),
        Reply(text="x" * 900, break_after=4),
        Reply(text="x" * 900, malformed_at=3),
        Reply(text="at last"),
    )
    answer, tries = call(script, protocol=protocol)
    assert answer.text == "at last"
    errors = [attempt.error for attempt in tries.ended]
    assert errors == ["overloaded", "server", "connection", "malformed", None]
    assert tries.began == 5


def test_lasting_failures_are_not_tried_again():
    error, tries = call(lambda _: Reply(status=401, error_type="authentication_error"))
    assert error.kind == "authentication"
    assert tries.began == 1


def test_trying_ends_after_the_number_of_tries():
    error, tries = call(lambda _: Reply(status=500), RetryPolicy(3, 0.01, 0.02))
    assert error.kind == "server"
    assert tries.began == 3


def test_the_server_decides_how_long_to_wait():
    start = time.monotonic()
    script = scripted(Reply(status=429, headers={"retry-after": "0.6"}), Reply(text="now"))
    answer, _ = call(script)
    assert answer.text == "now"
    assert time.monotonic() - start >= 0.6


def test_waits_grow_and_stay_below_the_longest():
    policy = RetryPolicy(first_wait=1, longest_wait=10)
    waits = [policy.wait(number, ProviderError("server", "")) for number in range(1, 9)]
    assert 0.5 <= waits[0] <= 1
    assert 5 <= waits[-1] <= 10
    assert policy.wait(1, ProviderError("rate-limited", "", retry_after=33)) == 33


def test_no_more_calls_at_once_than_the_endpoint_allows():
    async def main():
        with ModelServer(lambda _: Reply(delay=0.05)) as server:
            endpoint = Endpoint(protocol="anthropic", concurrency=3)
            limiter = Limiter(endpoint)
            name = ModelName(provider="anthropic", model="m")
            provider = provider_of("anthropic", server)
            client = ModelClient(name, ModelFacts(), provider, limiter, FAST)
            async with anyio.create_task_group() as group:
                for _ in range(9):
                    group.start_soon(client.complete, request_of(), Tries())
            await client.close()
            return server

    server = asyncio.run(main())
    assert len(server.answered) == 9
    assert server.most_at_once == 3


def test_no_more_calls_a_minute_than_the_endpoint_allows():
    async def main():
        limiter = Limiter(Endpoint(protocol="openai", concurrency=50, requests_per_minute=600))
        start = time.monotonic()
        times = []

        async def one():
            async def nothing():
                times.append(time.monotonic() - start)

            await limiter.run(1, nothing)

        limiter._requests._level = 2  # a minute's worth passes at once otherwise
        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(one)
        return times

    times = asyncio.run(main())
    assert sorted(times)[1] < 0.1
    assert max(times) >= 0.35


# ---------------------------------------------------------------------------------- other providers


def test_a_command_reads_the_prompt_and_writes_the_answer():
    program = "import sys; print('got:', sys.stdin.read())"
    provider = CommandProvider([sys.executable, "-c", program])
    answer = asyncio.run(provider.complete(request_of("hello there")))
    assert answer.text.startswith("got: be brief\n\nhello there")
    assert answer.usage_estimated


@pytest.mark.parametrize(
    ("program", "kind", "words"),
    [
        ("import sys; sys.exit('no such luck')", "program", "no such luck"),
        ("import time; time.sleep(60)", "timeout", "took longer"),
    ],
)
def test_a_command_that_fails_says_why(program, kind, words):
    provider = CommandProvider([sys.executable, "-c", program], seconds=2.0)
    with pytest.raises(ProviderError) as caught:
        asyncio.run(provider.complete(request_of()))
    assert caught.value.kind == kind
    assert words in caught.value.message


def test_a_command_that_is_not_there_is_an_error():
    with pytest.raises(ProviderError) as caught:
        asyncio.run(CommandProvider(["/nonexistent/program"]).complete(request_of()))
    assert caught.value.kind == "program"


def test_recorded_answers_are_found_by_problem_attempt_and_repair(tmp_path):
    (tmp_path / "gelu").mkdir()
    (tmp_path / "gelu" / "2.md").write_text("second")
    (tmp_path / "gelu" / "2-repair-1.md").write_text("repaired")
    provider = ReplayProvider(tmp_path)
    task = user_message("Problem: gelu\nAttempt: 2\n")
    answer = asyncio.run(provider.complete(request_of(messages=(task,))))
    assert answer.text == "second"
    turns = (task, Message(role="assistant", parts=answer.parts), user_message("Repair: 1"))
    assert asyncio.run(provider.complete(request_of(messages=turns))).text == "repaired"
    with pytest.raises(ProviderError) as caught:
        asyncio.run(
            provider.complete(request_of(messages=(user_message("Problem: x\nAttempt: 1"),)))
        )
    assert caught.value.kind == "not-found"


# ---------------------------------------------------------------------------------- the catalogue


def test_model_names_and_prices():
    catalogue = load_catalogue()
    assert str(catalogue.parse("claude-opus-5-5")) == "anthropic:claude-opus-5-5"
    assert str(catalogue.parse("openai:a/b:c")) == "openai:a/b:c"
    assert str(catalogue.parse("inductor")) == "inductor"
    facts = catalogue.facts(catalogue.parse("claude-opus-5-5"))
    usage = Usage(input=1_000_000, output=100_000, cache_read=1_000_000)
    assert facts.cost(usage) == pytest.approx(4 + 2 + 0.2)
    unknown = catalogue.facts(catalogue.parse("openai:unheard-of"))
    assert unknown.cost(usage) is None
    assert catalogue.facts(catalogue.parse("ollama:anything")).cost(usage) == 0
    with pytest.raises(Error) as caught:
        catalogue.parse("nobody:x")
    assert caught.value.code == "no-such-provider"


def test_long_prompts_have_their_own_price():
    catalogue = load_catalogue()
    facts = catalogue.facts(catalogue.parse("claude-haiku-5-5"))
    assert facts.most(100_000, 1000) == pytest.approx((100_000 * 0.125 + 1000 * 0.5) / 1e6)
    assert facts.most(100_001, 1000) == pytest.approx((100_001 * 0.625 + 1000 * 2.5) / 1e6)


def test_every_price_in_the_data_file_is_whole():
    for name, facts in load_catalogue()._data.models.items():
        assert name == str(load_catalogue().parse(name))
        if facts.price is not None:
            assert facts.price.output >= facts.price.input > 0
            assert facts.price.cache_read < facts.price.input <= facts.price.cache_write


def test_a_users_file_is_laid_over_the_catalogue(tmp_path, monkeypatch):
    own = tmp_path / "own.toml"
    own.write_text(
        '[endpoints.mine]\nprotocol = "openai"\nbase_url = "http://localhost:1/v1"\n'
        '[models."mine:m"]\nprice = { input = 1, output = 2 }\n'
        '[models."anthropic:claude-opus-5"]\nprice = { input = 9, output = 9 }\n'
    )
    monkeypatch.setenv("METALWRIGHT_MODELS", str(own))
    catalogue = load_catalogue()
    assert catalogue.facts(catalogue.parse("mine:m")).price.output == 2
    opus = catalogue.facts(catalogue.parse("claude-opus-5"))
    assert (opus.price.input, opus.price.cache_read, opus.context) == (9, None, 1_000_000)
    own.write_text("[models.x]\nunknown = 1\n")
    with pytest.raises(Error) as caught:
        load_catalogue()
    assert caught.value.code == "bad-models-file"


def test_a_missing_key_is_said_before_anything_is_sent(monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.setattr(keys, "_from_keyring", lambda name: "")
    catalogue = load_catalogue()
    name = catalogue.parse("claude-opus-5-5")
    assert needs_key(catalogue, name) == ("ANTHROPIC_API_KEY",)
    with pytest.raises(Error) as caught:
        make_provider(catalogue, name)
    assert caught.value.code == "no-key"


def test_a_key_that_workers_would_see_is_refused(monkeypatch):
    monkeypatch.setenv("MY_ACCESS", "very-secret")
    with pytest.raises(Error) as caught:
        keys.find_key(("MY_ACCESS",))
    assert caught.value.code == "bad-key-name"
    assert "very-secret" not in str(caught.value)


def test_a_key_in_the_systems_keyring_is_found(monkeypatch):
    keyring = pytest.importorskip("keyring")
    monkeypatch.delenv("SOME_KEY", raising=False)
    stored = {("metalwright", "SOME_KEY"): "from the keyring"}
    monkeypatch.setattr(keyring, "get_password", lambda service, name: stored.get((service, name)))
    assert keys.find_key(("OTHER_KEY", "SOME_KEY")) == "from the keyring"


def test_opaque_parts_are_for_their_own_provider_only():
    part = Opaque(provider="anthropic", data={"type": "thinking", "thinking": "x"})
    turns = (user_message("a"), Message(role="assistant", parts=(part, Text(text="b"))))
    _, server = ask("openai", lambda _: Reply(), request_of(messages=(*turns, user_message("c"))))
    assert server.received[0].body["messages"][2] == {"role": "assistant", "content": "b"}


def test_requests_with_the_same_content_have_the_same_hash():
    assert request_of("a").hash == request_of("a").hash
    assert request_of("a").hash != request_of("b").hash
    assert request_of("a").hash != request_of("a", max_tokens=5).hash
