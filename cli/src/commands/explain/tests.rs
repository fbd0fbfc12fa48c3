#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

/// The event whose data is the golden file of a decision.
fn event() -> EventView {
    let data: serde_json::Value = serde_json::from_str(include_str!(
        "../../../../schema/tests/golden/events/skein.placement.decided.v1.json"
    ))
    .unwrap();
    EventView {
        id: "7.0".parse().unwrap(),
        kind: "skein.placement.decided.v1".to_owned(),
        time: "2026-03-14T12:00:00Z".parse().unwrap(),
        actor: "hub:hub-0".parse().unwrap(),
        object: "placements/web".to_owned(),
        summary: String::new(),
        command_id: None,
        causation_id: None,
        traceparent: None,
        data: Some(data),
    }
}

fn text(cluster: Option<&str>) -> CliResult<String> {
    let placement = Placement {
        name: ObjectName::new("web").unwrap(),
        cluster: cluster.map(|name| ClusterName::new(name).unwrap()),
        at: None,
        output: Format::Table,
        workspace: InWorkspace { namespace: None },
    };
    placement.text(&event())
}

#[test]
fn every_cluster_has_its_reason() {
    insta::assert_snapshot!(text(None).unwrap(), @r"
    placement shop/web decided at 2026-03-14T12:00:00Z (event 7.0), generation 3
    NotAllDecisionsScheduled: 1 cluster is missing.
    chosen from the sets eu
    the decision before was kept: its expressions take too long
    decides again at 2026-03-14T12:00:30Z, if nothing happens before

    CHOSEN   GROUP    SCORE   ADDON/SIZING/FREE x2
    c1       canary   200     50
    c2       <none>   100     -

    LEFT OUT   WHY
    c3         it meets none of the predicates
    c4         its taint cluster.open-cluster-management.io/unreachable (NoSelect) is not tolerated
    c5         one more with its zone would be too many (spread constraint)
    c6         enough others are better
    ");
}

#[test]
fn one_cluster_is_explained_with_its_scores() {
    insta::assert_snapshot!(text(Some("c2")).unwrap(), @r"
    placement shop/web decided at 2026-03-14T12:00:00Z (event 7.0), generation 3
    NotAllDecisionsScheduled: 1 cluster is missing.
    chosen from the sets eu
    the decision before was kept: its expressions take too long
    decides again at 2026-03-14T12:00:30Z, if nothing happens before
    c2 is chosen, with score 100

    PRIORITIZER         WEIGHT   SCORE
    AddOn/sizing/free   2        -
    the score AddOn/sizing/free was too old to count
    ");
    assert!(
        text(Some("c4"))
            .unwrap()
            .contains("c4 is left out: its taint")
    );
    let stranger = text(Some("c9")).unwrap_err();
    assert_eq!(stranger.code(), Code::NotFound);
}
