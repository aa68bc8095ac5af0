"""A drain whose handlers take a while: how much of what as many children could do at most."""
from . import drain

METRICS = drain.METRICS | {
    "of_ideal": ("of the ideal rate, children / time", "%", "higher"),
}


def measure(bench, contestant, parameters):
    found, more = drain.measure(bench, contestant, parameters)
    ideal = parameters["children"] / (parameters["takes_ms"] / 1000)
    found[None]["of_ideal"] = found[None]["rate"] / ideal * 100
    return found, more
