//! A placement's spec, checked once and used often.
//!
//! OCM finds out while it chooses that a placement cannot be carried out, and takes away all its
//! clusters. Here everything is checked when the placement is written, and what is wrong never
//! gets in.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use skein_schema::code::excerpt;
use skein_schema::decode::{FieldError, Problem};
use skein_schema::kind::placement::{
    DecisionGroup, GroupStrategy, PlacementSpec, PrioritizerMode, PrioritizerPolicy,
    ScoreCoordinate, ScoreSource, SortBy, SpreadConstraint, Toleration, TolerationOperator,
    TopologyKeyType, WhenUnsatisfiable,
};
use skein_schema::kind::rollout_strategy::IntOrPercent;

use super::facts::ClusterFacts;
use super::group::GroupRules;
use super::predicate::{FactSelector, Predicate};
use super::prioritize::Prioritizer;
use super::spread::Rule;

/// Largest weight of a prioritizer, up and down.
const WEIGHT_MAX: i32 = 10;
/// How often scores are recorded anew where the placement does not say, in seconds.
const SCORE_RATE_LIMIT_SECONDS: i64 = 60;
/// Longest piece of a refused name that is repeated, in characters.
const EXCERPT: usize = 80;
/// Most spread constraints of a placement (OCM's).
const SPREAD_MAX: usize = 8;
/// Most entries of the other lists of a placement: the hub looks at all of them for every cluster.
const ENTRIES_MAX: usize = 64;
/// Bounds of the time for which recorded scores stand, in seconds: less would fill the ledger.
const SCORE_RATE_SECONDS: [i64; 2] = [10, 24 * 3600];

/// A checked placement.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The sets it names; all bound ones if none.
    pub cluster_sets: Vec<String>,
    /// How many clusters at most.
    pub number_of_clusters: Option<usize>,
    /// How decisions are ordered within their group.
    pub sort_by: SortBy,
    /// How long recorded scores stand while the choice stays.
    pub score_rate_limit: SignedDuration,
    pub(super) predicates: Vec<Predicate>,
    pub(super) tolerations: Vec<Toleration>,
    pub(super) prioritizers: BTreeMap<Prioritizer, i64>,
    pub(super) spread: Vec<(SpreadConstraint, Rule)>,
    pub(super) groups: GroupRules,
}

impl Rules {
    /// Checks a placement's spec.
    ///
    /// # Errors
    /// Every rule that it breaks.
    pub fn new(spec: &PlacementSpec) -> Result<Self, Vec<FieldError>> {
        let mut errors = too_long(spec);
        let rules = Self {
            cluster_sets: spec.cluster_sets.clone(),
            number_of_clusters: number(spec.number_of_clusters, &mut errors),
            sort_by: spec.sort_by.unwrap_or_default(),
            score_rate_limit: rate(spec.score_rate_limit.as_deref(), &mut errors),
            predicates: predicates(spec, &mut errors),
            tolerations: tolerations(&spec.tolerations, &mut errors),
            prioritizers: prioritizers(spec.prioritizer_policy.as_ref(), &mut errors),
            spread: constraints(spec, &mut errors),
            groups: spec
                .decision_strategy
                .as_ref()
                .map_or_else(GroupRules::default, |strategy| {
                    groups(&strategy.group_strategy, &mut errors)
                }),
        };
        if errors.is_empty() {
            Ok(rules)
        } else {
            Err(errors)
        }
    }

    /// Whether expressions look at clusters: they may see what nothing else sees.
    #[must_use]
    pub fn uses_expressions(&self) -> bool {
        self.predicates.iter().any(Predicate::has_expressions)
    }

    /// Whether scores of add-ons may matter.
    #[must_use]
    pub fn uses_scores(&self) -> bool {
        let listed = self.prioritizers.keys();
        let mut listed = listed.filter(|listed| matches!(listed, Prioritizer::AddOn(_)));
        listed.next().is_some() || self.uses_expressions()
    }

