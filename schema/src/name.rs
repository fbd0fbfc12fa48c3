//! Checked names. A value of these types is always fit for a subject token, a label value or an
//! object name, so nothing behind the door has to ask again.
//!
//! Rules are Kubernetes': RFC 1123 labels (lower-case letters, digits, `-`, at most 63) and
//! RFC 1123 subdomains (labels joined by dots, at most 253).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest RFC 1123 label, in bytes.
pub const LABEL_MAX: usize = 63;
/// Longest RFC 1123 subdomain, in bytes.
pub const SUBDOMAIN_MAX: usize = 253;
/// The user who may do everything, whatever the access rules say: whoever sets up a hub makes this
/// user's credential.
pub const ADMIN: &str = "admin";

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text has no characters at all.
    #[error("must not be empty")]
    Empty,
    /// The text is longer than the rule allows.
    #[error("must be at most {max} characters, has {found}")]
    TooLong {
        /// The limit, in bytes.
        max: usize,
        /// The length found, in bytes.
        found: usize,
    },
    /// A character that the rule does not know.
    #[error("must consist of lower-case letters, digits and {allowed}; found {found:?}")]
    Character {
        /// The first offending character.
        found: char,
        /// The punctuation the rule allows, in words.
        allowed: &'static str,
    },
    /// A label starts or ends with a hyphen, or is empty between two dots.
    #[error("must start and end with a lower-case letter or a digit")]
    Edge,
}

/// Checks an RFC 1123 label.
///
/// # Errors
/// The first rule that `text` breaks.
pub fn check_label(text: &str) -> Result<(), NameError> {
    check_length(text, LABEL_MAX)?;
    if let Some(found) = text.chars().find(|c| !is_label_char(*c)) {
        return Err(NameError::Character {
            found,
            allowed: "'-'",
        });
    }
    check_edges(text)
}

/// Checks an RFC 1123 subdomain of at most `max` bytes.
///
/// # Errors
/// The first rule that `text` breaks.
pub fn check_subdomain(text: &str, max: usize) -> Result<(), NameError> {
    check_length(text, max)?;
    if let Some(found) = text.chars().find(|c| !is_label_char(*c) && *c != '.') {
        return Err(NameError::Character {
            found,
            allowed: "'-' or '.'",
        });
    }
    text.split('.').try_for_each(check_edges)
}

/// Checks a name of RBAC's: RFC 1123 subdomains joined by colons, such as `system:masters`, of at
/// most [`SUBDOMAIN_MAX`] bytes. (Kubernetes takes nearly anything; this is what is in use.)
///
/// # Errors
/// The first rule that `text` breaks.
pub fn check_parts(text: &str) -> Result<(), NameError> {
    if !text.contains(':') {
        // Most names are not RBAC's, and their authors need not hear of colons.
        return check_subdomain(text, SUBDOMAIN_MAX);
    }
    check_length(text, SUBDOMAIN_MAX)?;
    let allowed = |c: char| is_label_char(c) || c == '.' || c == ':';
    if let Some(found) = text.chars().find(|c| !allowed(*c)) {
        return Err(NameError::Character {
            found,
            allowed: "'-', '.' or ':'",
        });
    }
    text.split(['.', ':']).try_for_each(check_edges)
}

fn check_length(text: &str, max: usize) -> Result<(), NameError> {
    match text.len() {
        0 => Err(NameError::Empty),
        found if found > max => Err(NameError::TooLong { max, found }),
        _ => Ok(()),
    }
}

fn check_edges(label: &str) -> Result<(), NameError> {
    let fits = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if fits(label.chars().next()) && fits(label.chars().next_back()) {
        Ok(())
    } else {
        Err(NameError::Edge)
    }
}

