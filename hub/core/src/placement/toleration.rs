//! Taints and tolerations: which clusters a placement keeps away from.

use jiff::{SignedDuration, Timestamp};
use skein_schema::kind::managed_cluster::{TAINT_UNREACHABLE, Taint, TaintEffect};
use skein_schema::kind::placement::{Toleration, TolerationOperator};

/// What a cluster's taints mean for a placement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing<'a> {
    /// The cluster may be chosen.
    Eligible {
        /// A taint asks to choose it only if there is nothing else.
        avoided: bool,
        /// When a toleration that matters ends.
        until: Option<Timestamp>,
    },
    /// The cluster may not be chosen.
    Repelled(&'a Taint),
}

/// What a cluster's taints mean. `chosen` is whether the placement has the cluster now. One that it
/// has and that is lost is kept for `lost_for` after it was lost.
#[must_use]
pub fn standing<'a>(
    taints: &'a [Taint],
    tolerations: &[Toleration],
    chosen: bool,
    lost_for: SignedDuration,
    now: Timestamp,
) -> Standing<'a> {
    let mut avoided = false;
    let mut until: Option<Timestamp> = None;
    for taint in taints {
        if chosen && taint.key == TAINT_UNREACHABLE {
            let lost = taint.time_added.as_ref();
            let kept = lost.and_then(|lost| lost.0.checked_add(lost_for).ok());
            if let Some(kept) = kept.filter(|kept| *kept > now) {
                until = Some(until.map_or(kept, |known| known.min(kept)));
                continue;
            }
        }
        // Who has the cluster keeps it, tolerated or not.
        if taint.effect == TaintEffect::NoSelectIfNew && chosen {
            continue;
        }
        match tolerated(taint, tolerations, now) {
            Tolerated::Always => {}
            Tolerated::Until(end) => until = Some(until.map_or(end, |known| known.min(end))),
            Tolerated::No => match taint.effect {
                TaintEffect::NoSelect | TaintEffect::NoSelectIfNew => {
                    return Standing::Repelled(taint);
                }
                TaintEffect::PreferNoSelect => avoided = true,
            },
        }
    }
    Standing::Eligible { avoided, until }
}

enum Tolerated {
    No,
    Until(Timestamp),
    Always,
}

/// Of several tolerations of a taint the one that lasts longest counts.
fn tolerated(taint: &Taint, tolerations: &[Toleration], now: Timestamp) -> Tolerated {
    let mut end: Option<Timestamp> = None;
    for toleration in tolerations {
        if !matches(toleration, taint) {
            continue;
        }
        let Some(seconds) = toleration.toleration_seconds else {
            return Tolerated::Always;
        };
        // A taint without a time counts as always there: what is limited has ended.
        let Some(added) = &taint.time_added else {
            continue;
        };
        match added.0.checked_add(SignedDuration::from_secs(seconds)) {
            // It lasts longer than there are times.
            Err(_) if seconds > 0 => return Tolerated::Always,
            Err(_) => {}
            Ok(this) if this > now => end = end.max(Some(this)),
            Ok(_) => {}
        }
    }
    end.map_or(Tolerated::No, Tolerated::Until)
}

fn matches(toleration: &Toleration, taint: &Taint) -> bool {
    toleration
        .effect
        .is_none_or(|effect| effect == taint.effect)
        && (toleration.key.is_empty() || toleration.key == taint.key)
        && match toleration.operator.unwrap_or_default() {
            TolerationOperator::Exists => true,
            TolerationOperator::Equal => toleration.value == taint.value,
        }
}
