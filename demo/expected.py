"""
What the demo must see, file by file, in the order in which it shows them.

Each is a line of the diff of the workload or of its pod; without it the demo fails.
"""

from __future__ import annotations

EXPECTED: dict[str, tuple[str, ...]] = {
    "job.yaml": (
        "kubectl-ml.io/accelerator: a100:2",
        'nvidia.com/gpu: "2"',
        "- {name: ml-imagenet, mountPath: /data, readOnly: true}",
        "nodeSelector: {nvidia.com/gpu.product: NVIDIA-A100-SXM4-80GB}",
        "- name: logs",
    ),
    "deployment.yaml": ('dapr.io/enabled: "true"', "dapr.io/app-id: reco"),
    "knative-service.yaml": (
        'autoscaling.knative.dev/max-scale: "5"',
        "nodeSelector: {nvidia.com/gpu.product: NVIDIA-L4}",
    ),
    "queued-job.yaml": (
        "kueue.x-k8s.io/queue-name: team-a",
        'nvidia.com/gpu: "4"',
    ),
    "pytorchjob.yaml": (
        'nvidia.com/gpu: "8"',
        'rdma/hca: "1"',
        "- name: tensorboard",
    ),
    "mpijob.yaml": ('nvidia.com/gpu: "4"',),
    "jobset.yaml": ("nodeSelector: {nvidia.com/gpu.product: Tesla-T4}",),
    "trainjob.yaml": ("- {name: WANDB_RUN_GROUP, value: mnist-baseline}",),
    "inferenceservice.yaml": ("maxReplicas: 4", 'nvidia.com/gpu: "1"'),
    "daemonset.yaml": ("nodeSelector: {nvidia.com/gpu.product: NVIDIA-L4}",),
    "statefulset.yaml": ("- {name: dshm, emptyDir: {medium: Memory, sizeLimit: 4Gi}}",),
    "cronjob.yaml": ('nvidia.com/mig-1g.10gb: "1"',),
    "kinds/bertjob.yaml": (
        'nvidia.com/gpu: "2"',
        "nodeSelector: {nvidia.com/gpu.product: NVIDIA-A100-SXM4-80GB}",
    ),
    "pod.yaml": ("- {name: ml-pvc-home, persistentVolumeClaim: {claimName: home}}",),
}

REFUSED = {
    "refused/unknown-class.yaml": (
        422,
        'devices: kubectl-ml.io/accelerator: unknown device class "a1000"; did you mean "a100"?',
    ),
}
