"""Writes tests/golden/chat_templates/cases.json: chat templates rendered by transformers and jinja2.

Needs: pip install transformers==5.23.0 jinja2==3.1.6 gguf. Run from the repository root, with the
model of MODEL below present; the file is committed, so nobody else has to.
"""
import datetime
import json
import pathlib

import gguf
from transformers.utils.chat_template_utils import _compile_jinja_template

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "tests/golden/chat_templates"
MODEL = ROOT / "models/SmolLM2-135M-Instruct.Q4_1.gguf"
NOW = datetime.datetime(2024, 7, 6, 13, 5, 9)

WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "Weather of a \"city\" <now> & later",
    "parameters": {"type": "object", "properties": {
        "city": {"type": "string", "description": "l'\u00e9t\u00e9"},
        "days": {"type": "integer", "default": 3, "minimum": 0.5},
        "unit": {"type": "string", "enum": ["c", "f"]}}, "required": ["city"]}}}
CLOCK = {"type": "function", "function": {
    "name": "clock", "description": "", "parameters": {"type": "object", "properties": {}}}}
CALL = {"role": "assistant", "content": "", "tool_calls": [
    {"type": "function", "id": "abcdefghi",
     "function": {"name": "get_weather", "arguments": {"city": "Li\u00e8ge", "days": 2}}}]}

LISTS = {
    "user": [{"role": "user", "content": "Hello"}],
    "system": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
    "turns": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"},
              {"role": "user", "content": "And 3+3?"}],
    "system_turns": [{"role": "system", "content": " Spaces around.\n"},
                     {"role": "user", "content": "  a\n"},
                     {"role": "assistant", "content": "\n b  "},
                     {"role": "user", "content": "c"}],
    "unicode": [{"role": "user", "content": "na\u00efve \u65e5\u672c\u8a9e \U0001f600\u200d\U0001f9d1 \u0130\u00df\u00a0"}],
    "quotes": [{"role": "user", "content": "\"a\" 'b' \\n <|im_end|> {{ x }} {% y %}\t&amp;"}],
    "empty_text": [{"role": "system", "content": ""}, {"role": "user", "content": ""}],
    "none": [],
    "wrong_order": [{"role": "assistant", "content": "I begin"}, {"role": "user", "content": "?"}],
    "two_users": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
    "thinking": [{"role": "user", "content": "q1"},
                 {"role": "assistant", "content": "<think>\nhmm\n</think>\n\nanswer"},
                 {"role": "user", "content": "q2"},
                 {"role": "assistant", "content": "done", "reasoning_content": "\nwhy\n"}],
    "tool_turns": [{"role": "system", "content": "Use tools."},
                   {"role": "user", "content": "Weather?"}, CALL,
                   {"role": "tool", "content": "{\"t\": 21.5}", "tool_call_id": "abcdefghi"},
                   {"role": "tool", "content": "second", "tool_call_id": "abcdefghi"},
                   {"role": "assistant", "content": "21.5 degrees"},
                   {"role": "user", "content": "Thanks"}],
    "parts": [{"role": "user", "content": [{"type": "text", "text": " one "}, {"type": "image"},
                                           {"type": "text", "text": "two"}]}],
}

VARIABLES = {"bos_token": "<bos>", "eos_token": "<eos>"}


def render(source, variables):
    """{"want": text} or {"error": message}."""
    try:
        template = _compile_jinja_template(source)
        return {"want": template.render(strftime_now=NOW.strftime, **variables)}
    except Exception as error:  # whatever Python raises, C++ has to refuse too
        return {"error": str(error)}


def chat_templates():
    fields = gguf.GGUFReader(MODEL).fields
    yield "smollm2", fields["tokenizer.chat_template"].contents()
    for path in sorted(TEMPLATES.glob("*.jinja")):
        yield path.stem, path.read_text(encoding="utf-8")


def chat_cases():
    variants = [{"add_generation_prompt": True}, {"add_generation_prompt": False},
                {"add_generation_prompt": True, "tools": [WEATHER, CLOCK]},
                {"add_generation_prompt": True, "enable_thinking": False, "documents": [
                    {"title": "T", "text": "body"}]}]
    for name, source in chat_templates():
        for messages_name, messages in LISTS.items():
            seen = []
            for variant in variants:
                found = render(source, {"tools": None, "documents": None, **VARIABLES,
                                        "messages": messages, **variant})
                if found not in seen:  # many templates ignore tools
                    yield {"template": name, "messages": messages_name, "extra": variant, **found}
                seen.append(found)


def snippet_cases():
    data = json.loads((TEMPLATES / "snippets.json").read_text(encoding="utf-8"))
    for source in data["snippets"]:
        yield {"source": source, **render(source, {**VARIABLES, **data["variables"]})}


def main():
    data = {"lists": LISTS, "templates": dict(chat_templates()), "chats": list(chat_cases()),
            "snippets": list(snippet_cases())}
    lines = [f'"{key}": ' + (json.dumps(value) if isinstance(value, dict) else
                             "[\n" + ",\n".join(map(json.dumps, value)) + "\n]")
             for key, value in data.items()]
    (TEMPLATES / "cases.json").write_text("{" + ",\n".join(lines) + "}\n", encoding="ascii")
    errors = sum("error" in case for case in data["chats"] + data["snippets"])
    print(len(data["chats"]), "chats,", len(data["snippets"]), "snippets,", errors, "of them errors")


main()
