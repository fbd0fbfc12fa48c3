//! Which sets a placement chooses from.

use std::collections::BTreeSet;

use super::satisfaction::Satisfaction;

/// The sets that a placement may choose from, in the order of their names: those that are bound to
/// its namespace and exist, and, if it names sets, only those of them. `bound` are the sets that
/// bindings of the namespace name and that exist; the condition of a binding does not matter.
///
/// # Errors
/// Why there is none.
pub fn scope<'a>(
    bound: &BTreeSet<&'a str>,
    asked: &[String],
) -> Result<BTreeSet<&'a str>, Satisfaction> {
    if bound.is_empty() {
        return Err(Satisfaction::NoBindings);
    }
    if asked.is_empty() {
        return Ok(bound.clone());
    }
    let common: BTreeSet<&str> = bound
        .iter()
        .filter(|set| asked.iter().any(|asked| asked == *set))
        .copied()
        .collect();
    if common.is_empty() {
        return Err(Satisfaction::NoIntersection {
            asked: asked.to_vec(),
        });
    }
    Ok(common)
}
