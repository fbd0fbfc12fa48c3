//! Spreads a choice evenly over topologies: regions, zones, providers. OCM declares it and has
//! never built it; the meaning is that of topology spread constraints of pods.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

/// A constraint as choosing needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// How many clusters a topology may have more than the one with the fewest; at least 1.
    pub max_skew: u32,
    /// Whether a cluster that breaks the rule is left out, or only put behind others.
    pub strict: bool,
}

/// A candidate as choosing needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// It is to be chosen only after all that are not avoided.
    pub avoided: bool,
    /// Its value for each rule's key; `None` if it has none.
    pub topologies: Vec<Option<&'a str>>,
}

/// What became of the candidates, as indexes into their list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// Those chosen, in the order of choosing.
    pub chosen: Vec<usize>,
    /// Those left out by a strict rule, with the rule's index; in ascending order.
    pub kept_out: Vec<(usize, usize)>,
}

/// How often kinds of candidates may be compared in one choice: something like half a second.
pub const MAX_COMPARISONS: usize = 500_000;

/// How many clusters each topology of one rule's key has.
type Counts<'a> = BTreeMap<&'a str, u32>;

/// Chooses at most `limit` of the candidates, which stand best first.
///
/// One is chosen after another: the one that is not avoided, then the one that breaks the first
/// rule least, then the second and so on, then the best. A cluster without a rule's key breaks it. A
/// strict rule counts the topologies of all candidates, also those without a chosen one, so that a
/// region that is out of clusters holds the others back.
///
/// `None` if that would take more than [`MAX_COMPARISONS`].
#[must_use]
pub fn spread(candidates: &[Candidate<'_>], rules: &[Rule], limit: usize) -> Option<Spread> {
    if limit >= candidates.len() && rules.iter().all(|rule| !rule.strict) {
        return Some(Spread {
            chosen: (0..candidates.len()).collect(),
            kept_out: Vec::new(),
        });
    }
    let mut counts: Vec<Counts<'_>> = vec![Counts::new(); rules.len()];
    for candidate in candidates {
        for (counts, topology) in counts.iter_mut().zip(&candidate.topologies) {
            if let Some(topology) = topology {
                counts.entry(topology).or_default();
            }
        }
    }
    // Candidates that are alike to every rule are chosen in their order.
    let mut alike: BTreeMap<(bool, &[Option<&str>]), VecDeque<usize>> = BTreeMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        let key = (candidate.avoided, candidate.topologies.as_slice());
        alike.entry(key).or_default().push_back(index);
    }
    if limit.min(candidates.len()).saturating_mul(alike.len()) > MAX_COMPARISONS {
        return None;
    }
    let mut spread = Spread::default();
    while spread.chosen.len() < limit {
        let fewest: Vec<u32> = counts
            .iter()
            .map(|counts| counts.values().copied().min().unwrap_or(0))
            .collect();
        let best = alike
            .iter()
            .filter_map(|(key, queue)| {
                let excess = excess(key.1, &counts, &fewest, rules);
                let allowed = excess.iter().zip(rules);
                let allowed = allowed
                    .into_iter()
                    .all(|(excess, rule)| *excess == 0 || !rule.strict);
                let first = *queue.front()?;
                allowed.then_some(((key.0, excess, first), *key))
            })
            .min_by(|(left, _), (right, _)| left.cmp(right))
            .map(|(_, key)| key);
        let Some(key) = best else {
            break;
        };
        let Some(index) = alike.get_mut(&key).and_then(VecDeque::pop_front) else {
            break;
        };
        spread.chosen.push(index);
        for (counts, topology) in counts.iter_mut().zip(key.1) {
            if let Some(topology) = topology {
                *counts.entry(topology).or_default() += 1;
            }
        }
    }
    if spread.chosen.len() < limit {
        spread.kept_out = kept_out(&alike, &counts, rules);
    }
    Some(spread)
}

/// By how much one more cluster of these topologies would break each rule.
fn excess(
    topologies: &[Option<&str>],
    counts: &[Counts<'_>],
    fewest: &[u32],
    rules: &[Rule],
) -> Vec<u32> {
    let one =
        |((topology, counts), (fewest, rule)): ((&Option<&str>, &Counts<'_>), (&u32, &Rule))| {
            let Some(topology) = topology else {
                return u32::MAX;
            };
            let skew = counts.get(topology).copied().unwrap_or(0) + 1 - fewest;
            skew.saturating_sub(rule.max_skew)
        };
    let left = topologies.iter().zip(counts);
    left.zip(fewest.iter().zip(rules)).map(one).collect()
}

/// What is left when no candidate is allowed any more, and which rule keeps it out.
fn kept_out(
    alike: &BTreeMap<(bool, &[Option<&str>]), VecDeque<usize>>,
    counts: &[Counts<'_>],
    rules: &[Rule],
) -> Vec<(usize, usize)> {
    let fewest: Vec<u32> = counts
        .iter()
        .map(|counts| counts.values().copied().min().unwrap_or(0))
        .collect();
    let mut kept: Vec<(usize, usize)> = Vec::new();
    for ((_, topologies), queue) in alike {
        let excess = excess(topologies, counts, &fewest, rules);
        let rule = excess
            .iter()
            .zip(rules)
            .position(|(excess, rule)| *excess > 0 && rule.strict);
        kept.extend(
            rule.into_iter()
                .flat_map(|rule| queue.iter().map(move |index| (*index, rule))),
        );
    }
    kept.sort_unstable_by_key(|(index, rule)| (*index, Reverse(*rule)));
    kept
}
