"""The streams of all nine tools, in the order in which the ownership document lists them."""

from __future__ import annotations

from sor_pipeline.demo.tools import aircall, amplitude, bamboohr, hubspot, mailchimp, marketo, plan, stripe, zendesk
from sor_pipeline.demo.tools.stream import Stream

TOOLS = (hubspot, mailchimp, marketo, zendesk, aircall, stripe, amplitude, bamboohr, plan)
STREAMS: dict[str, Stream] = {stream.source: stream for tool in TOOLS for stream in tool.STREAMS}
