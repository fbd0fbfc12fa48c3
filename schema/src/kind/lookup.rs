//! Finding a kind by what a document or a person calls it.

use super::KindInfo;
use crate::decode::nearest;
use crate::resource::KINDS;
use std::fmt;

/// Why a kind was not found.
#[derive(Clone, Debug, PartialEq)]
pub enum LookupError {
    /// No kind of this name is known.
    UnknownKind {
        /// What was asked for.
        asked: String,
        /// The known kind that may have been meant, as it would be asked for.
        nearest: Option<String>,
    },
    /// The kind is known in another group or version.
    OtherVersion {
        /// What was asked for.
        asked: String,
        /// `apiVersion` that is served.
        served: String,
        /// What to do, where there is more to it than changing `apiVersion`.
        hint: Option<&'static str>,
    },
}

impl LookupError {
    /// What was asked for.
    #[must_use]
    pub fn asked(&self) -> String {
        match self {
            Self::UnknownKind { asked, .. } | Self::OtherVersion { asked, .. } => asked.clone(),
        }
    }

    /// True if the kind is known and only group or version are not.
    #[must_use]
    pub fn about_version(&self) -> bool {
        matches!(self, Self::OtherVersion { .. })
    }

    /// What to do about it, where that can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKind { nearest, .. } => {
                nearest.as_ref().map(|kind| format!("did you mean {kind}?"))
            }
            Self::OtherVersion {
                hint: Some(hint), ..
            } => Some((*hint).to_owned()),
            Self::OtherVersion { served, .. } => Some(format!("write apiVersion {served}")),
        }
    }
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKind { asked, .. } => write!(f, "{asked} is not a known kind"),
            Self::OtherVersion { asked, served, .. } => {
                write!(f, "{asked} is not served, {served} is")
            }
        }
    }
}

impl std::error::Error for LookupError {}

/// The kind that a document names by `apiVersion` and `kind`, both exactly as written.
///
/// # Errors
/// [`LookupError`] with the nearest known kind or the served version.
pub fn lookup(api_version: &str, kind: &str) -> Result<&'static KindInfo, LookupError> {
    let asked = || format!("{kind} of {api_version}");
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let Some(info) = KINDS.iter().find(|info| info.kind == kind) else {
        let nearest = nearest(kind, KINDS.iter().map(|info| info.kind)).map(str::to_owned);
        return Err(LookupError::UnknownKind {
            asked: asked(),
            nearest,
        });
    };
    if info.group == group && info.version == version {
        return Ok(info);
    }
    let retired = info
        .retired
        .iter()
        .find(|old| info.group == group && old.version == version);
    let hint = retired.map(|old| old.hint);
    Err(LookupError::OtherVersion {
        asked: asked(),
        served: info.api_version(),
        hint,
    })
}

/// The kind that a person names on a command line, by kubectl's rules.
///
/// Plural, singular, short name and kind are taken in any case, alone or followed by `.group` or
/// `.version.group`; of a group, its beginning is enough.
///
/// # Errors
/// [`LookupError::UnknownKind`] with the nearest known name.
pub fn resolve(asked: &str) -> Result<&'static KindInfo, LookupError> {
    let (name, rest) = match asked.split_once('.') {
        Some((name, rest)) => (name.to_lowercase(), rest),
        None => (asked.to_lowercase(), ""),
    };
    let named = |info: &&KindInfo| names(info).any(|known| known == name);
    let found = KINDS.iter().filter(named).find(|info| in_group(info, rest));
    found.ok_or_else(|| {
        let known = KINDS.iter().flat_map(names);
        let nearest = nearest(&name, known).map(str::to_owned);
        LookupError::UnknownKind {
            asked: asked.to_owned(),
            nearest,
        }
    })
}

/// Every name of a kind that a command line takes. The kind in lower case is the singular.
fn names(info: &KindInfo) -> impl Iterator<Item = &'static str> + use<> {
    [info.plural, info.singular]
        .into_iter()
        .chain(info.short_names.iter().copied())
}

fn in_group(info: &KindInfo, rest: &str) -> bool {
    rest.is_empty()
        || (!info.group.is_empty() && info.group.starts_with(rest))
        || rest
            .strip_prefix(info.version)
            .is_some_and(|group| match group.strip_prefix('.') {
                Some(group) => group == info.group,
                None => group.is_empty() && info.group.is_empty(),
            })
}

#[cfg(test)]
mod tests;
