use super::*;
use crate::nkey::KeyKind;

#[test]
fn a_token_has_the_header_the_server_compares_and_an_id_of_its_claims() {
    let signer = Key::from_entropy(KeyKind::Account, [3; 32]).expect("key");
    let token = Token {
        jti: "ignored".to_owned(),
        iat: 1,
        exp: None,
        iss: "ignored".to_owned(),
        name: "c1".to_owned(),
        sub: "U".to_owned(),
        nats: UserClaims::new("A"),
    };
    let text = token.clone().sign(&signer);
    assert!(text.starts_with("eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ."));
    let read = Token::<UserClaims>::read(&text).expect("readable");
    assert_eq!(read.iss, signer.public());
    assert_eq!(read.jti.len(), 52, "base32 of 32 bytes");
    assert_eq!(
        text,
        token.sign(&signer),
        "the same claims give the same token"
    );
}

#[test]
fn a_token_of_another_kind_or_algorithm_is_refused() {
    let signer = Key::from_entropy(KeyKind::Account, [3; 32]).expect("key");
    let body = BASE64URL_NOPAD.encode(br#"{"iat":1,"sub":"U","iss":"A","nats":{}}"#);
    let none = BASE64URL_NOPAD.encode(br#"{"typ":"JWT","alg":"none"}"#);
    assert!(matches!(
        Token::<UserClaims>::read(&format!("{none}.{body}.AAAA")),
        Err(JwtError::Algorithm)
    ));
    let header = BASE64URL_NOPAD.encode(HEADER.as_bytes());
    let signature = BASE64URL_NOPAD.encode(&signer.sign(format!("{header}.{body}").as_bytes()));
    let read = Token::<UserClaims>::read(&format!("{header}.{body}.{signature}"));
    assert!(matches!(read, Err(JwtError::Claims(_))), "{read:?}");
}
