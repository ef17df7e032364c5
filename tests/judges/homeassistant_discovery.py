"""Would Home Assistant take this device, and understand what it says?

Reads {"topic": ..., "document": {...}, "states": {topic: payload}} from stdin: the discovery document as
it was published, and a message of every topic that it names. Asks Home Assistant's own schemas and
templates. Prints what each entity would show; ends with 1 and the reasons where something is wrong.

Packages: homeassistant-requirements.txt.
"""

import asyncio
import importlib
import json
import sys
import tempfile

from homeassistant.components.mqtt.discovery import TOPIC_MATCHER
from homeassistant.components.mqtt.schemas import DEVICE_DISCOVERY_SCHEMA, SHARED_OPTIONS
from homeassistant.const import __version__
from homeassistant.core import HomeAssistant
from homeassistant.helpers import frame
from homeassistant.helpers.template import Template

# Keys of the document that Home Assistant itself takes out of a component before its schema sees it.
ENVELOPE = {"platform"}


def render(hass, template, payload):
    return Template(template, hass).async_render_with_possible_json_value(payload)


def checked(name, component, document, complain):
    """The component as Home Assistant's schema of its platform returns it."""
    merged = {key: value for key, value in component.items() if key not in ENVELOPE}
    for option in SHARED_OPTIONS:
        if option in document:
            merged.setdefault(option, document[option])
    platform = importlib.import_module(f"homeassistant.components.mqtt.{component['platform']}")
    config = platform.DISCOVERY_SCHEMA({**merged, "device": document["device"]})
    for key in merged.keys() - config.keys():
        complain(f"{name}: Home Assistant does not know `{key}`")
    return config


def state(hass, name, component, states, complain):
    """What the entity would show, after the platform's own rules."""
    topic = component.get("state_topic")
    if topic is None:
        return "(no state)"
    if topic not in states:
        complain(f"{name}: nothing was published on {topic}")
        return "(nothing)"
    shown = render(hass, component.get("value_template", "{{ value }}"), states[topic])
    kind = component["platform"]
    if "options" in component and shown not in [*component["options"], "None"]:
        complain(f"{name}: `{shown}` is not an option")
    if kind in ("binary_sensor", "switch") and shown not in ("ON", "OFF"):
        complain(f"{name}: `{shown}` is neither ON nor OFF")
    if kind == "number" or "unit_of_measurement" in component:
        if shown != "None":
            float(shown)
    return shown


def available(hass, component, document, states, complain):
    for entry in component.get("availability", document["availability"]):
        if (payload := states.get(entry["topic"])) is None:
            complain(f"nothing was published on {entry['topic']}")
        elif (shown := render(hass, entry["value_template"], payload)) != "online":
            complain(f"{entry['topic']}: `{payload}` makes it `{shown}`")


async def main():
    # Schemas compile their templates, for which they look for the house that they are in.
    hass = HomeAssistant(tempfile.gettempdir())
    frame.async_setup(hass)
    asked = json.load(sys.stdin)
    document, states = asked["document"], asked["states"]
    wrong = []
    _prefix, _, topic = asked["topic"].partition("/")
    if not (match := TOPIC_MATCHER.match(topic)) or match["component"] != "device":
        wrong.append(f"{asked['topic']} is not a device's discovery topic")
    DEVICE_DISCOVERY_SCHEMA(document)
    for name, component in document["components"].items():
        checked(name, component, document, wrong.append)
        available(hass, component, document, states, wrong.append)
        print(f"{component['platform']}.{name}: {state(hass, name, component, states, wrong.append)}")
    print(f"Home Assistant {__version__}, {len(document['components'])} entities")
    return "\n".join(wrong) or None


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