fn is_label_char(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

macro_rules! checked_name {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and wraps it.
            ///
            /// # Errors
            /// The first naming rule that `text` breaks.
            pub fn new(text: impl AsRef<str>) -> Result<Self, NameError> {
                let check: fn(&str) -> Result<(), NameError> = $check;
                check(text.as_ref())?;
                Ok(Self(Arc::from(text.as_ref())))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), &*self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

checked_name! {
    /// A managed cluster. It doubles as the cluster's namespace on the hub, so it is a label (OCM).
    ClusterName, check_label
}
checked_name! {
    /// A clusterset. It is also a label value, so it is at most 63 bytes.
    SetName, |text| check_subdomain(text, LABEL_MAX)
}
checked_name! {
    /// A workspace: a Kubernetes namespace on the hub.
    Workspace, check_label
}
checked_name! {
    /// The name of any other object. Of which form it is depends on the kind
    /// ([`crate::kind::NameRule`]); this is the widest.
    ObjectName, check_parts
}
checked_name! {
    /// A person or a program that sends commands. It is a token of the subjects that the bus lets
    /// this user publish on, so it can be nothing but a label.
    UserName, check_label
}
checked_name! {
    /// A join token's public name (not its secret).
    TokenName, check_label
}
checked_name! {
    /// A hub replica.
    HubName, check_label
}

impl SetName {
    /// The set that takes every cluster that names none (OCM's `DefaultClusterSet`).
    #[must_use]
    pub fn default_set() -> Self {
        Self(Arc::from("default"))
    }

    /// The set that holds all clusters.
    #[must_use]
    pub fn global_set() -> Self {
        Self(Arc::from("global"))
    }
}

macro_rules! names_an_object {
    ($($name:ident),*) => {
        $(impl From<&$name> for ObjectName {
            /// A narrower name is an object name too.
            fn from(name: &$name) -> Self {
                Self(Arc::clone(&name.0))
            }
        })*
    };
}

names_an_object!(ClusterName, SetName, Workspace, TokenName);

impl From<&ClusterName> for Workspace {
    /// Every cluster has a namespace of its own name, where its works live (OCM).
    fn from(cluster: &ClusterName) -> Self {
        Self(Arc::clone(&cluster.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_nats_or_kubernetes_would_misread_are_refused() {
        for bad in [
            "",
            "*",
            ">",
            "a.b",
            "a b",
            "A",
            "-a",
            "a-",
            "a_b",
            "ä",
            "a\tb",
            "a\n",
            &"a".repeat(64),
        ] {
            assert!(
                ClusterName::new(bad).is_err(),
                "{bad:?} must not be a cluster name"
            );
            assert!(
                UserName::new(bad).is_err(),
                "{bad:?} must not be a user name"
            );
        }
        assert!(ClusterName::new("a".repeat(63)).is_ok());
        assert!(ClusterName::new("0-9").is_ok());
    }

    #[test]
    fn subdomains_may_have_dots_but_no_empty_label() {
        assert!(ObjectName::new("a.b-c.d").is_ok());
        for bad in [
            ".a",
            "a.",
            "a..b",
            "a.-b",
            "*.a",
            &format!("{}.a", "a".repeat(252)),
        ] {
            assert!(ObjectName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn roles_may_have_colons_but_no_empty_part() {
        assert!(ObjectName::new("open-cluster-management:view.all:s1").is_ok());
        for bad in [":a", "a:", "a::b", "a:.b", "a:B", "a/b", "system:*"] {
            assert!(ObjectName::new(bad).is_err(), "{bad:?}");
        }
        assert!(SetName::new("a:b").is_err());
    }

    #[test]
    fn the_error_names_the_character() {
        let error = ClusterName::new("shop_1").unwrap_err();
        assert_eq!(
            error.to_string(),
            "must consist of lower-case letters, digits and '-'; found '_'"
        );
    }

    #[test]
    fn serde_checks_too() {
        assert!(serde_json::from_str::<ClusterName>("\"c1\"").is_ok());
        assert!(serde_json::from_str::<ClusterName>("\"c.1\"").is_err());
    }
}
