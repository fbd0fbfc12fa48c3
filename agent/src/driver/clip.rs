//! Reports that are too large for the bus. What is left out is said in a condition's message; the
//! agent itself keeps the whole report, so that only news make another one.

use std::io;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;
use skein_schema::kind::manifest_work::{
    CONDITION_APPLIED, CONDITION_STATUS_FEEDBACK_SYNCED, ManifestCondition,
};
use skein_schema::status::WorkReport;

/// The most bytes of updates in one message. The STATUS stream takes 1 MiB with the headers and
/// what stands around the updates.
pub(super) const MESSAGE: usize = 900 * 1024;

/// Longest messages of conditions in a report that is too large, in characters: as long as fits.
const SHORTENED: [usize; 3] = [1024, 256, 64];
/// Reason of the condition of a manifest whose feedback is not reported.
const REASON_TOO_LARGE: &str = "StatusFeedbackTooLarge";

/// How many bytes of JSON a value makes.
pub(super) fn size(value: &impl Serialize) -> usize {
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).expect("messages of the schema are JSON");
    count.0
}

struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The report, made smaller where it has more than `most` bytes: feedback goes first, the largest
/// before the others, then the ends of long messages, at last the manifests.
pub(super) fn fit(mut report: WorkReport, most: usize) -> WorkReport {
    let bytes = size(&report);
    if bytes <= most {
        return report;
    }
    tracing::warn!(work = %report.name, bytes, most, "the report of a work is too large; some of it is left out");
    drop_feedback(&mut report.status.resource_status.manifests, bytes, most);
    for longest in SHORTENED {
        if size(&report) <= most {
            return report;
        }
        let manifests = report.status.resource_status.manifests.iter_mut();
        let of_manifests = manifests.flat_map(|manifest| &mut manifest.conditions);
        for condition in report.status.conditions.iter_mut().chain(of_manifests) {
            shorten(condition, longest);
        }
    }
    if size(&report) > most {
        let manifests = std::mem::take(&mut report.status.resource_status.manifests).len();
        let is_applied = |condition: &&mut Condition| condition.type_ == CONDITION_APPLIED;
        if let Some(applied) = report.status.conditions.iter_mut().find(is_applied) {
            applied.message = format!(
                "{}; what became of the {manifests} manifests is left out: the report has {bytes} bytes, {most} can be sent",
                applied.message
            );
        }
    }
    report
}

fn drop_feedback(manifests: &mut [ManifestCondition], bytes: usize, most: usize) {
    let mut largest: Vec<(usize, &mut ManifestCondition)> = manifests
        .iter_mut()
        .filter(|manifest| !manifest.status_feedback.values.is_empty())
        .map(|manifest| (size(&manifest.status_feedback.values), manifest))
        .collect();
    largest.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    let mut left = bytes;
    for (size_of_values, manifest) in largest {
        if left <= most {
            return;
        }
        let before = size(&manifest.conditions);
        let values = std::mem::take(&mut manifest.status_feedback.values).len();
        let is_synced = |c: &&mut Condition| c.type_ == CONDITION_STATUS_FEEDBACK_SYNCED;
        // Whoever has feedback has this condition, too. Its time stays: how it came out is no
        // transition of the object.
        if let Some(synced) = manifest.conditions.iter_mut().find(is_synced) {
            "False".clone_into(&mut synced.status);
            REASON_TOO_LARGE.clone_into(&mut synced.reason);
            synced.message = format!(
                "{values} values are left out: the report of the work has {bytes} bytes, {most} can be sent"
            );
        }
        left = (left + size(&manifest.conditions)).saturating_sub(size_of_values + before);
    }
}

fn shorten(condition: &mut Condition, longest: usize) {
    const NOTE: &str = "… (shortened, the report is too large)";
    let text = condition.message.strip_suffix(NOTE);
    let text = text.unwrap_or(&condition.message);
    if text.chars().count() > longest {
        let kept: String = text.chars().take(longest).collect();
        condition.message = kept + NOTE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A report with this many manifests, each with feedback and messages of these lengths.
    fn report(manifests: usize, feedback: usize, message: usize) -> WorkReport {
        let condition = |kind: &str, message: String| json!({"type": kind, "status": "True", "reason": "R", "message": message, "lastTransitionTime": "2026-11-23T12:00:00Z"});
        let manifest = |ordinal: usize| {
            json!({
                "resourceMeta": {"ordinal": ordinal, "kind": "ConfigMap", "name": format!("c{ordinal}")},
                "statusFeedback": {"values": [{"name": "v", "fieldValue": {"type": "String", "string": "x".repeat(feedback / (ordinal + 1))}}]},
                "conditions": [condition("Applied", "é".repeat(message)), condition("StatusFeedbackSynced", String::new())],
            })
        };
        serde_json::from_value(json!({
            "name": "web", "uid": "00000000-0000-0000-0000-000000000001", "generation": 1,
            "status": {
                "conditions": [condition("Applied", "Apply manifest work complete".into())],
                "resourceStatus": {"manifests": (0..manifests).map(manifest).collect::<Vec<_>>()},
            },
        }))
        .unwrap()
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let whole = report(3, 100, 100);
        assert_eq!(fit(whole.clone(), size(&whole)), whole);
        assert_eq!(size(&whole), serde_json::to_vec(&whole).unwrap().len());
    }

    #[test]
    fn the_largest_feedback_goes_first_and_its_condition_says_so() {
        let fitted = fit(report(3, 30_000, 10), 40_000);
        assert!(size(&fitted) <= 40_000);
        let manifests = &fitted.status.resource_status.manifests;
        let values: Vec<_> = manifests
            .iter()
            .map(|manifest| manifest.status_feedback.values.len())
            .collect();
        assert_eq!(values, [0, 1, 1]);
        let synced = &manifests[0].conditions[1];
        assert_eq!(
            (synced.status.as_str(), synced.reason.as_str()),
            ("False", REASON_TOO_LARGE)
        );
        assert!(
            synced.message.starts_with("1 values are left out"),
            "{}",
            synced.message
        );
        assert_eq!(manifests[1].conditions[1].status, "True");
    }

    #[test]
    fn then_messages_are_shortened_between_characters() {
        let fitted = fit(report(10, 0, 5_000), 20_000);
        assert!(size(&fitted) <= 20_000, "{}", size(&fitted));
        let manifests = &fitted.status.resource_status.manifests;
        assert_eq!(manifests.len(), 10);
        let message = &manifests[9].conditions[0].message;
        assert!(
            message.starts_with("éé") && message.ends_with("too large)"),
            "{message}"
        );
    }

    #[test]
    fn at_last_the_manifests_go_and_the_work_says_so() {
        let fitted = fit(report(200, 0, 10), 2_000);
        assert!(size(&fitted) <= 2_000);
        assert!(fitted.status.resource_status.manifests.is_empty());
        let message = &fitted.status.conditions[0].message;
        assert!(message.contains("200 manifests"), "{message}");
    }
}
