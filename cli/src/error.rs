//! Errors as people see them: what failed, where, why, what to do, and the exit code.
//!
//! This is the edge: libraries answer typed errors, and only here do they get code, kind and hint.

use std::fmt::Write as _;
use std::io::Write as _;

use skein_schema::code::{Code, Kind, Refusal};

/// A failed command.
#[derive(Debug)]
pub(crate) struct CliError {
    refusal: Refusal,
    /// Why, outermost first.
    because: Vec<String>,
    broken_pipe: bool,
}

/// The answer of every command.
pub(crate) type CliResult<T> = Result<T, CliError>;

impl CliError {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Refusal::new(code, message).into()
    }

    /// A local file or stream that cannot be read or written.
    pub(crate) fn io(action: &str, source: &std::io::Error) -> Self {
        Self {
            broken_pipe: source.kind() == std::io::ErrorKind::BrokenPipe,
            ..Self::new(Code::LocalFile, format!("cannot {action}")).because(source)
        }
    }

    /// An argument that clap cannot judge.
    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.refusal.hint = Some(hint.into());
        self
    }

    /// Adds the chain of causes of `source`.
    pub(crate) fn because(mut self, source: &(dyn std::error::Error + 'static)) -> Self {
        let mut next = Some(source);
        while let Some(error) = next {
            self.because.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// Puts where it happened, e.g. a file and document number, in front of the message.
    pub(crate) fn at(mut self, place: &str) -> Self {
        self.refusal.message = format!("{place}: {}", self.refusal.message);
        self
    }

    pub(crate) fn code(&self) -> Code {
        self.refusal.code
    }

    pub(crate) fn exit_code(&self) -> u8 {
        self.refusal.code.kind().exit_code()
    }

    pub(crate) fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }

    /// The text that goes to standard error.
    pub(crate) fn render(&self) -> String {
        let Refusal {
            code,
            message,
            causes,
            hint,
        } = &self.refusal;
        let mut text = format!("error: {message}");
        for because in &self.because {
            let _ = write!(text, ": {because}");
        }
        let _ = writeln!(text, " ({code})");
        for cause in causes {
            match cause.path.as_str() {
                "" => _ = writeln!(text, "  {}", cause.message),
                path => _ = writeln!(text, "  {path}: {}", cause.message),
            }
            if let Some(hint) = &cause.hint {
                let _ = writeln!(text, "    hint: {hint}");
            }
        }
        if let Some(hint) = hint {
            let _ = writeln!(text, "hint: {hint}");
        }
        if code.kind() == Kind::Internal {
            let _ = writeln!(
                text,
                "This is a defect of Skein; please report it with this text."
            );
        }
        text
    }

    pub(crate) fn print(&self) {
        // Nothing is left to tell if standard error itself is gone.
        let _ = std::io::stderr().write_all(self.render().as_bytes());
    }
}

impl From<Refusal> for CliError {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            because: Vec::new(),
            broken_pipe: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_where_why_and_what_to_do() {
        let error = CliError::from(
            Refusal::new(Code::InvalidField, "ManagedCluster \"c1\" is invalid")
                .with_cause("spec.taints[0].effect", "must be NoSelect"),
        )
        .at("fleet.yaml, document 2")
        .with_hint("fix the field");
        assert_eq!(
            error.render(),
            "error: fleet.yaml, document 2: ManagedCluster \"c1\" is invalid (SK1004)\n  spec.taints[0].effect: must be NoSelect\nhint: fix the field\n"
        );
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn each_kind_has_its_exit_code() {
        let code = |code| CliError::new(code, "x").exit_code();
        assert_eq!(
            [
                Code::NotFound,
                Code::Conflict,
                Code::Forbidden,
                Code::NoHub,
                Code::Internal
            ]
            .map(code),
            [3, 4, 5, 6, 70]
        );
    }
}
