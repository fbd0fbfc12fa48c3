//! A placement follows its clusters, and tells why.

use skein_tests::fleet::{Fleet, FleetOptions};

use super::{example, on_stage};

#[tokio::test]
async fn a_placement_chooses_follows_and_explains() {
    on_stage(async |stage| {
        Fleet::start(stage, FleetOptions { clusters: 2 }).await?;
        // OCM's YAML, as it stands in the examples.
        for file in ["workspace-team-a.yaml", "placement-web.yaml"] {
            stage.ask(&format!("apply -f {}", example(file))).await?;
        }
        stage.ask("clusterset bind default -n team-a").await?;
        let chosen = "get placementdecision web-decision-1 -n team-a -o jsonpath={.status.decisions[*].clusterName}";
        stage.until("get placement web -n team-a", |out| out.contains("AllDecisionsScheduled")).await?;
        both_are_chosen(&stage.ask("explain placement web -n team-a").await?);

        // A label puts a cluster into a group of its own; the decision changes with it.
        stage.ask("label mcl shop-2 canary=true").await?;
        stage.until(chosen, |out| out.trim() == "shop-2").await?;
        let told = stage.ask("explain placement web -n team-a --cluster shop-2").await?;
        assert!(told.contains("shop-2 is chosen in group canary"), "{told}");

        // What is tainted goes, in one step, and the reason stays in the ledger.
        let before = stage.ask("get placement web -n team-a -o jsonpath={.metadata.resourceVersion}").await?;
        stage.ask("taint mcl shop-2 maintenance=now:NoSelect").await?;
        stage.until(chosen, |out| out.trim() == "shop-1").await?;
        let told = stage.ask("explain placement web -n team-a --cluster shop-2").await?;
        assert!(told.contains("maintenance (NoSelect) is not tolerated"), "{told}");
        let then = format!("explain placement web -n team-a --cluster shop-2 --at {}", before.trim());
        let told = stage.ask(&then).await?;
        assert!(told.contains("shop-2 is chosen in group canary"), "{told}");
        Ok(())
    })
    .await;
}

#[track_caller]
fn both_are_chosen(told: &str) {
    let rows = told.lines().filter(|line| line.starts_with("shop-"));
    assert_eq!(rows.count(), 2, "{told}");
}
