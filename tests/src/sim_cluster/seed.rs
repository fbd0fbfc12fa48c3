//! What a fresh cluster has: its system namespaces and its nodes.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::kinds::{self, ResourceType};
use super::object;
use super::options::SimNode;
use super::request::{ApiRequest, Subresource, Verb, WriteOptions};
use super::server::ApiServer;

/// Makes the system namespaces and the nodes.
pub(crate) fn first_objects(server: &mut ApiServer, now: Timestamp) {
    for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
        make(
            server,
            "",
            "namespaces",
            "",
            json!({"metadata": {"name": name}}),
            now,
        );
    }
    for node in server.options.nodes.clone() {
        let version = format!("v{}", server.options.kubernetes_version);
        make(
            server,
            "",
            "nodes",
            "",
            node_object(&node, &version, now),
            now,
        );
    }
    if server.options.pods {
        let spec = json!({"ports": [{"name": "https", "port": 443, "targetPort": 6443}], "clusterIP": "10.96.0.1"});
        let labels = json!({"component": "apiserver", "provider": "kubernetes"});
        let service = json!({"metadata": {"name": "kubernetes", "labels": labels}, "spec": spec});
        make(server, "", "services", "default", service, now);
    }
}

/// What every namespace gets.
pub(crate) fn namespace_content(server: &mut ApiServer, namespace: &str, now: Timestamp) {
    make(
        server,
        "",
        "serviceaccounts",
        namespace,
        json!({"metadata": {"name": "default"}}),
        now,
    );
    let data = json!({"ca.crt": "simulated clusters have no certificate authority\n"});
    let certificates = json!({"metadata": {"name": "kube-root-ca.crt"}, "data": data});
    make(server, "", "configmaps", namespace, certificates, now);
}

/// Makes a built-in object unless it is there, in the name of the control plane.
pub(crate) fn make(
    server: &mut ApiServer,
    group: &str,
    plural: &str,
    namespace: &str,
    object: Value,
    now: Timestamp,
) -> Option<Value> {
    let kind: Arc<ResourceType> = kinds::builtin(group, "v1", plural)
        .expect("a built-in kind")
        .clone();
    let request = ApiRequest {
        kind,
        namespace: namespace.to_owned(),
        name: String::new(),
        subresource: Subresource::None,
        verb: Verb::Get,
    };
    let options = WriteOptions {
        manager: "kube-controller-manager".to_owned(),
        ..WriteOptions::default()
    };
    server
        .create(&request, object, &options, now)
        .ok()
        .map(|written| written.value)
}

fn node_object(node: &SimNode, version: &str, now: Timestamp) -> Value {
    let time = object::timestamp(now);
    let capacity = json!({"cpu": node.cpu, "memory": node.memory, "pods": node.pods.to_string(), "ephemeral-storage": "100Gi"});
    let pressure = |kind: &str, reason: &str| {
        json!({"type": kind, "status": "False", "reason": reason, "message": "", "lastHeartbeatTime": time,
            "lastTransitionTime": time})
    };
    json!({
        "metadata": {"name": node.name, "labels": {
            "kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        }},
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": [
                pressure("MemoryPressure", "KubeletHasSufficientMemory"),
                pressure("DiskPressure", "KubeletHasNoDiskPressure"),
                {"type": "Ready", "status": "True", "reason": "KubeletReady",
                    "message": "kubelet is posting ready status", "lastHeartbeatTime": time, "lastTransitionTime": time},
            ],
            "addresses": [{"type": "Hostname", "address": node.name}],
            "nodeInfo": {
                "architecture": "amd64", "operatingSystem": "linux", "osImage": "simulated", "kernelVersion": "simulated",
                "kubeletVersion": version, "kubeProxyVersion": version, "containerRuntimeVersion": "simulated://1",
                "machineID": "", "systemUUID": "", "bootID": "",
            },
        },
    })
}
