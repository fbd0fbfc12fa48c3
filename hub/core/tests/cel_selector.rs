//! Selecting clusters by CEL agrees with OCM's answers; where it does not, it is on purpose, and
//! `docs/ocm-differences.md` explains it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde::Deserialize;
use skein_cel::EvaluateError;
use skein_hub_core::placement::cel_selector::{
    CelCluster, CelSelector, Judgement, MAX_LENGTH_OF_SELECTOR, MAX_STEPS_OF_SELECTOR, Mismatch,
    MismatchReason, ScoreList,
};
use skein_schema::decode::{FieldError, Problem};
use skein_schema::kind::managed_cluster::ManagedCluster;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    id: String,
    /// Id of a line of `cel_cluster.jsonl`.
    cluster: String,
    expressions: Vec<String>,
    /// How often the expressions stand one after another.
    #[serde(default = "once")]
    repeat: usize,
    #[serde(default)]
    compile_error: bool,
    #[serde(default)]
    matched: bool,
    /// Heading in `docs/ocm-differences.md` that explains why the answer is not OCM's.
    difference: Option<String>,
}

fn once() -> usize {
    1
}

/// A cluster and its scores by the name of their object.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Scored {
    id: String,
    managed_cluster: ManagedCluster,
    scores: BTreeMap<String, Vec<Score>>,
}

#[derive(Deserialize)]
struct Score {
    name: String,
    value: i32,
}

impl Scored {
    fn lookup(&self, name: &str) -> Option<ScoreList> {
        let scores = self.scores.get(name)?;
        let scores = scores
            .iter()
            .map(|score| (score.name.as_str(), score.value));
        Some(ScoreList::new(scores))
    }

    fn judge(&self, selector: &CelSelector) -> Judgement {
        let cluster = CelCluster::new(&self.managed_cluster);
        selector.judge(&cluster, &|name| self.lookup(name))
    }
}

fn lines<T: serde::de::DeserializeOwned>(text: &str) -> Vec<T> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn clusters() -> BTreeMap<String, Scored> {
    let clusters: Vec<Scored> = lines(include_str!("vectors/cel_cluster.jsonl"));
    clusters
        .into_iter()
        .map(|cluster| (cluster.id.clone(), cluster))
        .collect()
}

fn amber() -> Scored {
    clusters().remove("amber").unwrap()
}

fn selector(expressions: &[&str]) -> Result<CelSelector, Vec<FieldError>> {
    let expressions: Vec<String> = expressions.iter().map(ToString::to_string).collect();
    CelSelector::new("celExpressions", &expressions)
}

fn check(cases: &[Case]) {
    let clusters = clusters();
    for case in cases {
        let cluster = &clusters[&case.cluster];
        let selector = CelSelector::new(
            "celExpressions",
            &vec![case.expressions.clone(); case.repeat].concat(),
        );
        let judgement = selector.as_ref().map(|selector| cluster.judge(selector));
        assert_eq!(
            judgement.is_err(),
            case.compile_error,
            "{}: {judgement:?}",
            case.id
        );
        let matched = judgement
            .as_ref()
            .is_ok_and(|judgement| judgement.mismatch.is_none());
        assert_eq!(matched, case.matched, "{}: {judgement:?}", case.id);
    }
}

#[test]
fn selecting_agrees_with_ocm() {
    let cases: Vec<Case> = lines(include_str!("vectors/cel_selector.jsonl"));
    assert_eq!(cases.len(), 81);
    check(&cases);
}

#[test]
fn what_is_not_ocms_answer_is_explained() {
    let cases: Vec<Case> = lines(include_str!("vectors/cel_selector_own.jsonl"));
    check(&cases);
    let document = include_str!("../../../docs/ocm-differences.md");
    let headings = cases.iter().filter_map(|case| case.difference.as_deref());
    for heading in headings {
        assert!(
            document.contains(&format!("### {heading}\n")),
            "{heading} is not explained"
        );
    }
}

#[test]
fn a_mismatch_is_explained() {
    let cluster = amber();
    let mismatch = |expressions: &[&str]| {
        let selector = selector(expressions).unwrap();
        cluster.judge(&selector).mismatch
    };
    let failed = |expression, why: EvaluateError| {
        Some(Mismatch {
            expression,
            reason: MismatchReason::Failed(why),
        })
    };
    assert_eq!(mismatch(&[]), None);
    assert_eq!(
        mismatch(&["true", "false", "1 / 0 == 1"]).map(|found| found.to_string()),
        Some("expression 1 is false".to_owned())
    );
    assert_eq!(
        mismatch(&["managedCluster.metadata.name"]).map(|found| found.to_string()),
        Some("expression 0 is no truth value but string".to_owned())
    );
    assert_eq!(
        mismatch(&["managedCluster.nope"]),
        failed(0, EvaluateError::NoSuchKey("nope".to_owned()))
    );
    assert_eq!(
        mismatch(&["true", "managedCluster.scores('nope').size() == 0"])
            .map(|found| found.to_string()),
        Some("expression 1 cannot be evaluated: failed to get score: nope not found".to_owned())
    );
}

