"""The accounts of the controllers that make what their owners were judged and charged for."""

from __future__ import annotations

# Who makes pods and child objects of what was judged before. A controller of Kubernetes' own has an
# account each; where they share one it is `system:kube-controller-manager`. An operator is here if
# what it makes pods for is in the catalogue and it is installed as its project ships it.
CONTROLLERS = (
    "system:kube-controller-manager",
    "system:serviceaccount:kube-system:cronjob-controller",
    "system:serviceaccount:kube-system:daemon-set-controller",
    "system:serviceaccount:kube-system:deployment-controller",
    "system:serviceaccount:kube-system:job-controller",
    "system:serviceaccount:kube-system:replicaset-controller",
    "system:serviceaccount:kube-system:statefulset-controller",
    "system:serviceaccount:argo-rollouts:argo-rollouts",
    "system:serviceaccount:argo:argo",
    "system:serviceaccount:jobset-system:jobset-controller-manager",
    "system:serviceaccount:keda:keda-operator",
    "system:serviceaccount:knative-serving:controller",
    "system:serviceaccount:kserve:kserve-controller-manager",
    "system:serviceaccount:kubeflow:katib-controller",
    "system:serviceaccount:kubeflow:notebook-controller-service-account",
    "system:serviceaccount:kubeflow:training-operator",
    "system:serviceaccount:kubeflow-system:kubeflow-trainer-controller-manager",
    "system:serviceaccount:lws-system:lws-controller-manager",
    "system:serviceaccount:mpi-operator:mpi-operator",
    "system:serviceaccount:tekton-pipelines:tekton-pipelines-controller",
    "system:serviceaccount:volcano-system:volcano-controllers",
)
