//! Every command of the command line, typed once on one simulated cluster.

use serde_json::Value;
use skein_tests::fleet::{Fleet, FleetOptions};
use skein_tests::stage::{Kind, Outcome, Stage};

use super::{example, on_stage};

/// What a command printed holds all of `wanted`.
#[track_caller]
fn holds(told: &str, wanted: &[&str]) {
    for text in wanted {
        assert!(told.contains(text), "{text:?} is not in:\n{told}");
    }
}

/// Writes a file into the stage's folder, and gives its path.
fn file(stage: &Stage, name: &str, text: &str) -> String {
    let path = stage.path(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// The ledger sequence that last touched the cluster.
async fn version(stage: &mut Stage) -> Outcome<String> {
    stage
        .ask("get mcl shop-1 -o jsonpath={.metadata.resourceVersion}")
        .await
        .map(|text| text.trim().to_owned())
}

#[tokio::test]
async fn every_command_does_what_it_says() {
    on_stage(async |stage| {
        Fleet::start(stage, FleetOptions { clusters: 1 }).await?;
        looking_at_the_installation(stage).await?;
        sets(stage).await?;
        changes(stage).await?;
        outputs(stage).await?;
        works(stage).await?;
        tokens(stage).await?;
        events(stage).await?;
        farewell(stage).await
    })
    .await;
}

async fn looking_at_the_installation(stage: &mut Stage) -> Outcome<()> {
    let told = stage.ask("version").await?;
    holds(&told, &["Client: ", "Hub: ", "NATS server: 2."]);
    let told = stage.ask("doctor").await?;
    holds(
        &told,
        &["ok   configuration", "ok   hub: hub-0 leads", "ok   clock"],
    );
    assert!(!told.contains("FAIL"), "{told}");
    holds(
        &stage.ask("completion bash").await?,
        &["_skein()", "clusterset"],
    );
    Ok(())
}

async fn sets(stage: &mut Stage) -> Outcome<()> {
    for (line, told) in [
        ("create eu", "managedclusterset/eu created\n"),
        (
            "set eu --clusters shop-1",
            "managedcluster/shop-1 moved from clusterset default to eu\n",
        ),
        (
            "bind eu -n shop-1",
            "managedclusterset/eu bound to namespace shop-1\n",
        ),
        (
            "unbind eu -n shop-1",
            "managedclusterset/eu unbound from namespace shop-1\n",
        ),
        (
            "set default --clusters shop-1",
            "managedcluster/shop-1 moved from clusterset eu to default\n",
        ),
        ("delete eu", "managedclusterset/eu deleted\n"),
    ] {
        assert_eq!(stage.ask(&format!("clusterset {line}")).await?, told);
    }
    Ok(())
}

/// Labels, annotations and taints, while somebody watches; and what was before.
async fn changes(stage: &mut Stage) -> Outcome<()> {
    stage.start("watch", "skein", &["get", "managedclusters", "-w"])?;
    stage
        .until_said("watch", |out| {
            out.starts_with("NAME") && out.lines().any(|line| line.starts_with("shop-1 "))
        })
        .await?;
    let before = version(stage).await?;
    let labeled = "managedcluster.cluster.open-cluster-management.io/shop-1 labeled\n";
    assert_eq!(
        stage.ask("label mcl shop-1 env=prod tier=edge").await?,
        labeled
    );
    let after = version(stage).await?;
    assert_eq!(stage.ask("label mcl shop-1 tier-").await?, labeled);
    holds(
        &stage.ask("annotate mcl shop-1 owner=rome").await?,
        &["shop-1 annotated"],
    );
    stage
        .until_said("watch", |out| out.matches("\nshop-1 ").count() >= 2)
        .await?;
    stage.kill("watch").await?;

    let tainted = "managedcluster/shop-1 tainted\n";
    let set = "taint shop-1 maintenance=tonight:NoSelect";
    assert_eq!(stage.ask(set).await?, tainted);
    holds(
        &stage.ask("get mcl shop-1 -o wide").await?,
        &["maintenance=tonight:NoSelect"],
    );
    assert_eq!(stage.ask("taint shop-1 maintenance-").await?, tainted);

    let diff = format!("diff --from {before} --to {after} --kind managedclusters");
    holds(
        &stage.differences(&diff).await?,
        &[
            "managedclusters/shop-1",
            "+    env: prod",
            "+    tier: edge",
        ],
    );
    let then = format!("replay --at {before}");
    let labels = "managedclusters -o jsonpath={.items[*].metadata.labels}";
    let told = stage.ask(&format!("{then} {labels}")).await?;
    assert!(
        told.contains("clusterset") && !told.contains("prod"),
        "{told}"
    );
    let whole: Value = serde_json::from_str(&stage.ask(&format!("{then} -o json")).await?).unwrap();
    assert_eq!(whole["kind"], "List", "all kinds are one document");
    Ok(())
}

/// The ways in which objects are shown.
async fn outputs(stage: &mut Stage) -> Outcome<()> {
    let told = stage.ask("describe mcl shop-1").await?;
    holds(
        &told,
        &[
            "Name:",
            "env=prod",
            "owner=rome",
            "Conditions:",
            "ManagedClusterConditionAvailable",
            "Events:",
            "user:admin",
        ],
    );
    let name = "managedcluster.cluster.open-cluster-management.io/shop-1\n";
    assert_eq!(stage.ask("get mcl -l env=prod -o name").await?, name);
    assert_eq!(stage.ask("get mcl -l env=test -o name").await?, "");
    let names = stage
        .ask("get mcl -o jsonpath={.items[*].metadata.name}")
        .await?;
    assert_eq!(names.trim(), "shop-1");

    let all = stage
        .ask("get managedclusters,managedclustersets -o yaml")
        .await?;
    let all: Value = serde_yaml_ng::from_str(&all).unwrap();
    let kinds: Vec<_> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["ManagedCluster", "ManagedClusterSet", "ManagedClusterSet"]
    );
    let all: Value = serde_json::from_str(&stage.ask("get all -A -o json").await?).unwrap();
    assert!(all["items"].as_array().unwrap().len() > 3, "{all}");

    let told = stage.ask("get mcl shop-1 -o yaml").await?;
    assert!(!told.contains("managedFields"), "{told}");
    let told = stage
        .ask("get mcl shop-1 -o yaml --show-managed-fields")
        .await?;
    holds(&told, &["managedFields:", "manager: skein-edit", "f:env"]);

    let (out, said) = stage.fail("get mcl shop-1 nowhere -o name", 3).await?;
    assert_eq!(out, name, "what is there is printed all the same");
    holds(&said, &["nowhere", "(SK2001)"]);
    Ok(())
}

async fn works(stage: &mut Stage) -> Outcome<()> {
    let work = example("work-web.yaml");
    let named = "manifestwork.work.open-cluster-management.io/web";
    for (place, told) in [
        ("server", "created (server dry run)"),
        ("client", "configured (client dry run)"),
    ] {
        let line = format!("apply -f {work} -n shop-1 --dry-run={place}");
        assert_eq!(stage.ask(&line).await?, format!("{named} {told}\n"));
    }
    assert_eq!(stage.ask("get manifestworks -A -o name").await?, "");
    // The other documents are still applied when one is refused, which is told before the wait.
    let lost = "apiVersion: cluster.open-cluster-management.io/v1beta2\nkind: ManagedClusterSetBinding\nmetadata: {name: eu, namespace: nowhere}\nspec: {clusterSet: eu}\n";
    let lost = file(stage, "lost.yaml", lost);
    let line = format!("apply -f {lost} -f {work} -n shop-1 --wait --timeout 60s");
    let (out, said) = stage.fail(&line, 3).await?;
    assert_eq!(out, format!("{named} created\n{named} available\n"));
    assert!(
        said.find("(SK2001)").unwrap() < said.find("waiting for").unwrap(),
        "{said}"
    );
    assert!(
        stage.members[0]
            .find(Kind::ConfigMap, "web-page")
            .await?
            .is_some(),
        "it is on the cluster"
    );
    let gone = stage
        .ask(&format!("delete -f {work} -n shop-1 --timeout 60s"))
        .await?;
    assert_eq!(gone, format!("{named} deleted\n"));
    assert_eq!(
        stage.members[0].find(Kind::ConfigMap, "web-page").await?,
        None
    );
    Ok(())
}

/// What the list says of the token.
async fn token(stage: &mut Stage) -> Outcome<String> {
    let told = stage.ask("token list").await?;
    let row = told.lines().find(|line| line.starts_with("shops "));
    Ok(row.unwrap_or_default().to_owned())
}

async fn tokens(stage: &mut Stage) -> Outcome<()> {
    let path = stage.path("shops.token").display().to_string();
    stage
        .ask(&format!("token create --name shops --output-file {path}"))
        .await?;
    holds(
        &token(stage).await?,
        &["valid", "0/1", "by a person", "user:admin"],
    );
    assert_eq!(
        stage.ask("token revoke shops").await?,
        "token/shops revoked\n"
    );
    holds(&token(stage).await?, &["revoked"]);
    Ok(())
}

async fn events(stage: &mut Stage) -> Outcome<()> {
    let told = stage.ask("history mcl shop-1").await?;
    holds(
        &told,
        &["asked to join", "available", "applied by skein-edit"],
    );
    let line = "events --kind managedcluster --name shop-1 --since 1h --actor";
    let told = stage.ask(&format!("{line} admin -o wide")).await?;
    assert_eq!(
        told,
        stage.ask(&format!("{line} user:admin -o wide")).await?
    );
    let (heading, rows) = told.split_once('\n').unwrap();
    assert!(heading.ends_with("COMMAND"), "{heading}");
    for row in rows.lines() {
        holds(row, &["user:admin", "managedclusters/shop-1"]);
        let command = row.split_whitespace().last().unwrap();
        assert_eq!(command.len(), 36, "the command's id: {row}");
    }
    stage.start("events", "skein", &["events", "--follow", "--last", "1"])?;
    stage.until_said("events", |out| !out.is_empty()).await?;
    stage
        .ask("annotate mcl shop-1 owner=milan --overwrite")
        .await?;
    let told = stage
        .until_said("events", |out| out.contains("applied by skein-edit"))
        .await?;
    holds(&told, &["managedclusters/shop-1", "user:admin"]);
    stage.kill("events").await
}

/// Clusters leave, with their agent's help and without.
async fn farewell(stage: &mut Stage) -> Outcome<()> {
    let ghost = "apiVersion: cluster.open-cluster-management.io/v1\nkind: ManagedCluster\nmetadata: {name: ghost}\nspec: {hubAcceptsClient: true}\n";
    let ghost = file(stage, "ghost.yaml", ghost);
    stage.ask(&format!("apply -f {ghost}")).await?;
    assert_eq!(
        stage.ask("deny ghost").await?,
        "managedcluster/ghost denied\n"
    );
    assert_eq!(
        stage.ask("detach ghost --force").await?,
        "managedcluster/ghost detached\n"
    );
    assert_eq!(
        stage.ask("detach shop-1 --timeout 60s").await?,
        "managedcluster/shop-1 detached\n"
    );
    assert_eq!(stage.ask("get mcl -o name").await?, "");
    Ok(())
}

#[tokio::test]
async fn who_watches_goes_on_with_a_hub_that_was_started_again() {
    on_stage(async |stage| {
        let fleet = Fleet::start(stage, FleetOptions { clusters: 1 }).await?;
        stage.start("events", "skein", &["events", "--follow"])?;
        stage.start("watch", "skein", &["get", "managedclusters", "-w"])?;
        stage
            .until_said("events", |out| out.contains("available"))
            .await?;
        stage
            .until_said("watch", |out| out.contains("shop-1"))
            .await?;
        stage.kill("hub").await?;
        fleet.start_hub(stage).await?;
        stage.ask("clusterset create eu").await?;
        stage.ask("clusterset set eu --clusters shop-1").await?;
        let told = stage
            .until_said("events", |out| {
                out.contains("managedclustersets/eu") && out.contains("managedclusters/shop-1")
            })
            .await?;
        let ids: Vec<_> = told
            .lines()
            .map(|line| line.split(' ').next().unwrap())
            .collect();
        let once: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(ids.len(), once.len(), "each event once:\n{told}");
        stage
            .until_said("watch", |out| out.contains(" eu "))
            .await?;
        Ok(())
    })
    .await;
}
