//! Everything together: the programs as a user runs them, on simulated clusters and, where their
//! programs are there, on real Kubernetes API servers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use skein_tests::fleet::{Fleet, FleetOptions, free_port};
use skein_tests::kube_cluster::{KubeCluster, KubeOptions, StartError};
use skein_tests::stage::{Kind, Outcome, Stage, pause};

#[path = "e2e/commands.rs"]
mod commands;
#[path = "e2e/placement.rs"]
mod placement;

fn example(name: &str) -> String {
    format!("examples/{name}")
}

/// Plays the demo; its whole story is in the failure.
fn demo(arguments: &[&str]) {
    let program = Path::new(env!("CARGO_BIN_EXE_demo"));
    let output = Command::new(program).args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{told}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        told.contains("nothing scripted behind the command line"),
        "{told}"
    );
}

#[test]
fn the_main_job_runs_on_simulated_clusters() {
    demo(&[]);
}

#[tokio::test]
async fn the_main_job_runs_on_real_api_servers() {
    let first = match KubeCluster::start(&KubeOptions::default()).await {
        Ok(cluster) => cluster,
        Err(StartError::Missing(missing)) => {
            // Said here and again in the recipe's last lines; never silent.
            eprintln!("NOT RUN on real API servers: {missing}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let second = KubeCluster::start(&KubeOptions::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let merged = folder.path().join("kubeconfig");
    std::fs::write(
        &merged,
        merge([("one", first.kubeconfig()), ("two", second.kubeconfig())]),
    )
    .unwrap();
    let path = merged.display().to_string();
    let play = move || {
        demo(&[
            "--kubeconfig",
            &path,
            "--context",
            "one",
            "--context",
            "two",
        ]);
    };
    tokio::task::spawn_blocking(play).await.unwrap();
}

/// One kubeconfig of several, each with one context.
fn merge(files: [(&str, &Path); 2]) -> String {
    let mut whole = serde_json::json!({"apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts": []});
    for (name, file) in files {
        let text = std::fs::read_to_string(file).unwrap();
        let one: serde_json::Value = serde_yaml_ng::from_str(&text).unwrap();
        for (list, member) in [("clusters", "cluster"), ("users", "user")] {
            let entry = serde_json::json!({"name": name, member: one[list][0][member]});
            whole[list].as_array_mut().unwrap().push(entry);
        }
        let context = serde_json::json!({"name": name, "context": {"cluster": name, "user": name}});
        whole["contexts"].as_array_mut().unwrap().push(context);
    }
    whole.to_string()
}

/// Plays on a new stage, ends it, and keeps its folder when something went wrong.
async fn on_stage(play: impl AsyncFnOnce(&mut Stage) -> Outcome<()>) {
    let mut stage = Stage::build().unwrap();
    let outcome = play(&mut stage).await;
    stage.end().await;
    if let Err(failure) = outcome {
        let logs = stage.logs();
        stage.keep_files();
        panic!("{failure}\nlogs: {}", logs.display());
    }
}

/// Plays with a fleet of one simulated cluster, and of one real API server where its programs are.
async fn on_both_kinds(play: impl AsyncFn(&mut Stage, Fleet) -> Outcome<()>) {
    on_stage(async |stage| {
        let fleet = Fleet::start(stage, FleetOptions { clusters: 1 }).await?;
        play(stage, fleet).await
    })
    .await;
    let cluster = match KubeCluster::start(&KubeOptions::default()).await {
        Ok(cluster) => cluster,
        Err(StartError::Missing(missing)) => {
            eprintln!("NOT RUN on a real API server: {missing}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    on_stage(async |stage| {
        let context = "skein-kube".to_owned();
        let fleet = Fleet::start_on(stage, cluster.kubeconfig(), vec![context]).await?;
        play(stage, fleet).await
    })
    .await;
}

/// Whether any file below `folder` holds `text`, as it is or in base64; names the file.
fn find_in_files(folder: &Path, text: &str) -> Option<String> {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(text);
    let holds = |bytes: &[u8], needle: &str| {
        bytes
            .windows(needle.len())
            .any(|window| window == needle.as_bytes())
    };
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if let Some(found) = find_in_files(&path, text) {
                return Some(found);
            }
        } else {
            let bytes = std::fs::read(&path).unwrap_or_default();
            if holds(&bytes, text) || holds(&bytes, &encoded) {
                return Some(path.display().to_string());
            }
        }
    }
    None
}

#[tokio::test]
async fn a_secret_reaches_its_cluster_and_rests_nowhere_in_the_clear() {
    const PASSWORD: &str = "correct-horse-battery-staple";
    on_both_kinds(async |stage, _| {
        stage
            .ask(&format!(
                "apply -f {} -n shop-1 --wait --timeout 30s",
                example("work-secret.yaml")
            ))
            .await?;
        let secret = stage.members[0]
            .find(Kind::Secret, "registry-login")
            .await?
            .unwrap();
        let told = secret.to_string();
        assert!(
            told.contains(PASSWORD) || told.contains("Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5LXN0YXBsZQ"),
            "{told}"
        );
        let stored = stage
            .ask("get manifestwork registry-login -n shop-1 -o yaml")
            .await?;
        assert!(
            stored.contains("skein.dev/sealed") && !stored.contains(PASSWORD),
            "{stored}"
        );
        // A file applied again is sealed to the same bytes: nothing changes.
        let again = stage
            .ask(&format!(
                "apply -f {} -n shop-1",
                example("work-secret.yaml")
            ))
            .await?;
        assert!(again.contains("unchanged"), "{again}");
        for place in ["hub", "shop-1.state", "logs"] {
            assert_eq!(
                find_in_files(&stage.path(place), PASSWORD),
                None,
                "the password is in a file"
            );
        }
        Ok(())
    })
    .await;
}

/// The lines of a log that are about `what` and name `trace`.
fn traced(log: &Path, what: &str, trace: &str) -> usize {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines = text.lines();
    lines
        .filter(|line| line.contains(what) && line.contains(trace))
        .count()
}

#[tokio::test]
async fn one_trace_leads_from_the_command_to_the_cluster_and_back() {
    on_stage(async |stage| {
        Fleet::start(stage, FleetOptions { clusters: 1 }).await?;
        // An agent that has just come may get a work in the answer to its catch-up, which stands for
        // many changes and has the trace of none. What follows the first work comes by itself.
        for file in [example("work-web.yaml"), example("work-config.yaml")] {
            stage
                .ask(&format!("apply -f {file} -n shop-1 --wait --timeout 30s"))
                .await?;
        }
        let told = stage
            .ask("events --kind manifestworks --name base --last 1 -o json")
            .await?;
        let event: serde_json::Value = serde_json::from_str(&told).unwrap();
        let traceparent = event["traceparent"].as_str().unwrap_or_default();
        let trace = traceparent.split('-').nth(1).unwrap_or_default().to_owned();
        assert_eq!(trace.len(), 32, "{told}");
        let (hub, agent) = (
            stage.logs().join("hub.log"),
            stage.logs().join("shop-1.log"),
        );
        let deadline = tokio::time::Instant::now() + skein_tests::stage::PATIENCE;
        for (log, what) in [
            (&hub, "command done"),
            (&agent, "a work was applied"),
            (&hub, "a cluster has reported"),
        ] {
            while traced(log, what, &trace) == 0 {
                assert!(
                    tokio::time::Instant::now() < deadline,
                    "{what}: not with trace {trace} in {}",
                    log.display()
                );
                pause().await;
            }
        }
        Ok(())
    })
    .await;
}

/// Three machines, as far as one machine can have them.
fn hosts() -> [&'static str; 3] {
    ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
}

/// The first of the servers that has not led one of the streams that clients write.
fn without_the_streams_of_clients(logs: &Path) -> String {
    let has_led = |name: &String| {
        let log = std::fs::read_to_string(logs.join(format!("{name}.log"))).unwrap();
        log.lines()
            .filter(|line| line.contains("new stream leader"))
            .any(|line| line.contains("> COMMANDS'") || line.contains("> STATUS'"))
    };
    let mut names = (1..=3).map(|number| format!("nats-{number}"));
    names
        .find(|name| !has_led(name))
        .expect("two streams are on two servers at most")
}

#[tokio::test]
async fn three_bus_servers_of_their_own_serve_a_hub_and_lose_one() {
    on_stage(async |stage| {
        let dir = stage.path("init").display().to_string();
        let servers = hosts().map(|host| format!("--server {host}")).join(" ");
        let (client, route) = (free_port()?, free_port()?);
        let init = format!("init --dir {dir} {servers} --client-port {client} --route-port {route} --context-name own");
        let told = stage.ask(&init).await?;
        assert!(told.contains("skein-hub --config"), "{told}");
        for number in 1..=3 {
            let config = format!("{dir}/nats-{number}/nats-server.conf");
            stage.start_server(&format!("nats-{number}"), &["-c", &config])?;
        }
        stage.start("hub", "skein-hub", &["--config", &format!("{dir}/hub/hub.toml")])?;
        stage.until("doctor", |out| out.contains("ok   hub")).await?;
        stage.ask(&format!("apply -f {}", example("clusterset-eu.yaml"))).await?;
        // Two of three are a majority: commands go on being decided. The server that keeps what users
        // and agents write is not the one that is lost; see decision 0012.
        let lost = without_the_streams_of_clients(&stage.logs());
        stage.kill(&lost).await?;
        stage.until("clusterset create after-loss", |out| out.contains("created")).await?;
        stage.until("get managedclustersets -o name", |out| out.contains("/eu") && out.contains("/after-loss")).await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_killed_hub_comes_back_with_everything() {
    on_both_kinds(async |stage, fleet| {
        stage
            .ask(&format!(
                "apply -f {} -n shop-1 --wait --timeout 30s",
                example("work-web.yaml")
            ))
            .await?;
        let spec = "get manifestworks -A -o jsonpath={.items[*].spec}";
        let before = stage.ask(spec).await?;
        stage.kill("hub").await?;
        fleet.start_hub(stage).await?;
        assert_eq!(stage.ask(spec).await?, before);
        fleet.until_available(stage, 0, "True").await?;
        stage
            .ask(&format!(
                "apply -f {} -n shop-1 --wait --timeout 60s",
                example("work-config.yaml")
            ))
            .await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_agent_killed_while_the_hub_is_gone_goes_on_enforcing() {
    on_both_kinds(async |stage, fleet| {
        stage
            .ask(&format!(
                "apply -f {} -n shop-1 --wait --timeout 30s",
                example("work-web.yaml")
            ))
            .await?;
        stage.kill("hub").await?;
        stage.kill("shop-1").await?;
        stage.members[0].delete(Kind::ConfigMap, "web-page").await?;
        fleet.start_agent(stage, 0)?;
        let deadline = tokio::time::Instant::now() + skein_tests::stage::PATIENCE;
        while stage.members[0]
            .find(Kind::ConfigMap, "web-page")
            .await?
            .is_none()
        {
            assert!(
                tokio::time::Instant::now() < deadline,
                "the ConfigMap was not put back"
            );
            pause().await;
        }
        fleet.start_hub(stage).await?;
        fleet.until_available(stage, 0, "True").await
    })
    .await;
}
