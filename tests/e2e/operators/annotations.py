"""Annotations of Knative that a template may have, valid and not: both must judge them alike."""

KPA, HPA = "kpa.autoscaling.knative.dev", "hpa.autoscaling.knative.dev"
PREFIX = "autoscaling.knative.dev/"

_NUMBERS = ("", "-1", "0", "1", "2", "+3", "07", "1.5", "1e1", "0x2", "1_0", " 1", "2147483647",
            "2147483648", "99999999999999999999", "one")  # fmt: skip
_FLOATS = ("", "-1", "-1.0", "-0.5", "-0", "0", "0.009", "0.01", ".5", "1", "1.", "+5", "99.99",
           "100", "100.01", "109.9", "110", "1000", "1000.1", "1e2", "1e400", "-1e400", "1e-400",
           "0x1p3", "1_0", "1,5", "inf", "NaN", " 5", "5%", "1" * 25)  # fmt: skip
_TIMES = ("", "0", "0s", "-0s", "-1s", "1s", "5s", "5999ms", "6s", "6000ms", "6500ms", "6.0s",
          "+10s", "1.5m", "60m", "1h", "3601s", "1h0m1ns", "10", "10 s", "1d", "1m30", ".5m",
          "1us", "1µs", "1h1h", "s", "9999999999h", "59m59.9999999995s")  # fmt: skip
VALUES = {
    "min-scale": _NUMBERS,
    "minScale": ("3", "x"),
    "max-scale": _NUMBERS,
    "maxScale": ("3", "x"),
    "initial-scale": _NUMBERS,
    "initialScale": ("3", "x"),
    "activation-scale": _NUMBERS,
    "activationScale": ("3",),
    "target": _FLOATS,
    "target-utilization-percentage": _FLOATS,
    "targetUtilizationPercentage": ("101",),
    "target-burst-capacity": _FLOATS,
    "targetBurstCapacity": ("-2",),
    "window": _TIMES,
    "panic-window-percentage": _FLOATS,
    "panicWindowPercentage": ("101",),
    "panic-threshold-percentage": _FLOATS,
    "panicThresholdPercentage": ("109",),
    "scale-down-delay": _TIMES,
    "scaleDownDelay": ("2h",),
    "scale-to-zero-pod-retention-period": _TIMES,
    "scaleToZeroPodRetentionPeriod": ("2h",),
    "class": ("", KPA, HPA, "keda.example.com", "keda.knative.dev", "knative.dev"),
    "metric": ("", "concurrency", "rps", "cpu", "memory", "custom"),
    "metric-aggregation-algorithm": ("", "linear", "mean"),
    "unheard-of": ("x",),
}
TOGETHER: tuple[dict[str, str], ...] = (
    *({"class": each, "metric": metric} for each in ("", KPA, HPA, "keda.example.com")
      for metric in ("", "concurrency", "rps", "cpu", "memory", "custom")),
    *({"class": each, "metric-aggregation-algorithm": value} for each in (KPA, HPA)
      for value in ("", "linear", "weightedExponential", "weighted-exponential", "mean")),
    {"min-scale": "5", "max-scale": "2"},
    {"min-scale": "5", "max-scale": "5"},
    {"min-scale": "5", "max-scale": "0"},
    {"minScale": "5", "max-scale": "2"},
    {"min-scale": "5", "maxScale": "2"},
    {"min-scale": "5", "max-scale": "x"},
    {"min-scale": "x", "max-scale": "2"},
    {"min-scale": "1", "minScale": "5", "max-scale": "2"},
    {"min-scale": "x", "minScale": "5"},
    {"min-scale": "5", "minScale": "x"},
    {"activation-scale": "3", "max-scale": "2"},
    {"activation-scale": "3", "max-scale": "3"},
    {"activation-scale": "3", "max-scale": "0"},
    {"activation-scale": "3", "min-scale": "4"},
    {"activation-scale": "3", "min-scale": "3"},
    {"activation-scale": "3", "min-scale": "x"},
    {"initial-scale": "3", "max-scale": "2"},
    {"initial-scale": "0", "min-scale": "0"},
    {"panic-window-percentage": "x", "panic-threshold-percentage": "x"},
)  # fmt: skip
# Whole keys, of the template as those above.
OTHERS = {
    "serving.knative.dev/progress-deadline": _TIMES,
    "serving.knative.dev/progressDeadline": ("0s", "x"),
    "queue.sidecar.serving.knative.dev/cpu-resource-request": ("100m", "x", "", "-1"),
    "queue.sidecar.serving.knative.dev/cpu-resource-limit": ("1", "1x"),
    "queue.sidecar.serving.knative.dev/memory-resource-request": ("1Gi", "1GB"),
    "queue.sidecar.serving.knative.dev/ephemeral-storage-resource-limit": ("1Gi", "x"),
    "queue.sidecar.serving.knative.dev/resource-percentage": ("0", "0.1", "50", "100", "101", "x"),
    "queue.sidecar.serving.knative.dev/resourcePercentage": ("50", "101"),
}


def table() -> list[dict[str, str]]:
    """List the annotations of one template each."""
    single = [{PREFIX + key: value} for key, values in VALUES.items() for value in values]
    paired = [{PREFIX + key: each[key] for key in each} for each in TOGETHER]
    others = [{key: value} for key, values in OTHERS.items() for value in values]
    return [*single, *paired, *others]
