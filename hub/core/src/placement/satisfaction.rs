//! Whether a placement has what it asks for: OCM's condition `PlacementSatisfied`.

use super::choose::Choice;

/// How far a placement is satisfied. The variants stand in the order in which OCM looks for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Satisfaction {
    /// No set that exists is bound to the namespace.
    NoBindings,
    /// None of the sets it names is bound.
    NoIntersection {
        /// The sets it names.
        asked: Vec<String>,
    },
    /// Its sets have no clusters.
    AllSetsEmpty {
        /// Its sets.
        sets: Vec<String>,
    },
    /// No cluster may be chosen.
    NoneMatched,
    /// It has all the clusters that it asks for.
    All,
    /// It has fewer clusters than it asks for.
    Short {
        /// How many are missing.
        missing: usize,
    },
}

impl Satisfaction {
    /// How far a choice among the members of `sets` satisfies.
    #[must_use]
    pub fn of(choice: &Choice, sets: impl IntoIterator<Item = impl Into<String>>) -> Self {
        if choice.candidates == 0 {
            return Self::AllSetsEmpty {
                sets: sets.into_iter().map(Into::into).collect(),
            };
        }
        // Who asks for no cluster has none, and all of them; OCM calls that a failure.
        if choice.chosen.is_empty() && choice.missing != Some(0) {
            return Self::NoneMatched;
        }
        match choice.missing.unwrap_or(0) {
            0 => Self::All,
            missing => Self::Short { missing },
        }
    }

    /// The condition's status.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self {
            Self::All => "True",
            _ => "False",
        }
    }

    /// The condition's reason, in OCM's words.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoBindings => "NoManagedClusterSetBindings",
            Self::NoIntersection { .. } => "NoIntersection",
            Self::AllSetsEmpty { .. } => "AllManagedClusterSetsEmpty",
            Self::NoneMatched => "NoManagedClusterMatched",
            Self::All => "AllDecisionsScheduled",
            Self::Short { .. } => "NotAllDecisionsScheduled",
        }
    }

    /// The condition's message.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::NoBindings => {
                "No cluster set that exists is bound to the placement's namespace.".to_owned()
            }
            Self::NoIntersection { asked } => format!(
                "None of the cluster sets {} is bound to the placement's namespace.",
                asked.join(", ")
            ),
            Self::AllSetsEmpty { sets } => {
                format!("The cluster sets {} have no cluster.", sets.join(", "))
            }
            Self::NoneMatched => {
                "No cluster meets the placement's predicates and tolerations.".to_owned()
            }
            Self::All => "All clusters that were asked for are chosen.".to_owned(),
            Self::Short { missing: 1 } => "1 cluster is missing.".to_owned(),
            Self::Short { missing } => format!("{missing} clusters are missing."),
        }
    }
}
