use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::jwt::JwtError;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a second")
}

/// Keys that are the same in each run.
fn fixed_keys() -> OperatorKeys {
    let key = |kind, byte| Key::from_entropy(kind, [byte; 32]).expect("key");
    let accounts = Account::ALL
        .into_iter()
        .zip(10u8..)
        .map(|(account, byte)| (account, key(KeyKind::Account, byte).public().to_owned()))
        .collect();
    let roles = Role::ALL
        .into_iter()
        .zip(20u8..)
        .map(|(role, byte)| (role, key(KeyKind::Account, byte)))
        .collect();
    OperatorKeys::assemble(
        &key(KeyKind::Operator, 1),
        key(KeyKind::Operator, 2),
        accounts,
        roles,
        at(1_700_000_000),
    )
}

fn user_key() -> Key {
    Key::from_entropy(KeyKind::User, [30; 32]).expect("key")
}

fn claims_text(jwt: &str) -> String {
    let claims = jwt.split('.').nth(1).expect("three parts");
    String::from_utf8(
        data_encoding::BASE64URL_NOPAD
            .decode(claims.as_bytes())
            .expect("base64url"),
    )
    .expect("text")
}

#[test]
fn the_tokens_of_fixed_keys_are_golden() {
    let keys = fixed_keys();
    let user = keys
        .mint_user(
            Role::Agent,
            "c1",
            user_key().public(),
            at(1_700_000_000),
            Some(at(1_700_086_400)),
        )
        .expect("minted");
    let mut golden = format!("operator\n{}\n", claims_text(keys.operator_jwt()));
    let revoked = Revocations::from([(user_key().public().to_owned(), at(1_700_000_500))]);
    for account in Account::ALL {
        let revocations = if account == Account::Agents {
            revoked.clone()
        } else {
            Revocations::new()
        };
        let jwt = keys.account_jwt(account, &revocations, at(1_700_000_000));
        golden.push_str(&format!("{}\n{}\n", account.name(), claims_text(&jwt)));
    }
    golden.push_str(&format!("user c1\n{}\n{user}\n", claims_text(&user)));
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/operator/golden_tokens.txt"
    );
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, &golden).expect("written");
    }
    assert_eq!(
        golden,
        include_str!("golden_tokens.txt"),
        "set UPDATE_GOLDEN=1 to accept"
    );
}

#[test]
fn names_that_are_wildcards_or_several_tokens_are_not_minted() {
    let keys = fixed_keys();
    for name in [
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
        "{{name()}}",
        &"a".repeat(64),
    ] {
        for role in Role::ALL {
            let minted = keys.mint_user(role, name, user_key().public(), at(1), None);
            assert!(
                matches!(minted, Err(MintError::Name { .. })),
                "{role:?} {name:?}"
            );
        }
    }
}

#[test]
fn only_a_users_key_is_minted_for_and_only_with_a_lifetime() {
    let keys = fixed_keys();
    let account = keys.account(Account::Hub);
    assert!(matches!(
        keys.mint_user(Role::Agent, "c1", account, at(1), None),
        Err(MintError::PublicKey { .. })
    ));
    let ended = keys.mint_user(Role::Agent, "c1", user_key().public(), at(5), Some(at(5)));
    assert!(matches!(ended, Err(MintError::Lifetime { .. })));
}

#[test]
fn a_users_token_says_its_name_and_nothing_else() {
    let keys = fixed_keys();
    let jwt = keys
        .mint_user(Role::User, "alice", user_key().public(), at(7), Some(at(9)))
        .expect("minted");
    let read = Token::<UserClaims>::read(&jwt).expect("signed by its issuer");
    assert_eq!(
        (read.name.as_str(), read.sub.as_str()),
        ("alice", user_key().public())
    );
    assert_eq!(read.nats.issuer_account, keys.account(Account::Users));
    assert_eq!((read.iat, read.exp), (7, Some(9)));
    assert!(!claims_text(&jwt).contains("allow"));
    // A control line of the server takes 4,096 bytes.
    assert!(jwt.len() < 1_000, "{}", jwt.len());
}

#[test]
fn a_token_that_was_changed_is_refused() {
    let keys = fixed_keys();
    let jwt = keys
        .mint_user(Role::User, "alice", user_key().public(), at(7), None)
        .expect("minted");
    let forged = claims_text(&jwt).replace("alice", "bob");
    let mut parts: Vec<String> = jwt.split('.').map(str::to_owned).collect();
    parts[1] = data_encoding::BASE64URL_NOPAD.encode(forged.as_bytes());
    assert!(matches!(
        Token::<UserClaims>::read(&parts.join(".")),
        Err(JwtError::Signature { .. })
    ));
    for bad in ["", ".", "..", "a.b", "a.b.c", &jwt[..jwt.len() - 4]] {
        assert!(Token::<UserClaims>::read(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_store_comes_back_as_it_was_made_and_is_never_overwritten() {
    let folder = tempfile::tempdir().expect("folder");
    let place = folder.path().join("state/operator");
    fs::create_dir(folder.path().join("state")).expect("created");
    assert!(matches!(
        OperatorStore::open(&place),
        Err(StoreError::Missing { .. })
    ));

    let made = OperatorStore::open_or_create(&place, at(5)).expect("made");
    let opened = OperatorStore::open_or_create(&place, at(6)).expect("opened");
    assert_eq!(made.keys().operator_jwt(), opened.keys().operator_jwt());
    let jwt = |store: &OperatorStore| {
        store
            .keys()
            .account_jwt(Account::Agents, &Revocations::new(), at(9))
    };
    assert_eq!(jwt(&made), jwt(&opened));
    assert!(matches!(
        OperatorStore::create(&place, at(7)),
        Err(StoreError::Exists { .. })
    ));
    for entry in fs::read_dir(&place).expect("listed") {
        let mode = entry
            .expect("entry")
            .metadata()
            .expect("metadata")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert_eq!(
        fs::metadata(&place).expect("there").permissions().mode() & 0o777,
        0o700
    );
}

#[test]
fn a_store_with_a_foreign_or_damaged_key_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    OperatorStore::create(&one, at(5)).expect("made");
    OperatorStore::create(&two, at(5)).expect("made");
    fs::copy(
        two.join("operator-signing.seed"),
        one.join("operator-signing.seed"),
    )
    .expect("copied");
    assert!(matches!(
        OperatorStore::open(&one),
        Err(StoreError::Mixed { .. })
    ));

    private_file_damage(&two.join("role-agent.seed"));
    assert!(matches!(
        OperatorStore::open(&two),
        Err(StoreError::Seed { .. })
    ));
}

fn private_file_damage(path: &std::path::Path) {
    crate::private_file::write(path, b"SAnothing").expect("written");
}

#[test]
fn the_root_key_may_be_taken_away() {
    let folder = tempfile::tempdir().expect("folder");
    let place = folder.path().join("operator");
    OperatorStore::create(&place, at(5)).expect("made");
    fs::remove_file(place.join("operator-root.seed")).expect("taken away");
    OperatorStore::open(&place).expect("the signing key is enough");
}
