"""List prices of the models that agents use, in dollars for a million tokens.

Standard tier, short prompts. What is added for prompts above 200,000 tokens (Google) or 272,000 (OpenAI), for
writing into a cache, for fast or regional service is not in here, nor what a subscription makes of it.
`config/tools.yaml` can replace each price and add others (`prices:` of a tool).
"""

from datetime import date
from typing import Final

from cli_multi_rapid.core.money import parse_usd
from cli_multi_rapid.core.prices import ModelPrice

AS_OF: Final = date(2026, 11, 28)
"""When the providers' pages, as the price map of litellm 1.110.2 has them, were last gone through."""

OPENAI: Final = "https://developers.openai.com/api/docs/pricing"
GOOGLE: Final = "https://ai.google.dev/gemini-api/docs/pricing"
ANTHROPIC: Final = "https://platform.claude.com/docs/en/about-claude/pricing"

_ROWS: Final = (
    # source, model, input, cached input, output
    (OPENAI, "gpt-6.1-sol", "2", "0.1", "10"),
    (OPENAI, "gpt-6.1-terra", "1", "0.05", "5"),
    (OPENAI, "gpt-6-astra", "10", "1", "50"),
    (OPENAI, "gpt-6-sol", "2", "0.2", "10"),
    (OPENAI, "gpt-6-luna", "0.1", "0.01", "0.5"),
    (OPENAI, "gpt-5.6-sol", "4", "0.4", "20"),
    (OPENAI, "gpt-5.6-terra", "2", "0.2", "12"),
    (OPENAI, "gpt-5.6-luna", "0.2", "0.02", "1.2"),
    (OPENAI, "gpt-5.5", "5", "0.5", "30"),
    (OPENAI, "gpt-5.4", "2.5", "0.25", "15"),
    (OPENAI, "gpt-5.4-mini", "0.75", "0.075", "4.5"),
    (OPENAI, "gpt-5.4-nano", "0.2", "0.02", "1.25"),
    (OPENAI, "gpt-5.3-codex", "1.75", "0.175", "14"),
    (OPENAI, "gpt-5.2", "1.75", "0.175", "14"),
    (OPENAI, "gpt-5.2-codex", "1.75", "0.175", "14"),
    (OPENAI, "gpt-5.1", "1.25", "0.125", "10"),
    (OPENAI, "gpt-5.1-codex", "1.25", "0.125", "10"),
    (OPENAI, "gpt-5.1-codex-max", "1.25", "0.125", "10"),
    (OPENAI, "gpt-5.1-codex-mini", "0.25", "0.025", "2"),
    (OPENAI, "gpt-5", "1.25", "0.125", "10"),
    (OPENAI, "gpt-5-codex", "1.25", "0.125", "10"),
    (OPENAI, "gpt-5-mini", "0.25", "0.025", "2"),
    (OPENAI, "gpt-5-nano", "0.05", "0.005", "0.4"),
    (OPENAI, "gpt-4.1", "2", "0.5", "8"),
    (OPENAI, "gpt-4.1-mini", "0.4", "0.1", "1.6"),
    (OPENAI, "gpt-4.1-nano", "0.1", "0.025", "0.4"),
    (OPENAI, "gpt-4o", "2.5", "1.25", "10"),
    (OPENAI, "gpt-4o-mini", "0.15", "0.075", "0.6"),
    (OPENAI, "o3", "2", "0.5", "8"),
    (OPENAI, "o4-mini", "1.1", "0.275", "4.4"),
    (GOOGLE, "gemini-3.8-flash", "0.75", "0.075", "3.75"),
    (GOOGLE, "gemini-3.7-flash", "0.75", "0.075", "3.75"),
    (GOOGLE, "gemini-3.6-flash", "0.75", "0.075", "3.75"),
    (GOOGLE, "gemini-3.5-flash", "1.5", "0.15", "9"),
    (GOOGLE, "gemini-3.5-flash-lite", "0.3", "0.03", "2.5"),
    (GOOGLE, "gemini-3.1-pro-preview", "2", "0.2", "12"),
    (GOOGLE, "gemini-3.1-flash-lite", "0.25", "0.025", "1.5"),
    (GOOGLE, "gemini-3-flash-preview", "0.5", "0.05", "3"),
    (GOOGLE, "gemini-2.5-pro", "1.25", "0.125", "10"),
    (GOOGLE, "gemini-2.5-flash", "0.3", "0.03", "2.5"),
    (GOOGLE, "gemini-2.5-flash-lite", "0.1", "0.01", "0.4"),
    (ANTHROPIC, "claude-fable-5-1", "10", "0.25", "50"),
    (ANTHROPIC, "claude-fable-5", "10", "1", "50"),
    (ANTHROPIC, "claude-opus-5-5", "4", "0.2", "20"),
    (ANTHROPIC, "claude-opus-5", "5", "0.5", "25"),
    (ANTHROPIC, "claude-opus-4-8", "5", "0.5", "25"),
    (ANTHROPIC, "claude-opus-4-7", "5", "0.5", "25"),
    (ANTHROPIC, "claude-opus-4-6", "5", "0.5", "25"),
    (ANTHROPIC, "claude-opus-4-5", "5", "0.5", "25"),
    (ANTHROPIC, "claude-sonnet-5-5", "2", "0.1", "10"),
    (ANTHROPIC, "claude-sonnet-5", "2", "0.2", "10"),
    (ANTHROPIC, "claude-sonnet-4-6", "3", "0.3", "15"),
    (ANTHROPIC, "claude-sonnet-4-5", "3", "0.3", "15"),
    (ANTHROPIC, "claude-haiku-4-5", "1", "0.1", "5"),
)

LIST_PRICES: Final[tuple[ModelPrice, ...]] = tuple(
    ModelPrice(
        model=model,
        input=parse_usd(input_usd),
        cached_input=parse_usd(cached_usd),
        output=parse_usd(output_usd),
        as_of=AS_OF,
        source=source,
    )
    for source, model, input_usd, cached_usd, output_usd in _ROWS
)
