//! What only a simulated cluster can do: its own time, faults, and many in one process.

use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;

use super::*;

fn manual() -> SimOptions {
    let start = "2030-01-01T00:00:00Z".parse().expect("a time");
    SimOptions {
        clock: SimClock::Manual(start),
        ..SimOptions::named("manual")
    }
}

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}})).expect("a config map")
}

fn deployment(image: &str) -> Deployment {
    serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": {"replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": image}]}}}}))
    .expect("a deployment")
}

async fn ready(api: &Api<Deployment>) -> i32 {
    let status = api
        .get("web")
        .await
        .expect("there")
        .status
        .unwrap_or_default();
    status.ready_replicas.unwrap_or(0)
}

#[tokio::test]
async fn time_stands_still_until_it_is_advanced() {
    for pods in [true, false] {
        let cluster = SimCluster::new(SimOptions {
            pods,
            ready_after: Duration::from_secs(30),
            ..manual()
        });
        let api: Api<Deployment> = Api::default_namespaced(cluster.client());
        let made = api
            .create(&PostParams::default(), &deployment("app:1"))
            .await
            .expect("created");
        assert_eq!(
            serde_json::to_value(made.metadata.creation_timestamp).expect("JSON"),
            "2030-01-01T00:00:00Z"
        );
        cluster.advance(Duration::from_secs(29));
        assert_eq!(ready(&api).await, 0, "pods: {pods}");
        cluster.advance(Duration::from_secs(2));
        assert_eq!(ready(&api).await, 2, "pods: {pods}");
    }
}

#[tokio::test]
async fn the_same_seed_gives_the_same_cluster() {
    let mut all = Vec::new();
    for _ in 0..2 {
        let cluster = SimCluster::new(manual());
        let api: Api<Deployment> = Api::default_namespaced(cluster.client());
        api.create(&PostParams::default(), &deployment("app:1"))
            .await
            .expect("created");
        cluster.advance(Duration::from_secs(60));
        let pods: Api<Pod> = Api::default_namespaced(cluster.client());
        all.push(
            serde_json::to_string(
                &pods
                    .list(&ListParams::default())
                    .await
                    .expect("a list")
                    .items,
            )
            .expect("JSON"),
        );
    }
    assert_eq!(all[0], all[1]);
    assert!(all[0].contains("\"phase\":\"Running\""));
}

#[tokio::test]
async fn a_broken_image_keeps_a_deployment_from_becoming_ready() {
    let cluster = SimCluster::new(manual());
    cluster.break_images("app:bad");
    let api: Api<Deployment> = Api::default_namespaced(cluster.client());
    api.create(&PostParams::default(), &deployment("registry/app:bad"))
        .await
        .expect("created");
    cluster.advance(Duration::from_secs(60));
    assert_eq!(ready(&api).await, 0);
    let pods: Api<Pod> = Api::default_namespaced(cluster.client());
    let pod = pods
        .list(&ListParams::default())
        .await
        .expect("a list")
        .items
        .remove(0);
    let state = serde_json::to_value(&pod.status).expect("JSON");
    assert_eq!(
        state["containerStatuses"][0]["state"]["waiting"]["reason"],
        "ImagePullBackOff"
    );
    cluster.mend_images();
    for pod in pods
        .list(&ListParams::default())
        .await
        .expect("a list")
        .items
    {
        pods.delete(
            &pod.metadata.name.expect("a name"),
            &DeleteParams::default(),
        )
        .await
        .expect("deleted");
    }
    cluster.advance(Duration::from_secs(60));
    assert_eq!(ready(&api).await, 2);
}

#[tokio::test]
async fn faults_do_what_they_say_and_stop() {
    let cluster = SimCluster::new(SimOptions::named("faulty"));
    let api: Api<ConfigMap> = Api::default_namespaced(cluster.client());
    let code = |result: kube::Result<ConfigMap>| match result {
        Err(kube::Error::Api(status)) => status.code,
        Err(_) => 0,
        Ok(_) => 200,
    };
    cluster.set_faults(|faults| faults.refuse_writes = true);
    assert_eq!(
        code(api.create(&PostParams::default(), &config_map("a")).await),
        503
    );
    assert_eq!(code(api.get("a").await), 404, "reads are served");
    cluster.set_faults(|faults| {
        *faults = Faults {
            error_rate: 1.0,
            ..Faults::default()
        }
    });
    assert_eq!(code(api.get("a").await), 500);
    cluster.set_faults(|faults| {
        *faults = Faults {
            unreachable: true,
            ..Faults::default()
        }
    });
    assert_eq!(code(api.get("a").await), 0, "no answer at all");
    cluster.set_faults(|faults| {
        *faults = Faults {
            unhealthy: true,
            ..Faults::default()
        }
    });
    let livez = || {
        ::http::Request::get("/livez")
            .body(Vec::new())
            .expect("a request")
    };
    assert!(cluster.client().request_text(livez()).await.is_err());
    cluster.set_faults(|faults| *faults = Faults::default());
    assert_eq!(
        cluster.client().request_text(livez()).await.expect("well"),
        "ok"
    );
    assert_eq!(
        code(api.create(&PostParams::default(), &config_map("a")).await),
        200
    );
}

#[tokio::test]
async fn latency_takes_time() {
    let cluster = SimCluster::new(SimOptions::named("slow"));
    cluster.set_faults(|faults| faults.latency = Duration::from_millis(50));
    let api: Api<ConfigMap> = Api::default_namespaced(cluster.client());
    let start = tokio::time::Instant::now();
    api.create(&PostParams::default(), &config_map("a"))
        .await
        .expect("created");
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn a_dropped_watch_breaks_and_can_be_resumed() {
    let cluster = SimCluster::new(SimOptions::named("dropped"));
    let api: Api<ConfigMap> = Api::default_namespaced(cluster.client());
    let made = api
        .create(&PostParams::default(), &config_map("a"))
        .await
        .expect("created");
    let version = made.metadata.resource_version.expect("a version");
    let mut watch = api
        .watch(&WatchParams::default(), &version)
        .await
        .expect("a watch")
        .boxed();
    cluster.drop_watches();
    assert!(watch.next().await.is_none_or(|event| event.is_err()));
    api.create(&PostParams::default(), &config_map("b"))
        .await
        .expect("created");
    let mut watch = api
        .watch(&WatchParams::default(), &version)
        .await
        .expect("a watch")
        .boxed();
    let next = loop {
        match watch.next().await.expect("an event").expect("a watch") {
            WatchEvent::Added(object)
                if object.metadata.name.as_deref() == Some("kube-root-ca.crt") => {}
            other => break other,
        }
    };
    assert!(
        matches!(next, WatchEvent::Added(object) if object.metadata.name.as_deref() == Some("b"))
    );
}

#[tokio::test]
async fn a_thousand_small_clusters_fit_in_one_process() {
    let clusters: Vec<SimCluster> = (0..1_000)
        .map(|n| SimCluster::new(SimOptions::small(format!("c{n}"))))
        .collect();
    let creations = clusters.iter().map(async |cluster| {
        let api: Api<ConfigMap> = Api::default_namespaced(cluster.client());
        api.create(&PostParams::default(), &config_map("a"))
            .await
            .expect("created")
            .metadata
            .uid
    });
    let uids: std::collections::BTreeSet<_> = futures::future::join_all(creations)
        .await
        .into_iter()
        .collect();
    assert_eq!(uids.len(), 1_000, "every cluster has uids of its own");
}
