//! The command line as people meet it, without a hub: help, configuration, and bad input.
//!
//! Every case runs the program with an empty environment and a home of its own. What needs a hub is
//! in the end-to-end suite.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Runs `skein` and answers exit code, stdout and stderr as one text.
#[must_use]
fn skein(arguments: &[&str], input: &str) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_skein"))
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec())
            .unwrap()
            .replace(home.path().to_str().unwrap(), "~")
    };
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let mut told = format!("exit code {}\n", output.status.code().unwrap());
    for (stream, text) in [("stdout", out), ("stderr", err)] {
        if !text.is_empty() {
            told.push_str(&format!("--- {stream}\n{text}"));
        }
    }
    told
}

fn check(document: &str) -> String {
    skein(&["apply", "-f", "-", "--dry-run"], document)
}

fn work(manifests: &str) -> String {
    format!(
        "apiVersion: work.open-cluster-management.io/v1\nkind: ManifestWork\nmetadata: {{name: web, namespace: c1}}\nspec:\n  workload:\n    manifests: {manifests}\n"
    )
}

fn cluster(name: &str) -> String {
    format!(
        "{{apiVersion: cluster.open-cluster-management.io/v1, kind: ManagedCluster, metadata: {{name: {name:?}}}}}"
    )
}

#[test]
fn what_is_not_a_document_is_refused_with_its_place() {
    insta::assert_snapshot!("yaml", check("a: [1"));
    insta::assert_snapshot!("scalar", check("hello"));
    insta::assert_snapshot!("empty", check("# nothing\n"));
    insta::assert_snapshot!("duplicate_key", check("kind: A\nkind: B\n"));
    insta::assert_snapshot!(
        "second_document",
        check(&format!("{}\n---\n- a list\n", cluster("c1")))
    );
    insta::assert_snapshot!(
        "missing_file",
        skein(&["apply", "-f", "/nowhere/x.yaml"], "")
    );
}

#[test]
fn kinds_and_fields_are_checked_with_a_hint() {
    insta::assert_snapshot!(
        "unknown_kind",
        check("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n")
    );
    insta::assert_snapshot!(
        "misspelt_kind",
        check(
            "apiVersion: cluster.open-cluster-management.io/v1\nkind: ManagedClutser\nmetadata: {name: a}\n"
        )
    );
    insta::assert_snapshot!(
        "old_version",
        check(
            "apiVersion: cluster.open-cluster-management.io/v1beta1\nkind: ManagedClusterSet\nmetadata: {name: a}\n"
        )
    );
    let head = "apiVersion: cluster.open-cluster-management.io/v1\nkind: ManagedCluster\nmetadata: {name: c1}\n";
    insta::assert_snapshot!(
        "unknown_field",
        check(&format!("{head}spec: {{hubAcceptClient: true}}\n"))
    );
    insta::assert_snapshot!(
        "wrong_type",
        check(&format!(
            "{head}spec: {{hubAcceptsClient: sure, leaseDurationSeconds: soon}}\n"
        ))
    );
    insta::assert_snapshot!(
        "taint",
        check(&format!(
            "{head}spec: {{taints: [{{key: a, effect: NoSchedule}}]}}\n"
        ))
    );
    insta::assert_snapshot!(
        "url",
        check(&format!(
            "{head}spec: {{managedClusterClientConfigs: [{{url: 'http://a'}}]}}\n"
        ))
    );
    let unknown = format!("{head}spec: {{hubAcceptClient: true}}\n");
    insta::assert_snapshot!(
        "warned",
        skein(
            &["apply", "-f", "-", "--dry-run", "--validate=warn"],
            &unknown
        )
    );
    insta::assert_snapshot!(
        "ignored",
        skein(
            &["apply", "-f", "-", "--dry-run", "--validate=ignore"],
            &unknown
        )
    );
}

#[test]
fn names_that_subjects_or_kubernetes_cannot_hold_are_refused() {
    for name in [
        "*",
        ">",
        "a.b",
        "a b",
        "Shop",
        "-a",
        "",
        &"a".repeat(254),
        "a\tb",
        "ä",
    ] {
        let told = check(&cluster(name));
        assert!(
            told.starts_with("exit code 2\n--- stderr\nerror: "),
            "{name:?}: {told}"
        );
        assert!(
            told.contains("(SK1005)") || told.contains("metadata.name"),
            "{name:?}: {told}"
        );
    }
    insta::assert_snapshot!("name_wildcard", check(&cluster("*")));
    insta::assert_snapshot!("name_long", check(&cluster(&"a".repeat(254))));
    insta::assert_snapshot!("name_argument", skein(&["accept", "shop>1"], ""));
}

#[test]
fn works_are_checked_before_they_leave() {
    insta::assert_snapshot!("work_empty", check(&work("[]")));
    let map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b}}";
    insta::assert_snapshot!("work_duplicate", check(&work(&format!("[{map}, {map}]"))));
    insta::assert_snapshot!(
        "work_nameless",
        check(&work("[{apiVersion: v1, kind: ConfigMap, metadata: {}}]"))
    );
    insta::assert_snapshot!(
        "work_generate_name",
        check(&work(
            "[{apiVersion: v1, kind: ConfigMap, metadata: {generateName: a-}}]"
        ))
    );
    insta::assert_snapshot!(
        "work_kindless",
        check(&work("[{apiVersion: v1, metadata: {name: a}}]"))
    );
    insta::assert_snapshot!("work_good", check(&work(&format!("[{map}]"))));
}

