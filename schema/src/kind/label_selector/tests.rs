#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use serde_json::json;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn the_text_form_selects_as_kubectl_does() {
    let object = labels(&[("env", "prod"), ("tier", ""), ("example.com/cores", "16")]);
    for text in [
        "",
        " env = prod ",
        "env==prod,tier=",
        "env in (dev, prod)",
        "env notin (dev),env",
        "absent notin (x),absent!=x,!absent",
        "tier in ()",
        "example.com/cores>8,example.com/cores<17",
    ] {
        assert!(Selector::parse(text).unwrap().matches(&object), "{text:?}");
    }
    for text in [
        "env!=prod",
        "absent",
        "absent=x",
        "absent in (x)",
        "!env",
        "env>1",
        "absent<1",
    ] {
        assert!(!Selector::parse(text).unwrap().matches(&object), "{text:?}");
    }
    for text in [
        "=",
        "env=a b",
        "env in x",
        "in (x)",
        "env,",
        ",",
        "a b",
        "env>x",
        "env=prod)",
        "!",
        "é",
    ] {
        assert!(Selector::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn the_text_form_becomes_the_form_in_an_object() {
    let selector = Selector::parse("a=1,b in (x,y),c!=z,d,!e").unwrap();
    let object = selector.to_label_selector().unwrap();
    let expected = json!({
        "matchLabels": {"a": "1"},
        "matchExpressions": [
            {"key": "b", "operator": "In", "values": ["x", "y"]},
            {"key": "c", "operator": "NotIn", "values": ["z"]},
            {"key": "d", "operator": "Exists"},
            {"key": "e", "operator": "DoesNotExist"},
        ],
    });
    assert_eq!(serde_json::to_value(&object).unwrap(), expected);
    assert_eq!(Selector::new("s", &object).unwrap(), selector);
    assert_eq!(Selector::parse("a>1").unwrap().to_label_selector(), None);
    let twice = Selector::parse("a=1,a=2")
        .unwrap()
        .to_label_selector()
        .unwrap();
    let nothing = Selector::new("s", &twice).unwrap();
    assert!(!nothing.matches(&labels(&[("a", "1")])) && !nothing.matches(&labels(&[("a", "2")])));
}

#[test]
fn every_broken_rule_is_named_with_its_path() {
    let selector = serde_json::from_value(json!({
        "matchLabels": {"/env": "x", "env": "a b"},
        "matchExpressions": [
            {"key": "a", "operator": "In"},
            {"key": "b", "operator": "Exists", "values": ["x"]},
            {"key": "", "operator": "Near"},
        ],
    }));
    let errors = Selector::new("spec.s", &selector.unwrap()).unwrap_err();
    let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
    let expected = [
        "spec.s.matchLabels[/env]",
        "spec.s.matchLabels[env]",
        "spec.s.matchExpressions[0].values",
        "spec.s.matchExpressions[1].values",
        "spec.s.matchExpressions[2].key",
        "spec.s.matchExpressions[2].operator",
    ];
    assert_eq!(paths, expected);
}
