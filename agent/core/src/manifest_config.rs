//! Which configuration a manifest gets out of a work's `manifestConfigs`.

use skein_schema::kind::manifest_work::{
    ManifestConfigOption, ManifestResourceMeta, ResourceIdentifier,
};

/// The configuration of one object: every entry that matches adds what the ones before it left
/// open, except that `feedbackScrapeType` is the last match's, also if that is empty. `None` if
/// nothing but a scrape type would be configured. All of this is OCM's rule.
#[must_use]
pub fn find(
    resource: &ManifestResourceMeta,
    configs: &[ManifestConfigOption],
) -> Option<ManifestConfigOption> {
    let mut merged = ManifestConfigOption {
        resource_identifier: ResourceIdentifier {
            group: resource.group.clone(),
            resource: resource.resource.clone(),
            name: resource.name.clone(),
            namespace: resource.namespace.clone(),
        },
        ..ManifestConfigOption::default()
    };
    for index in matching(resource, configs) {
        let config = &configs[index];
        if merged.feedback_rules.is_empty() {
            merged.feedback_rules.clone_from(&config.feedback_rules);
        }
        if merged.update_strategy.is_none() {
            merged.update_strategy.clone_from(&config.update_strategy);
        }
        if merged.condition_rules.is_empty() {
            merged.condition_rules.clone_from(&config.condition_rules);
        }
        merged.feedback_scrape_type = config.feedback_scrape_type;
    }
    let empty = merged.feedback_rules.is_empty()
        && merged.update_strategy.is_none()
        && merged.condition_rules.is_empty();
    (!empty).then_some(merged)
}

/// Indexes of the entries that match an object, in their written order.
#[must_use]
pub fn matching(resource: &ManifestResourceMeta, configs: &[ManifestConfigOption]) -> Vec<usize> {
    let matches = |identifier: &ResourceIdentifier| {
        identifier.group == resource.group
            && identifier.resource == resource.resource
            && matches_pattern(&identifier.namespace, &resource.namespace)
            && matches_pattern(&identifier.name, &resource.name)
    };
    (0..configs.len())
        .filter(|index| matches(&configs[*index].resource_identifier))
        .collect()
}

/// `*` stands for any run of characters, but not across a line break; the rest stands for itself.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut last = None;
    for piece in pieces {
        if let Some(middle) = last.replace(piece) {
            let Some((gap, after)) = cut(rest, middle) else {
                return false;
            };
            if gap.contains('\n') {
                return false;
            }
            rest = after;
        }
    }
    match last {
        None => rest.is_empty(),
        Some(end) => rest
            .strip_suffix(end)
            .is_some_and(|gap| !gap.contains('\n')),
    }
}

fn cut<'a>(text: &'a str, piece: &str) -> Option<(&'a str, &'a str)> {
    text.find(piece)
        .map(|at| (&text[..at], &text[at + piece.len()..]))
}

#[cfg(test)]
mod tests {
    use super::matches_pattern;

    #[test]
    fn patterns() {
        for (pattern, text, matches) in [
            ("", "", true),
            ("", "a", false),
            ("a", "a", true),
            ("*", "", true),
            ("*", "a.b", true),
            ("*", "a\nb", false),
            ("a*", "ba", false),
            ("a*c", "abc", true),
            ("a*a", "a", false),
            ("a*b*c", "aXbYbZc", true),
            ("*b*", "abc", true),
            ("a.c", "abc", false),
            ("**", "x", true),
        ] {
            assert_eq!(
                matches_pattern(pattern, text),
                matches,
                "{pattern} on {text:?}"
            );
        }
    }
}