    /// The key of a spread constraint.
    pub(super) fn topology_key(&self, constraint: usize) -> &str {
        let found = self.spread.get(constraint);
        found.map_or("", |(constraint, _)| &constraint.topology_key)
    }

    /// A cluster's value for the key of each spread constraint.
    pub(super) fn topologies<'a>(&self, cluster: &'a ClusterFacts) -> Vec<Option<&'a str>> {
        let value = |(constraint, _): &(SpreadConstraint, Rule)| {
            let values = match constraint.topology_key_type {
                TopologyKeyType::Label => cluster.labels(),
                TopologyKeyType::Claim => cluster.claims(),
            };
            values.get(&constraint.topology_key).map(String::as_str)
        };
        self.spread.iter().map(value).collect()
    }
}

/// Lists with more entries than can be looked at.
fn too_long(spec: &PlacementSpec) -> Vec<FieldError> {
    let policy = spec.prioritizer_policy.as_ref();
    let groups = spec.decision_strategy.as_ref();
    let groups = groups.map(|strategy| &strategy.group_strategy.decision_groups);
    let mut lists = vec![
        ("spec.clusterSets".to_owned(), spec.cluster_sets.len()),
        ("spec.predicates".to_owned(), spec.predicates.len()),
        ("spec.tolerations".to_owned(), spec.tolerations.len()),
        (
            "spec.prioritizerPolicy.configurations".to_owned(),
            policy.map_or(0, |policy| policy.configurations.len()),
        ),
        (
            "spec.decisionStrategy.groupStrategy.decisionGroups".to_owned(),
            groups.map_or(0, Vec::len),
        ),
    ];
    for (index, predicate) in spec.predicates.iter().enumerate() {
        let selector = &predicate.required_cluster_selector;
        let path = format!("spec.predicates[{index}].requiredClusterSelector");
        let claims = selector.claim_selector.as_ref();
        lists.push((
            format!("{path}.claimSelector.matchExpressions"),
            claims.map_or(0, |claims| claims.match_expressions.len()),
        ));
        lists.push((
            format!("{path}.labelSelector"),
            selector.label_selector.as_ref().map_or(0, requirements),
        ));
    }
    for (index, group) in groups.into_iter().flatten().enumerate() {
        let selector = &group.group_cluster_selector;
        let path = format!(
            "spec.decisionStrategy.groupStrategy.decisionGroups[{index}].groupClusterSelector"
        );
        let claims = selector.claim_selector.as_ref();
        let claims = claims.map_or(0, |claims| claims.match_expressions.len());
        let labels = selector.label_selector.as_ref().map_or(0, requirements);
        lists.push((path, claims + labels));
    }
    let long = lists
        .into_iter()
        .filter(|(_, entries)| *entries > ENTRIES_MAX);
    long.map(|(path, _)| {
        forbidden(
            path,
            &format!("at most {ENTRIES_MAX} entries are looked at"),
        )
    })
    .collect()
}

fn requirements(selector: &LabelSelector) -> usize {
    selector.match_labels.as_ref().map_or(0, BTreeMap::len)
        + selector.match_expressions.as_ref().map_or(0, Vec::len)
}

/// A problem that a rule explains.
fn forbidden(path: impl Into<String>, rule: &str) -> FieldError {
    FieldError::new(
        path.into(),
        Problem::Forbidden {
            rule: rule.to_owned(),
        },
    )
}

fn number(wanted: Option<i32>, errors: &mut Vec<FieldError>) -> Option<usize> {
    let wanted = wanted?;
    let number = usize::try_from(wanted);
    if number.is_err() {
        errors.push(forbidden(
            "spec.numberOfClusters",
            "a placement has 0 or more clusters; leave the field out for all that match",
        ));
    }
    number.ok()
}

fn rate(text: Option<&str>, errors: &mut Vec<FieldError>) -> SignedDuration {
    let default = SignedDuration::from_secs(SCORE_RATE_LIMIT_SECONDS);
    let Some(text) = text else {
        return default;
    };
    let [least, most] = SCORE_RATE_SECONDS.map(SignedDuration::from_secs);
    duration(text)
        .map(|rate| rate.clamp(least, most))
        .unwrap_or_else(|| {
            let rule = "whole hours, minutes or seconds, such as 30s, 1m or 2h";
            errors.push(FieldError::invalid("spec.scoreRateLimit", text, rule));
            default
        })
}

