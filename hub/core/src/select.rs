//! Which objects are meant.

use skein_schema::code::{Code, Refusal};
use skein_schema::kind::label_selector::Selector;
use skein_schema::object::ObjectKey;
use skein_schema::query::Selection;
use skein_schema::resource::Resource;

/// A selection, checked once.
#[derive(Debug, Clone, PartialEq)]
pub struct Selected {
    selection: Selection,
    labels: Selector,
}

impl Selected {
    /// Checks a selection. Its point in time is the caller's to reach.
    ///
    /// # Errors
    /// When the label selector cannot be read, or a workspace is named for a kind that has none.
    pub fn new(selection: &Selection) -> Result<Self, Refusal> {
        let text = selection.label_selector.as_deref().unwrap_or_default();
        let labels = Selector::parse(text).map_err(|error| {
            Refusal::new(Code::InvalidArgument, "the label selector cannot be read")
                .with_cause("labelSelector", error.problem.to_string())
                .with_hint("write it like env=prod,tier!=db,region in (eu,us),gpu,!old")
        })?;
        if selection.workspace.is_some() && !selection.kind.info().namespaced() {
            return Err(Refusal::new(
                Code::InvalidArgument,
                format!("{} have no namespace", selection.kind.info().plural),
            )
            .with_cause("workspace", "must be absent for this kind"));
        }
        Ok(Self {
            selection: selection.clone(),
            labels,
        })
    }

    /// The selection.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Whether it means this object.
    #[must_use]
    pub fn matches(&self, key: &ObjectKey, object: &Resource) -> bool {
        let Selection {
            kind,
            workspace,
            name,
            ..
        } = &self.selection;
        key.kind == *kind
            && workspace
                .as_ref()
                .is_none_or(|workspace| key.workspace.as_ref() == Some(workspace))
            && name.as_ref().is_none_or(|name| key.name == *name)
            && match &object.metadata().labels {
                Some(labels) => self.labels.matches(labels),
                None => self.labels.matches(&std::collections::BTreeMap::new()),
            }
    }
}
