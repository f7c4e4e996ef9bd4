"""Reading the API's metrics as Prometheus does."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scraped(client: httpx.Client) -> Samples:
    """All samples of GET /metrics by name and labels."""
    response = client.get("/metrics")
    assert response.status_code == 200, response.text
    families = text_string_to_metric_families(response.text)
    return {(sample.name, frozenset(sample.labels.items())): sample.value for it in families for sample in it.samples}


def total(samples: Samples, name: str, **labels: str) -> float:
    """The sum of the samples that have these labels, among others."""
    return sum(number for (found, pairs), number in samples.items() if found == name and labels.items() <= set(pairs))


def value(samples: Samples, name: str, **labels: str) -> float | None:
    """The sample with exactly these labels; None if there is none."""
    return samples.get((name, frozenset(labels.items())))