/// A number and one unit.
fn duration(text: &str) -> Option<SignedDuration> {
    let number = text.get(..text.len().checked_sub(1)?)?;
    let unit = match text.as_bytes().last()? {
        b'h' => 3600,
        b'm' => 60,
        b's' => 1,
        _ => return None,
    };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = number.parse::<i64>().ok()?.checked_mul(unit)?;
    Some(SignedDuration::from_secs(seconds))
}

fn predicates(spec: &PlacementSpec, errors: &mut Vec<FieldError>) -> Vec<Predicate> {
    let mut predicates = Vec::new();
    for (index, predicate) in spec.predicates.iter().enumerate() {
        let path = format!("spec.predicates[{index}].requiredClusterSelector");
        match Predicate::new(&path, &predicate.required_cluster_selector) {
            Ok(predicate) => predicates.push(predicate),
            Err(found) => errors.extend(found),
        }
    }
    predicates
}

fn tolerations(tolerations: &[Toleration], errors: &mut Vec<FieldError>) -> Vec<Toleration> {
    for (index, toleration) in tolerations.iter().enumerate() {
        let path = format!("spec.tolerations[{index}]");
        let exists = toleration.operator == Some(TolerationOperator::Exists);
        if toleration.key.is_empty() && !exists {
            errors.push(forbidden(
                format!("{path}.operator"),
                "without a key, every taint is meant, and the operator must be Exists",
            ));
        }
        if exists && !toleration.value.is_empty() {
            errors.push(forbidden(
                format!("{path}.value"),
                "operator Exists does not look at the value",
            ));
        }
    }
    tolerations.to_vec()
}

fn prioritizers(
    policy: Option<&PrioritizerPolicy>,
    errors: &mut Vec<FieldError>,
) -> BTreeMap<Prioritizer, i64> {
    let mode = policy.and_then(|policy| policy.mode).unwrap_or_default();
    let mut weights: BTreeMap<Prioritizer, i64> = match mode {
        PrioritizerMode::Additive => {
            BTreeMap::from([(Prioritizer::Balance, 1), (Prioritizer::Steady, 1)])
        }
        PrioritizerMode::Exact => BTreeMap::new(),
    };
    let configurations = policy.map_or(&[][..], |policy| &policy.configurations);
    for (index, configuration) in configurations.iter().enumerate() {
        let path = format!("spec.prioritizerPolicy.configurations[{index}]");
        let weight = configuration.weight.unwrap_or(1);
        if !(-WEIGHT_MAX..=WEIGHT_MAX).contains(&weight) {
            let problem = Problem::OutOfRange {
                min: (-WEIGHT_MAX).into(),
                max: WEIGHT_MAX.into(),
                found: weight.to_string(),
            };
            errors.push(FieldError::new(format!("{path}.weight"), problem));
        }
        let path = format!("{path}.scoreCoordinate");
        let Some(coordinate) = &configuration.score_coordinate else {
            errors.push(FieldError::new(path, Problem::Required));
            continue;
        };
        match prioritizer(&path, coordinate) {
            // OCM counts an add-on's score that is listed twice twice, and of the hub's own scores
            // takes the last weight.
            Ok(listed @ Prioritizer::AddOn(_)) => {
                *weights.entry(listed).or_default() += i64::from(weight);
            }
            Ok(listed) => {
                weights.insert(listed, weight.into());
            }
            Err(error) => errors.push(error),
        }
    }
    weights.retain(|_, weight| *weight != 0);
    weights
}