#[test]
fn what_cannot_be_compiled_is_told_with_its_path() {
    let problems: Vec<String> = selector(&["true", "1 +", "hasConditions(managedCluster.status)"])
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        problems,
        [
            "celExpressions[1]: \"1 +\" is invalid: ERROR: <input>:1:4: Syntax error: mismatched \
             input '<EOF>' expecting an expression",
            "celExpressions[2]: \"hasConditions(managedCluster.status)\" is invalid: ERROR: \
             <input>:1:14: undeclared reference to 'hasConditions' (in container '')",
        ]
    );
    let long = "true ".repeat(3_000);
    let errors = selector(&[&long, &long, &long, &long, &long]).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].path, "celExpressions");
    let (max, found) = (MAX_LENGTH_OF_SELECTOR as u64, 75_000);
    assert_eq!(errors[0].problem, Problem::TooLong { max, found });
    let errors = selector(&["true"; 101]).unwrap_err();
    let (max, found) = (100, 101);
    assert_eq!(errors[0].problem, Problem::TooLong { max, found });
}

#[test]
fn a_selector_stops_when_its_steps_are_used_up() {
    let cluster = amber();
    let numbers = "[0,1,2,3,4,5,6,7,8,9]";
    let loops = |depth: usize| {
        let variables = ["a", "b", "c", "d", "e", "f", "g"];
        let open: String = variables[..depth]
            .iter()
            .map(|variable| format!("{numbers}.all({variable}, "))
            .collect();
        format!("{open}true{}", ")".repeat(depth))
    };
    let over = |index| {
        Some(Mismatch {
            expression: index,
            reason: MismatchReason::OverBudget,
        })
    };
    let judgement = cluster.judge(&selector(&[&loops(7)]).unwrap());
    assert_eq!(judgement.mismatch, over(0));
    assert!((0..2).contains(&(judgement.steps - skein_cel::MAX_STEPS)));
    // Each of these may be, but not all of them.
    let heavy = loops(5);
    let steps = cluster.judge(&selector(&[&heavy]).unwrap()).steps;
    assert!((200_000..skein_cel::MAX_STEPS).contains(&steps), "{steps}");
    let fit = usize::try_from(MAX_STEPS_OF_SELECTOR / steps).unwrap();
    let judgement = cluster.judge(&selector(&vec![heavy.as_str(); fit + 1]).unwrap());
    assert_eq!(judgement.mismatch, over(fit));
    assert_eq!(judgement.steps, MAX_STEPS_OF_SELECTOR);
    // Reading JSON is paid for by its length.
    let large = format!(
        "[{}].all(t, ('[' + t + '0]').parseJSON().size() > 0)",
        "'0,'".to_owned() + &".replace('0,', '0,0,0,0,0,0,0,0,')".repeat(6)
    );
    let judgement = cluster.judge(&selector(&[&large]).unwrap());
    assert!(judgement.steps > 500_000, "{judgement:?}");
}

proptest::proptest! {
    /// Noise made of the language's own pieces never panics, and stays within its steps.
    #[test]
    fn noise_is_an_error_or_an_answer(pieces in proptest::collection::vec(0_usize..32, 0..24)) {
        const PIECES: [&str; 32] = [
            "managedCluster", ".scores(", ".parseJSON()", ".metadata", ".status", ".clusterClaims",
            "'sizing'", "'{\"a\": [1, null]}'", "'[' + ", "(", ")", "[", "]", "[0]", ".exists(c, ",
            "c", ".value", ".?", " == ", " && ", " || ", "!", "1", "2.0", "null", "true",
            ".format([", "'%s %d %.3f %x'", ".first()", ".unwrapOpt()", ".orValue(", "optional.of(",
        ];
        let text: String = pieces.iter().map(|piece| PIECES[*piece]).collect();
        if let Ok(selector) = selector(&[&text]) {
            let cluster = CelCluster::new(&ManagedCluster::default());
            let scores = |_: &str| Some(ScoreList::new([("a", 1)]));
            proptest::prop_assert!(selector.judge(&cluster, &scores).steps <= MAX_STEPS_OF_SELECTOR);
        }
    }

    /// Whatever stands in a claim, reading it as JSON is an answer.
    #[test]
    fn any_text_can_be_looked_at_as_json(text in ".{0,200}") {
        let mut cluster = amber().managed_cluster;
        cluster.status.get_or_insert_default().cluster_claims[0].value = text;
        let cluster = CelCluster::new(&cluster);
        let read = selector(&["managedCluster.status.clusterClaims[0].value.parseJSON() != 1"]).unwrap();
        let _judged = read.judge(&cluster, &|_| None);
    }
}
