//! Predicates: whether a cluster may be chosen at all.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use skein_schema::decode::FieldError;
use skein_schema::kind::label_selector::Selector;
use skein_schema::kind::placement::{ClusterClaimSelector, ClusterSelector, GroupClusterSelector};

use super::cel_selector::CelSelector;
use super::facts::ClusterFacts;
use super::prioritize::Scores;

/// A checked selector by labels and claims.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactSelector {
    labels: Selector,
    claims: Selector,
}

impl FactSelector {
    /// Checks the selector of a decision group.
    ///
    /// # Errors
    /// Every rule it breaks, with paths below `path`.
    pub fn of_group(path: &str, selector: &GroupClusterSelector) -> Result<Self, Vec<FieldError>> {
        let labels = labels(path, selector.label_selector.as_ref());
        both(labels, claims(path, selector.claim_selector.as_ref()))
    }

    /// Whether the cluster's labels and claims match.
    #[must_use]
    pub fn matches(&self, cluster: &ClusterFacts) -> bool {
        self.labels.matches(cluster.labels()) && self.claims.matches(cluster.claims())
    }
}

/// A checked predicate.
#[derive(Clone, Debug)]
pub struct Predicate {
    facts: FactSelector,
    expressions: Option<CelSelector>,
}

/// Whether a cluster meets a predicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Met {
    /// It does.
    pub yes: bool,
    /// The steps that its expressions took.
    pub steps: u64,
}

impl Predicate {
    /// Checks a predicate's selector.
    ///
    /// # Errors
    /// Every rule it breaks, with paths below `path`.
    pub fn new(path: &str, selector: &ClusterSelector) -> Result<Self, Vec<FieldError>> {
        let labels = labels(path, selector.label_selector.as_ref());
        let facts = both(labels, claims(path, selector.claim_selector.as_ref()));
        let expressions = selector.cel_selector.as_ref().map(|selector| {
            let path = format!("{path}.celSelector.celExpressions");
            CelSelector::new(&path, &selector.cel_expressions)
        });
        match (facts, expressions.transpose()) {
            (Ok(facts), Ok(expressions)) => Ok(Self { facts, expressions }),
            (facts, expressions) => Err(facts
                .err()
                .into_iter()
                .chain(expressions.err())
                .flatten()
                .collect()),
        }
    }

    /// Whether it has expressions.
    #[must_use]
    pub fn has_expressions(&self) -> bool {
        self.expressions.is_some()
    }

    /// Whether every part of the predicate holds for the cluster. An expression that cannot be
    /// evaluated does not hold.
    #[must_use]
    pub fn met_by(&self, cluster: &ClusterFacts, scores: &dyn Scores) -> Met {
        let yes = self.facts.matches(cluster);
        match &self.expressions {
            Some(expressions) if yes => {
                let found = expressions.judge(cluster.cel(), &|name| {
                    scores.all_scores(cluster.name(), name)
                });
                Met {
                    yes: found.mismatch.is_none(),
                    steps: found.steps,
                }
            }
            _ => Met { yes, steps: 0 },
        }
    }
}

fn labels(path: &str, selector: Option<&LabelSelector>) -> Result<Selector, Vec<FieldError>> {
    selector.map_or_else(
        || Ok(Selector::default()),
        |selector| Selector::new(&format!("{path}.labelSelector"), selector),
    )
}

fn claims(
    path: &str,
    selector: Option<&ClusterClaimSelector>,
) -> Result<Selector, Vec<FieldError>> {
    selector.map_or_else(
        || Ok(Selector::default()),
        |selector| {
            Selector::of_claims(
                &format!("{path}.claimSelector"),
                &selector.match_expressions,
            )
        },
    )
}

fn both(
    labels: Result<Selector, Vec<FieldError>>,
    claims: Result<Selector, Vec<FieldError>>,
) -> Result<FactSelector, Vec<FieldError>> {
    match (labels, claims) {
        (Ok(labels), Ok(claims)) => Ok(FactSelector { labels, claims }),
        (labels, claims) => Err(labels
            .err()
            .into_iter()
            .chain(claims.err())
            .flatten()
            .collect()),
    }
}
