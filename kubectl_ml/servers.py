"""
The programs that serve models: which image for which format, and what it must be told.

    sklearn  ->  kserve/sklearnserver:v0.15.2 --model_name=iris --model_dir=/mnt/models …

Each takes its model from `/mnt/models` and listens on port 8080, as in KServe, so that a model can
move between backends. Images, arguments and users are those of KServe 0.15's own runtimes
(github.com/kserve/kserve, config/runtimes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from policies.model import Manifest

MODELS = "/mnt/models"
PORT = 8080


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A program that serves one format; `{name}` in arguments and paths is the model's name."""

    image: str
    gpu_image: str = ""  # where the one for accelerators is another
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    ready_path: str = ""  # answers 200 once the model is loaded; empty: the port is all there is
    user: int = 0  # for images that don't say which user they run as
    v2_only: bool = False  # speaks the Open Inference Protocol only; KServe assumes v1 unless told


_V2 = "/v2/health/ready"
_KSERVE_ARGS = ("--model_name={name}", f"--model_dir={MODELS}", f"--http_port={PORT}")
_MLSERVER = "seldonio/mlserver:1.5.0"
_TRITON = Server(
    image="nvcr.io/nvidia/tritonserver:23.05-py3",
    args=(
        "tritonserver",
        f"--model-store={MODELS}",
        f"--http-port={PORT}",
        "--allow-grpc=false",
    ),
    ready_path=_V2,
    user=1000,
    v2_only=True,
)


def _kserve(name: str, *more: str) -> Server:
    return Server(image=f"kserve/{name}:v0.15.2", args=(*_KSERVE_ARGS, *more), ready_path=_V2)


FORMATS: Mapping[str, Server] = {
    "huggingface": Server(
        image="kserve/huggingfaceserver:v0.15.2",
        gpu_image="kserve/huggingfaceserver:v0.15.2-gpu",
        args=_KSERVE_ARGS,
        ready_path=_V2,
    ),
    "lightgbm": _kserve("lgbserver", "--nthread=1"),
    "mlflow": Server(
        image=_MLSERVER,
        env={
            "MLSERVER_MODEL_IMPLEMENTATION": "mlserver_mlflow.MLflowRuntime",
            "MLSERVER_MODEL_NAME": "{name}",
            "MLSERVER_MODEL_URI": MODELS,
            "MLSERVER_HTTP_PORT": str(PORT),
        },
        ready_path=_V2,
        v2_only=True,
    ),
    "onnx": _TRITON,
    "paddle": _kserve("paddleserver"),
    "pmml": _kserve("pmmlserver"),
    "pytorch": Server(
        image="pytorch/torchserve-kfs:0.9.0",
        args=(
            "torchserve",
            "--start",
            f"--model-store={MODELS}/model-store",
            f"--ts-config={MODELS}/config/config.properties",
        ),
        user=1000,
    ),
    "sklearn": _kserve("sklearnserver"),
    "tensorflow": Server(
        image="tensorflow/serving:2.6.2",
        command=("/usr/bin/tensorflow_model_server",),
        args=(
            "--model_name={name}",
            f"--model_base_path={MODELS}",
            f"--rest_api_port={PORT}",
            "--rest_api_timeout_in_ms=60000",
        ),
        ready_path="/v1/models/{name}",
        user=1000,
    ),
    "tensorrt": _TRITON,
    "triton": _TRITON,
    "xgboost": _kserve("xgbserver", "--nthread=1"),
}


def security_context(*, user: int = 0, non_root: bool) -> Manifest:
    """
    Give a container the least rights that its image is known to live with.

    Not every image runs as another user than root, and one that starts as root to drop its rights
    needs capabilities for that. So only images that are known, or whose user is given, get what the
    restricted Pod Security Standard asks for; the others get the part of it that costs nothing.
    """
    context: Manifest = {
        "allowPrivilegeEscalation": False,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if non_root or user:
        context |= {"capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True}
    if user:
        context["runAsUser"] = user
    return context