#[test]
fn without_a_hub_everything_says_what_to_do() {
    insta::assert_snapshot!("no_context", skein(&["get", "managedclusters"], ""));
    insta::assert_snapshot!(
        "unknown_context",
        skein(&["get", "managedclusters", "--context", "prod"], "")
    );
    insta::assert_snapshot!("unknown_get_kind", skein(&["get", "pods"], ""));
    insta::assert_snapshot!("bad_time", skein(&["replay", "--at", "yesterday"], ""));
    insta::assert_snapshot!("bad_output", skein(&["get", "mcl", "-o", "xml"], ""));
    insta::assert_snapshot!("bad_taint", skein(&["taint", "c1", "a=b:NoSchedule"], ""));
    insta::assert_snapshot!("contexts_empty", skein(&["context", "list"], ""));
    insta::assert_snapshot!("unreachable", {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("config.yaml");
        let credentials = home.path().join("none.creds");
        std::fs::write(&config, format!(
            "currentContext: a\ncontexts:\n  a:\n    servers: [nats://127.0.0.1:1]\n    user: alice\n    credentials: {}\n",
            credentials.display()
        )).unwrap();
        skein(&["get", "mcl", "--config", config.to_str().unwrap()], "")
            .replace(home.path().to_str().unwrap(), "~")
    });
}

#[test]
fn a_context_is_kept_and_never_shows_a_secret() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config.yaml");
    let config = config.to_str().unwrap();
    let set = [
        "context",
        "set",
        "prod",
        "--server",
        "tls://hub:4222",
        "--user",
        "alice",
        "--credentials",
        "/k/alice.creds",
        "--config",
        config,
    ];
    insta::assert_snapshot!("context_set", skein(&set, ""));
    insta::assert_snapshot!(
        "context_show",
        skein(&["context", "show", "--config", config], "")
    );
    insta::assert_snapshot!(
        "context_list",
        skein(&["context", "list", "--config", config], "")
    );
    insta::assert_snapshot!(
        "context_unknown",
        skein(&["context", "use", "dev", "--config", config], "")
    );
}

#[test]
fn every_shell_gets_a_completion_script() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = skein(&["completion", shell], "");
        assert!(
            script.starts_with("exit code 0\n--- stdout\n") && script.contains("clusterset"),
            "{shell}"
        );
    }
}

#[test]
fn a_joiner_with_an_expired_token_is_told_before_an_agent_starts() {
    use data_encoding::BASE64URL_NOPAD;
    let claims = BASE64URL_NOPAD.encode(br#"{"exp":1600000000}"#);
    let token = skein_schema::join::JoinToken {
        token: "shop".parse().unwrap(),
        urls: vec!["nats://127.0.0.1:1".into()],
        jwt: format!("header.{claims}.signature"),
        seed: "SU".into(),
        certificate_authority: None,
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, token.encode()).unwrap();
    let state_dir = folder.path().to_str().unwrap();
    for (file, input) in [
        ("-", token.encode()),
        (path.to_str().unwrap(), String::new()),
    ] {
        let arguments = ["join", "--cluster-name", "shop-1", "--state-dir", state_dir];
        let told = skein(&[&arguments[..], &["--token-file", file]].concat(), &input);
        assert_eq!(
            told,
            "exit code 5\n--- stderr\nerror: the join token shop has expired at 2020-09-13T12:26:40Z (SK3003)\nhint: mint a new one: skein token create\n"
        );
    }
}

#[test]
fn a_bus_without_tls_is_not_opened_to_others() {
    insta::assert_snapshot!("up_listen", skein(&["up", "--listen", "0.0.0.0:4222"], ""));
}

#[test]
fn a_fenced_hub_is_told_and_stays_until_it_is_stopped() {
    use std::io::BufRead as _;
    use std::os::unix::fs::PermissionsExt as _;

    let home = tempfile::tempdir().unwrap();
    let hub = home.path().join("skein-hub");
    let line = r#"{"ready":false,"fenced":"records were lost"}"#;
    std::fs::write(
        &hub,
        format!("#!/bin/sh\necho '{line}'\nexec tail -f /dev/null\n"),
    )
    .unwrap();
    std::fs::set_permissions(&hub, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut up = Command::new(env!("CARGO_BIN_EXE_skein"))
        .args(["up", "--data-dir", home.path().to_str().unwrap()])
        .env_clear()
        .env("HOME", home.path())
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("SKEIN_HUB_PROGRAM", &hub)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let told = std::io::BufReader::new(up.stderr.take().unwrap()).lines();
    let told: Vec<String> = told
        .map(Result::unwrap)
        .skip_while(|line| !line.starts_with("error"))
        .take(2)
        .collect();
    insta::assert_snapshot!("up_fenced", told.join("\n"));
    assert_eq!(up.try_wait().unwrap(), None, "it stays");
    let pid = rustix::process::Pid::from_raw(up.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(up.wait().unwrap().code(), Some(6));
}
