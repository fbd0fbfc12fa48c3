//! What can be said of a join token without asking anybody.

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use serde::Deserialize;
use skein_schema::code::{Code, Refusal};
use skein_schema::join::JoinToken;

/// What to do about a token that no longer lets anybody in.
const HINT: &str = "mint a new one: skein token create";

/// When the token ends, as the credential inside says. Nobody has checked who signed that, and it
/// need not say anything.
#[must_use]
pub fn ends_at(token: &JoinToken) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Claims {
        exp: Option<i64>,
    }
    let claims = token.jwt.split('.').nth(1)?;
    let claims = BASE64URL_NOPAD.decode(claims.as_bytes()).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    Timestamp::from_second(claims.exp?).ok()
}

/// What a joiner is told of a token that has ended by its own clock.
#[must_use]
pub fn expired(token: &JoinToken, now: Timestamp) -> Option<Refusal> {
    let end = ends_at(token).filter(|end| *end <= now)?;
    let text = format!("the join token {} has expired at {end}", token.token);
    Some(Refusal::new(Code::TokenExpired, text).with_hint(HINT))
}

/// What a joiner is told when the bus does not let it in with the token.
#[must_use]
pub fn refused(token: &JoinToken, now: Timestamp) -> Refusal {
    expired(token, now).unwrap_or_else(|| {
        let text = format!(
            "the bus does not know the join token {}, or it was revoked",
            token.token
        );
        Refusal::new(Code::TokenUnknown, text).with_hint(HINT)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_schema::name::TokenName;

    fn token(jwt: String) -> JoinToken {
        JoinToken {
            token: TokenName::new("shop").expect("a name"),
            urls: Vec::new(),
            jwt,
            seed: String::new(),
            certificate_authority: None,
        }
    }

    fn with_claims(claims: &str) -> JoinToken {
        token(format!("h.{}.s", BASE64URL_NOPAD.encode(claims.as_bytes())))
    }

    #[test]
    fn an_ended_token_is_known_by_its_own_words() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let ended = with_claims(r#"{"exp":1600000000,"iat":1}"#);
        assert_eq!(expired(&ended, at(1_599_999_999)), None);
        let refusal = expired(&ended, at(1_600_000_000)).expect("it has ended");
        assert_eq!(refusal.code, Code::TokenExpired);
        assert_eq!(
            refusal.message,
            "the join token shop has expired at 2020-09-13T12:26:40Z"
        );
        assert_eq!(refused(&ended, at(1_600_000_000)), refusal);
        assert_eq!(refused(&ended, at(1)).code, Code::TokenUnknown);
    }

    #[test]
    fn a_token_that_says_nothing_has_no_end() {
        let odd = [
            with_claims(r#"{"iat":1}"#),
            with_claims("[]"),
            token("no.jwt!".to_owned()),
            token(String::new()),
        ];
        for token in odd {
            assert_eq!(ends_at(&token), None);
        }
    }
}
