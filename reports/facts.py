"""The facts of a run for the report: scenario, target, host, versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports import quantities
from reports.run_frames import Manifest, RunFrames


def facts_of(run: RunFrames) -> list[tuple[str, str]]:
    """Return the facts of a run as pairs of name and text; a missing one is ``unknown``."""
    manifest = run.manifest
    host, target, clock = (manifest.part(name) for name in ("host", "target", "clock"))
    users = ", ".join(f"{number:,} {group}" for group, number in manifest.part("users").items())
    versions = ", ".join(f"{name} {text}" for name, text in manifest.part("versions").items())
    phases = ", ".join(f"{phase} {end - start:.3g} s" for phase, start, end in manifest.phases)
    gateway = ", ".join(f"{name}={value}" for name, value in run.scenario.gateway.items())
    facts = [
        ("Scenario", f"{run.scenario.name}, seed {run.scenario.seed}"),
        ("Status", str(manifest.status)),
        ("Created", manifest.facts.get("created")),
        ("Virtual users", users),
        ("Phases", phases),
        ("Target", _target_words(target)),
        ("Gateway settings", gateway or "defaults"),
        ("Clocks", _clock_words(clock)),
        ("Host", _host_words(host)),
        ("Placement", _placement_words(manifest.part("placement"))),
        ("Versions", versions),
        ("Commit", _commit_words(manifest)),
        ("Command", " ".join(str(word) for word in manifest.facts.get("command") or ())),
    ]
    return [(name, str(words) if words else "unknown") for name, words in facts]


def _target_words(target: Mapping[str, Any]) -> str:
    if not target.get("url"):
        return ""
    urls = str(target["url"]).replace(",", ", ")
    return f"{urls}, {'embedded' if target.get('embedded') else 'external'}"


def _clock_words(clock: Mapping[str, Any]) -> str:
    if clock.get("same") is None:
        return ""
    if clock["same"]:
        return "one clock on both sides, so one-way times are exact"
    return "two clocks, so one-way times carry the error of their difference"


def _host_words(host: Mapping[str, Any]) -> str:
    parts = [host.get("cpu"), host.get("machine"), host.get("kernel")]
    if host.get("cores"):
        parts.append(quantities.counted(int(host["cores"]), "core"))
    if host.get("memory_bytes"):
        parts.append(quantities.size(float(host["memory_bytes"])))
    return ", ".join(str(part) for part in parts if part)


def _placement_words(placement: Mapping[str, Any]) -> str:
    parts = [
        f"{what} on core{'s' if len(cores) > 1 else ''} {', '.join(map(str, cores))}"
        for what in ("gateway", "load")
        if (cores := placement.get(what))
    ]
    return "; ".join(parts)


def _commit_words(manifest: Manifest) -> str:
    commit = manifest.facts.get("git_commit")
    if not commit:
        return ""
    return f"{commit[:12]}{', with local changes' if manifest.facts.get('git_dirty') else ''}"
