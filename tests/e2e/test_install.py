"""A webhook of shipped manifests is called, though it is a local process."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.e2e.controlplane import certificates, cluster, install, waiting

MANIFESTS = """
apiVersion: v1
kind: Namespace
metadata: {name: greeter}
---
apiVersion: v1
kind: Service
metadata: {name: hooks, namespace: greeter}
spec: {selector: {app: greeter}, ports: [{port: 443, targetPort: 9443}]}
---
apiVersion: v1
kind: Service
metadata: {name: metrics, namespace: greeter}
spec: {selector: {app: greeter}, ports: [{port: 9090}]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: greeter}
webhooks:
- name: greeter.example.com
  clientConfig: {service: {name: hooks, namespace: greeter, path: /validate}}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  namespaceSelector: {matchLabels: {greet: "true"}}
  admissionReviewVersions: [v1]
  sideEffects: None
"""


class Greeter(BaseHTTPRequestHandler):
    """Allows everything, with a warning."""

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        response = {"uid": review["request"]["uid"], "allowed": True, "warnings": ["hello"]}
        body = json.dumps({**review, "response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Stay silent."""


@contextmanager
def greeter(authority: certificates.Authority, directory: Path) -> Iterator[int]:
    pair = authority.server("hooks.greeter.svc")
    chain = directory / "chain.pem"
    chain.write_bytes(pair.certificate + pair.key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(chain)
    with ThreadingHTTPServer(("127.0.0.1", 0), Greeter) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_the_api_server_calls_a_local_process_by_its_service(
    controlplane: cluster.ControlPlane, tmp_path: Path
):
    (tmp_path / "kustomization.yaml").write_text("resources: [all.yaml]\n")
    (tmp_path / "all.yaml").write_text(MANIFESTS)
    namespace = controlplane.add_namespace(labels={"greet": "true"})
    authority = certificates.Authority()

    def warning() -> bool:
        created = controlplane.admin.try_kubectl(
            *("create", "configmap", "any", "-n", namespace, "--dry-run=server")
        )
        return created.stderr == "Warning: hello\n"

    with greeter(authority, tmp_path) as port:
        installed = install.install(controlplane, tmp_path, port=port, ca=authority.certificate)
        try:
            waiting.until(warning, what="the webhook to be called", timeout_seconds=10)
        finally:
            install.uninstall(controlplane, installed)
        left = controlplane.kubectl("get", "validatingwebhookconfigurations", "-o", "name")

    assert "greeter" not in left
    metrics = next(each for each in installed if each["metadata"]["name"] == "metrics")
    assert metrics["spec"]["ports"] == [{"port": 9090}]