fn prioritizer(path: &str, coordinate: &ScoreCoordinate) -> Result<Prioritizer, FieldError> {
    match (coordinate.kind, &coordinate.add_on) {
        (ScoreSource::BuiltIn, None) => {
            Prioritizer::built_in(&coordinate.built_in).ok_or_else(|| {
                let problem = Problem::NotAllowed {
                    value: excerpt(&coordinate.built_in, EXCERPT),
                    allowed: Prioritizer::BUILT_IN.map(str::to_owned).to_vec(),
                };
                let error = FieldError::new(format!("{path}.builtIn"), problem);
                if coordinate.built_in == "Spread" {
                    error.with_hint("spread clusters with spec.spreadPolicy")
                } else {
                    error
                }
            })
        }
        (ScoreSource::BuiltIn, Some(_)) => Err(forbidden(
            format!("{path}.addOn"),
            "a score of type BuiltIn does not come from an add-on; write type: AddOn",
        )),
        (ScoreSource::AddOn, Some(score)) => {
            if !coordinate.built_in.is_empty() {
                return Err(forbidden(
                    format!("{path}.builtIn"),
                    "a score of type AddOn is not built in; write type: BuiltIn",
                ));
            }
            Ok(Prioritizer::AddOn(score.clone()))
        }
        (ScoreSource::AddOn, None) => {
            Err(FieldError::new(format!("{path}.addOn"), Problem::Required))
        }
    }
}

fn constraints(
    spec: &PlacementSpec,
    errors: &mut Vec<FieldError>,
) -> Vec<(SpreadConstraint, Rule)> {
    let constraints = spec
        .spread_policy
        .as_ref()
        .map_or(&[][..], |policy| &policy.spread_constraints);
    let path = "spec.spreadPolicy.spreadConstraints";
    if constraints.len() > SPREAD_MAX {
        errors.push(forbidden(
            path,
            &format!("a placement has at most {SPREAD_MAX} spread constraints"),
        ));
    }
    let mut checked: Vec<(SpreadConstraint, Rule)> = Vec::new();
    for (index, constraint) in constraints.iter().enumerate() {
        let same = |(known, _): &(SpreadConstraint, Rule)| {
            known.topology_key == constraint.topology_key
                && known.topology_key_type == constraint.topology_key_type
        };
        if checked.iter().any(same) {
            errors.push(forbidden(
                format!("{path}[{index}].topologyKey"),
                "one key has one spread constraint",
            ));
        }
        let max_skew = constraint.max_skew.unwrap_or(1);
        if max_skew < 1 {
            errors.push(forbidden(
                format!("{path}[{index}].maxSkew"),
                "the smallest skew that can be kept is 1",
            ));
        }
        let rule = Rule {
            max_skew: u32::try_from(max_skew).unwrap_or(1),
            strict: constraint.when_unsatisfiable == Some(WhenUnsatisfiable::DoNotSchedule),
        };
        checked.push((constraint.clone(), rule));
    }
    checked
}

fn groups(strategy: &GroupStrategy, errors: &mut Vec<FieldError>) -> GroupRules {
    let path = "spec.decisionStrategy.groupStrategy";
    let mut named = Vec::new();
    for (index, group) in strategy.decision_groups.iter().enumerate() {
        let DecisionGroup {
            group_name,
            group_cluster_selector,
        } = group;
        let path = format!("{path}.decisionGroups[{index}]");
        if group_name.is_empty() {
            errors.push(FieldError::new(
                format!("{path}.groupName"),
                Problem::Required,
            ));
        }
        let path = format!("{path}.groupClusterSelector");
        match FactSelector::of_group(&path, group_cluster_selector) {
            Ok(selector) => named.push((group_name.clone(), selector)),
            Err(found) => errors.extend(found),
        }
    }
    let size = strategy.clusters_per_decision_group;
    if let Some(IntOrPercent::Number(0) | IntOrPercent::Percent(0)) = size {
        let rule = "a number of clusters from 1, or a share from 1% to 100%";
        let path = format!("{path}.clustersPerDecisionGroup");
        let found = size.map(|size| size.to_string()).unwrap_or_default();
        errors.push(FieldError::invalid(path, &found, rule));
    }
    GroupRules { named, size }
}
